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

from affordance_ros.geometry.quantiles import quantiles

Array = npt.NDArray[Any]
GIVE_M = 0.0006  # how far a pad gives way
NOISE = 0.25  # of the noise of one pixel is left in a face that is fitted to many
COLUMNS, FINE = 7, 13


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
    across = np.maximum(faces.high[last][None] - faces.low[first][:, None], 1e-4)
    line = np.concatenate((faces.places[last][None] - faces.places[first][:, None], across[..., None]), axis=2)
    needs = [
        _tangents(line, np.column_stack((-faces.low_slope[first], np.ones(len(first))))[:, None]),
        _tangents(line, np.column_stack((-faces.high_slope[last], np.ones(len(last))))[None]),
    ]
    return float(np.maximum(*needs).min())


def _tangents(line: Array, normal: Array) -> Array:
    """Return the tangent of the angle between vectors (..., 3); large when they point apart."""
    along = (line * normal).sum(axis=-1)
    # The length of the cross product, which numpy is slow to take of many vectors.
    lengths = (line * line).sum(axis=-1) * (normal * normal).sum(axis=-1)
    aside = np.sqrt(np.maximum(lengths - along * along, 0))
    return np.where(along > 1e-9, aside / np.maximum(along, 1e-9), 99.0)


def across_fingers(part: Array, half: float) -> Faces | None:
    """Return the faces of a part (N, 3) as parabolas across the fingers; None where too little of it is seen.

    half: of the finger's width.
    """
    edges = np.linspace(-half, half, COLUMNS + 1)
    column = np.clip(np.digitize(part[:, 0], edges) - 1, 0, COLUMNS - 1)
    ends = np.full((2, COLUMNS), np.nan)
    for index in range(COLUMNS):
        y = part[column == index, 1]
        if len(y) >= 3:
            ends[:, index] = quantiles(y, 0.03, 0.97)
    known = np.isfinite(ends[0])
    if known.sum() < 5:
        return None
    middle = (edges[:-1] + edges[1:])[known] / 2
    x = np.linspace(float(middle.min()), float(middle.max()), FINE)
    low, high = np.polyfit(middle, ends[:, known].T, 2).T
    flat = np.zeros(FINE)
    return Faces(
        np.column_stack((x, flat)),
        np.polyval(low, x),
        np.polyval(high, x),
        np.column_stack((np.polyval(np.polyder(low), x), flat)),
        np.column_stack((np.polyval(np.polyder(high), x), flat)),
    )
