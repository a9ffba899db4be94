# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a soft map of GLOVER to places: one keypoint and one box per connected high region. Pure numpy."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from affordance_ros.results import Boxes, Heatmap, Keypoints

Array = npt.NDArray[Any]
SPECK = 100


def find_places(heatmap: Heatmap, ratio: float, limit: int, label: str = '') -> tuple[Keypoints, Boxes]:
    """Return the peak and the bounding box of every connected region above `ratio` times the highest value.

    Best first and at most `limit`; both lists are parallel. A score is the value at the peak. The first point is the
    first highest pixel in row-major order, as the official code takes it. Specks, regions of less than a hundredth of
    the largest one, are left out unless they hold the highest value. A map without any maximum (all values are equal,
    as in the empty map) names no place.

    Args:
        heatmap: values (H, W) in [0, 1].
        ratio: in (0, 1].
        limit: at least 1.
        label: given to every place.
    """
    values = np.asarray(heatmap.values)
    highest = float(values.max())
    if highest <= float(values.min()):
        return Keypoints(np.zeros((0, 2))), Boxes(np.zeros((0, 4)))
    inside = (values >= ratio * highest).astype(np.uint8)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    peaks = _first_peaks(values, regions, count)
    scores = values[peaks[:, 1], peaks[:, 0]]
    area = stats[1:, cv2.CC_STAT_AREA]
    large = (area * SPECK >= area.max()) | (scores == highest)
    order = np.lexsort((peaks[:, 0], peaks[:, 1], -scores))
    order = order[large[order]][:limit]
    left, top, width, height = (stats[1:][order, index] for index in range(4))
    boxes = np.stack([left, top, left + width - 1, top + height - 1], axis=1)
    labels = (label,) * len(order)
    return Keypoints(peaks[order], scores[order], labels), Boxes(boxes, scores[order], labels)


def _first_peaks(values: Array, regions: Array, count: int) -> Array:
    """Return (count - 1, 2): u, v of the first highest pixel of every region but the background 0."""
    highest = np.zeros(count)
    highest[1:] = ndimage.maximum(values, regions, np.arange(1, count))
    at_peak = np.flatnonzero((values == highest[regions]) & (regions > 0))
    _, first = np.unique(regions.ravel()[at_peak], return_index=True)
    v, u = np.unravel_index(at_peak[first], values.shape)
    return np.stack([u, v], axis=1)
