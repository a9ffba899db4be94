# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which places an answer names, whatever its kind: keypoints, masks, modes of a heatmap, boxes, ends of paths."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.results import NAN, Boxes, FloatArray, HandTrajectory, Heatmap, Keypoints, Masks, Prediction

Region = npt.NDArray[np.bool_]
HEAT_SHARE = 0.5  # of the highest value: what belongs to a mode
MOST_MODES = 5
LEAST_MODE_PX = 4


@dataclass(frozen=True)
class Spot:
    """One place to lift: pixel (u, v), the model's score, the label, and how the answer named it.

    region: bool (H, W), where the place may lie, or None. heat: (H, W), how much each pixel of the region counts.
    box: xyxy when the answer was a box without a mask. spread_px: how far the answer itself may be off.
    """

    pixel: tuple[float, float]
    score: float = NAN
    label: str = ''
    method: str = 'keypoint'
    region: Region | None = None
    heat: FloatArray | None = None
    box: tuple[float, float, float, float] | None = None
    spread_px: float = 0.5

    @property
    def is_region(self) -> bool:
        """Whether the answer is the region and the pixel only a first guess in it."""
        return self.method in ('mask', 'heatmap', 'box')


def spots_of(prediction: Prediction) -> list[Spot]:
    """Return the places a prediction names: keypoints, else masks, heatmap, boxes, the ends of traces or of hand paths.

    A keypoint with a mask of its own (the one at the same index, see `models.refine`) is lifted within that mask; a
    box likewise becomes its mask.
    """
    masks = prediction.masks if prediction.masks is not None and len(prediction.masks) else None
    if prediction.keypoints is not None and len(prediction.keypoints):
        return list(_of_keypoints(prediction.keypoints, masks))
    if masks is not None:
        return list(_of_masks(masks, 'mask'))
    if prediction.heatmap is not None and prediction.heatmap.values.max() > 0:
        return _of_heatmap(prediction.heatmap)
    if prediction.boxes is not None and len(prediction.boxes):
        return list(_of_boxes(prediction.boxes))
    traces = [(trace.points, trace.label) for trace in prediction.traces or () if len(trace.points)]
    if traces:
        return [_end(points, index, label, 'trace') for points, label in traces for index in (0, -1)]
    return [
        Spot((float(hand.points[-1][0]), float(hand.points[-1][1])), label=f'{hand.side} hand', method='hand')
        for hand in counting_hands(prediction)
        if len(hand)
    ]


def counting_hands(prediction: Prediction) -> list[HandTrajectory]:
    """Return the hands whose path says where to go: those judged to be there, or a single one that nobody judged."""
    hands = list(prediction.hands or ())
    return [hand for hand in hands if hand.present or (hand.present is None and len(hands) == 1)]


def _of_keypoints(keypoints: Keypoints, masks: Masks | None) -> Iterator[Spot]:
    points, scores = np.asarray(keypoints.points), np.asarray(keypoints.scores)
    for index, name in enumerate(keypoints.labels):
        u, v = float(points[index, 0]), float(points[index, 1])
        yield Spot((u, v), float(scores[index]), name, region=_own_mask(masks, len(points), index, (u, v)))


def _own_mask(masks: Masks | None, count: int, index: int, pixel: tuple[float, float]) -> Region | None:
    """Return the mask of a keypoint, or None when there is none or it leaves the keypoint out."""
    if masks is None or len(masks) < count:
        return None
    u, v = round(pixel[0]), round(pixel[1])
    mask = masks.masks[index]
    inside = 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and bool(mask[v, u])
    return mask if inside else None


def _of_masks(masks: Masks, method: str) -> Iterator[Spot]:
    for mask, score, name in zip(masks.masks, np.asarray(masks.scores), masks.labels, strict=True):
        if mask.any():
            yield Spot(_middle_of(mask), float(score), name, method, mask)


def _middle_of(mask: Region, heat: FloatArray | None = None) -> tuple[float, float]:
    """Return the pixel of a region nearest to its (weighted) centroid: on the region even when that is not."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    v, u = np.nonzero(mask[top : top + height, left : left + width])
    u, v = u + left, v + top
    weight = np.ones(len(u)) if heat is None else np.asarray(heat)[v, u]
    total = float(weight.sum())
    away = (u - weight @ u / total) ** 2 + (v - weight @ v / total) ** 2
    nearest = int(away.argmin())
    return float(u[nearest]), float(v[nearest])


def _of_heatmap(heatmap: Heatmap) -> list[Spot]:
    """Return every mode: the connected regions above half of the highest value, the strongest first."""
    values = np.asarray(heatmap.values)
    high = values >= HEAT_SHARE * values.max()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(high.astype(np.uint8), connectivity=8)
    modes: list[tuple[float, Spot]] = []
    for index in range(1, count):
        if stats[index, cv2.CC_STAT_AREA] < min(LEAST_MODE_PX, int(stats[1:, cv2.CC_STAT_AREA].max())):
            continue
        region = labels == index
        inside = values[region]
        spread = float(np.sqrt(inside.sum() / np.pi) / 2)
        spot = Spot(_middle_of(region, values), float(inside.max()), '', 'heatmap', region, values, spread_px=spread)
        modes.append((float(inside.sum()), spot))
    modes.sort(key=lambda mode: (-mode[1].score, -mode[0]))
    return [spot for _, spot in modes[:MOST_MODES]]


def _of_boxes(boxes: Boxes) -> Iterator[Spot]:
    for corners, score, name in zip(np.asarray(boxes.boxes), np.asarray(boxes.scores), boxes.labels, strict=True):
        x0, y0, x1, y1 = (float(value) for value in corners)
        yield Spot(((x0 + x1) / 2, (y0 + y1) / 2), float(score), name, 'box', box=(x0, y0, x1, y1))


def _end(points: Any, index: int, label: str, method: str) -> Spot:
    pixel = np.asarray(points)[index]
    return Spot((float(pixel[0]), float(pixel[1])), label=label or ('start', 'end')[index], method=method)
