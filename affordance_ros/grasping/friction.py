# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much friction a grasp needs: where flat pads first meet the two faces of a part, and how these lie there.

Fingers are wide where parts are curved: inside the loop of a handle a pad rests on its edges, outside on its middle,
and the part turns between them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.ends import ends_by_strip

Array = npt.NDArray[Any]
GIVE_M = 0.0006  # how far a pad gives way
NOISE = 0.25  # of the noise of one pixel is left in a face that is fitted to many
COLUMNS, FINE = 7, 13
STEPS = np.linspace(0, 1, FINE)


@dataclass(frozen=True)
class Faces:
    """The two faces of a part between the pads, sampled at places (N, 2) along the pads (x, z of the hand), metres.

    low, high: (N,) y of the faces. low_slope, high_slope: (N, 2) their slopes along x and z.
    """

    places: Array
    low: Array
    high: Array
    low_slope: Array
    high_slope: Array


def friction_needed(faces: Faces, sigma_m: float = 0.0) -> float:
    """Return the least friction coefficient with which some pair of first contacts holds.

    sigma_m: noise of one depth pixel; what differs by less than a part of it touches at the same time.
    """
    give = max(GIVE_M, NOISE * sigma_m)
    first = np.flatnonzero(faces.low <= faces.low.min() + give)
    last = np.flatnonzero(faces.high >= faces.high.max() - give)
    x, z = ((faces.places[last, axis] - faces.places[first, axis][:, None]) for axis in (0, 1))
    y = np.maximum(faces.high[last] - faces.low[first][:, None], 1e-4)
    length = x * x + y * y + z * z
    lower, upper = faces.low_slope[first, :, None], faces.high_slope[last].T
    needs = [_tangents(y - x * a - z * b, length * (1 + a * a + b * b)) for a, b in ((lower[:, 0], lower[:, 1]), upper)]
    return float(np.sqrt(np.maximum(*needs).min()))


def _tangents(along: Array, lengths: Array) -> Array:
    """Return the square of the tangent of the angle between vectors; large when they point apart.

    along: their product. lengths: the product of their squared lengths.
    """
    squared = along * along
    return np.where(along > 1e-9, np.maximum(lengths / np.maximum(squared, 1e-18) - 1, 0), 99.0**2)


def across_fingers(part: Array, half: float) -> Faces | None:
    """Return the faces of a part (N, 3) as parabolas across the fingers; None where too little of it is seen.

    half: of the finger's width.
    """
    column = np.floor((part[:, 0] / (2 * half) + 0.5) * COLUMNS).astype(int)
    ends, number = ends_by_strip(part[:, 1], np.minimum(np.maximum(column, 0), COLUMNS - 1), COLUMNS, 0.03)
    known = np.flatnonzero(number >= 3)
    if len(known) < 5:
        return None
    # In units of the half width, where the equations of the parabolas are well conditioned.
    middle = (2 * known + 1) / COLUMNS - 1
    terms = _powers(middle)
    fitted = np.linalg.solve(terms @ terms.T, terms @ ends[:, known].T)
    x = middle[0] + (middle[-1] - middle[0]) * STEPS
    low, high = fitted.T @ _powers(x)
    slopes = np.zeros((2, FINE, 2))
    slopes[..., 0] = (fitted[1][:, None] + 2 * fitted[2][:, None] * x) / half
    places = np.zeros((FINE, 2))
    places[:, 0] = x * half
    return Faces(places, low, high, slopes[0], slopes[1])


def _powers(x: Array) -> Array:
    return np.stack((np.ones_like(x), x, x * x))
