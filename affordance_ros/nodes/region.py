# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A region of interest: the model sees a cut-out, the answer is in pixels of the whole image again. No ROS in here."""

from dataclasses import dataclass, replace

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Boxes, Frame, Heatmap, Keypoints, Masks, Prediction

SMALLEST = 16  # pixels: a smaller cut-out shows a model nothing


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels of an image."""

    left: int
    top: int
    width: int
    height: int

    def within(self, width: int, height: int) -> 'Region':
        """Return the part that lies in an image of this size. Raises BAD_INPUT when hardly any does."""
        left, top = max(0, self.left), max(0, self.top)
        right, bottom = min(width, self.left + self.width), min(height, self.top + self.height)
        if right - left < SMALLEST or bottom - top < SMALLEST:
            text = f'the region of interest {self.width}x{self.height} at ({self.left}, {self.top})'
            rest = f'leaves less than {SMALLEST} pixels of the {width}x{height} image'
            raise AffordanceError(Code.BAD_INPUT, f'{text} {rest}; give one that lies in it')
        return Region(left, top, right - left, bottom - top)


def cut(frame: Frame, region: Region) -> Frame:
    """Return what lies in a region (see `Region.within`), with intrinsics that fit."""
    rows, columns = slice(region.top, region.top + region.height), slice(region.left, region.left + region.width)
    k = frame.intrinsics
    if k is not None:
        size = {'width': region.width, 'height': region.height}
        k = replace(k, cx=k.cx - region.left, cy=k.cy - region.top, **size)
    depth = None if frame.depth is None else np.ascontiguousarray(frame.depth[rows, columns])
    return replace(frame, rgb=np.ascontiguousarray(frame.rgb[rows, columns]), depth=depth, intrinsics=k)


def put_back(prediction: Prediction, region: Region, frame: Frame) -> Prediction:
    """Return an answer about a cut-out in pixels of the whole frame."""
    shift = np.array([region.left, region.top], dtype=float)
    changes: dict[str, object] = {}
    if (points := prediction.keypoints) is not None:
        changes['keypoints'] = Keypoints(np.asarray(points.points) + shift, points.scores, points.labels)
    if (boxes := prediction.boxes) is not None:
        changes['boxes'] = Boxes(np.asarray(boxes.boxes) + np.tile(shift, 2), boxes.scores, boxes.labels)
    for name in ('traces', 'hands'):
        if (paths := getattr(prediction, name)) is not None:
            changes[name] = tuple(replace(path, points=np.asarray(path.points) + shift) for path in paths)
    rows, columns = slice(region.top, region.top + region.height), slice(region.left, region.left + region.width)
    if (heatmap := prediction.heatmap) is not None:
        values = np.zeros((frame.height, frame.width))
        values[rows, columns] = heatmap.values
        changes['heatmap'] = Heatmap(values)
    if (masks := prediction.masks) is not None:
        whole = np.zeros((len(masks), frame.height, frame.width), np.bool_)
        whole[:, rows, columns] = masks.masks
        changes['masks'] = Masks(whole, masks.scores, masks.labels)
    return replace(prediction, **changes)


def above(prediction: Prediction, min_score: float) -> Prediction:
    """Return an answer without the points, boxes and masks that are scored lower; unscored ones (NaN) stay."""
    if not min_score > 0:
        return prediction
    changes: dict[str, object] = {}
    for name, kind, what in (('keypoints', Keypoints, 'points'), ('boxes', Boxes, 'boxes'), ('masks', Masks, 'masks')):
        part = getattr(prediction, name)
        if part is None:
            continue
        scores = np.asarray(part.scores)
        keep = ~(scores < min_score)
        labels = tuple(label for label, kept in zip(part.labels, keep, strict=True) if kept)
        changes[name] = kind(np.asarray(getattr(part, what))[keep], scores[keep], labels)
    return replace(prediction, **changes)
