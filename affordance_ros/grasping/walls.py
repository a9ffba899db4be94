# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thin walls between flat pads: a rim of a bowl is curved twice, and the camera sees one face of it.

The seen face is fitted by a paraboloid; the other face runs along with it. Where the two pads first meet the two faces
tells whether they press against each other or past each other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.quantiles import quantiles
from affordance_ros.grasping.friction import Faces, friction_needed

Array = npt.NDArray[Any]
SHEET_M = 0.012  # what is thicker is no wall
RIM_M = 0.0015  # so much below the highest point begins the face; above it is the rim
ACROSS, DOWN = 9, 9
LEAST = 16
STEEPEST = 0.8
ROUGH_M = 0.004
ROUND_M = 0.012  # what is bent more tightly along the approach is a tube


@dataclass(frozen=True)
class Wall:
    """How a wall lies between the jaws. angle, tilt: radians by which the hand is to be turned to be square to it.

    friction: coefficient with which it is held.
    """

    angle: float
    tilt: float
    friction: float


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
    middle = float(np.median(below[:, 1]))
    center = (top + insert) / 2
    fitted = _paraboloid(below - (0, 0, center), low=middle - first < last - middle)
    if fitted is None:
        return None
    x, z = np.meshgrid(np.linspace(-half, half, ACROSS), np.linspace(top, insert, DOWN) - center, indexing='ij')
    face = _terms(x.ravel(), z.ravel()) @ fitted
    thick = max(min(rim, last - first - float(np.ptp(face.reshape(ACROSS, DOWN)[ACROSS // 2]))), 0.002)
    _, across, down, bow, bend = fitted
    slopes = np.column_stack((across + 2 * bow * x.ravel(), down + 2 * bend * z.ravel()))
    faces = Faces(np.column_stack((x.ravel(), z.ravel())), face, face + thick, slopes, slopes)
    return Wall(float(np.arctan(across)), float(np.arctan(down)), friction_needed(faces, sigma_m))


def _terms(x: Array, z: Array) -> Array:
    return np.column_stack((np.ones_like(x), x, z, x * x, z * z))


def _paraboloid(points: Array, *, low: bool) -> Array | None:
    """Return the coefficients of y over x and z for the lower or upper face, trimmed to it; None: too rough."""
    kept = points
    for _ in range(3):
        if len(kept) < LEAST:
            return None
        terms = _terms(kept[:, 0], kept[:, 2])
        found = np.linalg.lstsq(terms, kept[:, 1], rcond=None)[0]
        rest = points[:, 1] - _terms(points[:, 0], points[:, 2]) @ found
        spread = max(1.4826 * float(np.median(np.abs(rest))), 0.0003)
        # What lies behind the face is the rim seen from above or another part; noise is on both sides.
        kept = points[(rest if low else -rest) < 2 * spread]
    flat = abs(found[2]) < STEEPEST and 2 * abs(found[4]) < 1 / ROUND_M and spread < ROUGH_M
    return found if flat else None
