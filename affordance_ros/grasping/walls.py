# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thin walls between flat pads: a rim of a bowl is curved twice, and the camera sees one face of it.

The seen face is fitted by a paraboloid; the other face runs along with it. Where the two pads first meet the two faces
tells whether they press against each other or past each other.
"""

from dataclasses import dataclass
from functools import cached_property
from math import atan
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.quantiles import quantiles
from affordance_ros.grasping.friction import Faces, friction_needed

Array = npt.NDArray[Any]
SHEET_M = 0.012  # what is thicker is no wall
RIM_M = 0.0015  # so much below the highest point begins the face; above it is the rim
ACROSS, DOWN = 9, 9
GRID = np.stack(np.meshgrid(np.linspace(-1, 1, ACROSS), np.linspace(-1, 1, DOWN), indexing='ij')).reshape(2, -1)
LEAST = 16
UNITS = np.array([[1.0], [0.01], [0.01], [1e-4], [1e-4]])  # of the terms: a centimetre makes them alike
TINY = 1e-9 * np.eye(5)  # where the points do not tell a coefficient it is zero
STEEPEST = 0.8
ROUGH_M = 0.004
ROUND_M = 0.012  # what is bent more tightly along the approach is a tube


@dataclass(frozen=True)
class Wall:
    """How a wall lies between the jaws. angle, tilt: radians by which the hand is to be turned to be square to it.

    faces: its two sides. sigma_m: noise of one depth pixel.
    """

    angle: float
    tilt: float
    faces: Faces
    sigma_m: float

    @cached_property
    def friction(self) -> float:
        """Coefficient with which it is held."""
        return friction_needed(self.faces, self.sigma_m)


def wall_between(part: Array, half: float, insert: float, sigma_m: float = 0.0) -> Wall | None:
    """Return the wall that a part is; None: it is none, or too rough to tell.

    part: (N, 3) points, hand axes (y closing, z approach). half: of the finger's width. insert: z of the tips.
    sigma_m: noise of one depth pixel.
    """
    (top,) = quantiles(part[:, 2], 0.02)
    if insert - top < 2 * RIM_M:
        return None
    first, last = quantiles(part[:, 1], 0.01, 0.99)
    low, high = quantiles(part[part[:, 2] < top + RIM_M, 1], 0.05, 0.95)
    rim = high - low
    if last - first > SHEET_M and rim > min(SHEET_M, 0.5 * (last - first)):
        return None
    below = part[part[:, 2] > top + RIM_M]
    if len(below) < LEAST:
        return None
    (middle,) = quantiles(below[:, 1], 0.5)
    center = (top + insert) / 2
    terms = _terms(below[:, 0], below[:, 2] - center)
    fitted = _paraboloid(terms, below[:, 1], low=middle - first < last - middle)
    if fitted is None:
        return None
    x, z = half * GRID[0], (insert - top) / 2 * GRID[1]
    face = fitted @ _terms(x, z)
    amid = face[ACROSS // 2 * DOWN : (ACROSS // 2 + 1) * DOWN]
    thick = max(min(rim, last - first - float(amid.max() - amid.min())), 0.002)
    _, across, down, bow, bend = (float(value) for value in fitted)
    slopes = np.stack((across + 2 * bow * x, down + 2 * bend * z), axis=1)
    faces = Faces(np.stack((x, z), axis=1), face, face + thick, slopes, slopes)
    return Wall(atan(across), atan(down), faces, sigma_m)


def _terms(x: Array, z: Array) -> Array:
    found = np.empty((5, len(x)))
    found[0], found[1], found[2], found[3], found[4] = 1, x, z, x * x, z * z
    return found


def _paraboloid(terms: Array, y: Array, *, low: bool) -> Array | None:
    """Return the coefficients (5,) of y (N,) over x and z for the lower or upper face; None: too rough.

    terms: (5, N) of `_terms`. The fit is trimmed to the face.
    """
    scaled = terms / UNITS
    used, goal = scaled, y
    for _ in range(3):
        if len(goal) < LEAST:
            return None
        found = np.linalg.solve(used @ used.T + TINY, used @ goal)
        rest = y - found @ scaled
        spread = max(1.4826 * quantiles(np.abs(rest), 0.5)[0], 0.0003)
        # What lies behind the face is the rim seen from above or another part; noise is on both sides.
        kept = np.flatnonzero((rest if low else -rest) < 2 * spread)
        used, goal = scaled[:, kept], y[kept]
    found = found / UNITS[:, 0]
    flat = abs(found[2]) < STEEPEST and 2 * abs(found[4]) < 1 / ROUND_M and spread < ROUGH_M
    return np.asarray(found) if flat else None
