# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a soft map of GLOVER to places: one keypoint and one box per connected high region. Pure numpy."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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
    count, regions = cv2.connectedComponents(inside, connectivity=8)
    pixels = cv2.findNonZero(inside).reshape(-1, 2)  # u, v in row-major order
    region = regions[pixels[:, 1], pixels[:, 0]].astype(np.intp) - 1  # of each pixel
    peaks, scores = _peaks(pixels, values[pixels[:, 1], pixels[:, 0]], region, count - 1)
    area = np.bincount(region)
    large = (area * SPECK >= area.max()) | (scores == highest)
    order = np.lexsort((peaks[:, 0], peaks[:, 1], -scores))
    order = order[large[order]][:limit]
    boxes = np.array([_box(pixels[region == index]) for index in order])
    labels = (label,) * len(order)
    return Keypoints(peaks[order], scores[order], labels), Boxes(boxes, scores[order], labels)


def _peaks(pixels: Array, heights: Array, region: Array, count: int) -> tuple[Array, Array]:
    """Return (count, 2), the first highest pixel of every region, and its height (count,)."""
    highest = np.zeros(count)
    np.maximum.at(highest, region, heights)
    at_peak = np.flatnonzero(heights == highest[region])
    _, first = np.unique(region[at_peak], return_index=True)
    return pixels[at_peak[first]], highest


def _box(pixels: Array) -> Array:
    """Return (4,): xyxy about pixels (n, 2)."""
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
