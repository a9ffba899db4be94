# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers against labels: each measure over the answers that have it and the label for it, refusals counted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from affordance_ros.evaluation.labels import Label, Labels
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.summary import best_contact
from affordance_ros.metrics.points import point_accuracy
from affordance_ros.results import Keypoints

_SILENT_M = 0.02
Measure = Callable[[Json, Label], float | None]


def score_answers(answers: Sequence[Json], labels: Labels) -> Json:
    """Return, for every measure that applies, its count, mean, median and 90th percentile.

    `labelled` says how many answers have a label, `missed` how many of those that should have an answer have none,
    `invented` how many were answered although the right answer is none, `silent_errors` how many contacts lie more than
    20 mm from every labelled point.
    """
    pairs = [
        (line, label) for line in answers if (label := labels.of(line['stamp_ns'], line['query'])) is not None
    ]  # fmt: skip
    present = [(line, label) for line, label in pairs if label.present]
    absent = [(line, label) for line, label in pairs if not label.present]
    scores: dict[str, Any] = {
        'labelled': len(pairs),
        'missed': sum(not line['targets'] for line, _ in present),
        'invented': sum(bool(line['targets']) for line, _ in absent),
    }
    for name, measure in MEASURES.items():
        values = [value for line, label in present if (value := measure(line, label)) is not None]
        if values:
            scores[name] = _spread(values)
            if name == 'point_error_mm':
                scores['silent_errors'] = sum(value > 1000 * _SILENT_M for value in values)
    return scores


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        'count': len(values),
        'mean': float(np.mean(values)),
        'median': float(np.median(values)),
        'p90': float(np.percentile(values, 90)),
    }


def _keypoints(line: Json) -> Any:
    points = (line['prediction'] or {}).get('keypoints_uv_px')
    return np.array(points, np.float64).reshape(-1, 2) if points else None


def _boxes(line: Json) -> list[Json]:
    return (line['prediction'] or {}).get('boxes') or []


def points_in_mask(line: Json, label: Label) -> float | None:
    """Share of the keypoints in the labelled mask.

    An answer without any place counts 0, one of boxes alone not at all.
    """
    points = _keypoints(line)
    if label.mask is None or (points is None and _boxes(line)):
        return None
    return 0.0 if points is None else point_accuracy(Keypoints(points), label.mask)


def pixel_error(line: Json, label: Label) -> float | None:
    """Distance in pixels from the first keypoint to the nearest labelled one."""
    points = _keypoints(line)
    if points is None or not len(label.points):
        return None
    return float(np.linalg.norm(label.points - points[0], axis=1).min())


def box_iou(line: Json, label: Label) -> float | None:
    """Intersection over union of the first box with the best labelled one.

    An answer without any place counts 0, one of points alone not at all.
    """
    boxes = _boxes(line)
    if not len(label.boxes) or (not boxes and _keypoints(line) is not None):
        return None
    return max(_iou(np.array(boxes[0]['xyxy_px']), truth) for truth in label.boxes) if boxes else 0.0


def _iou(first: Any, second: Any) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    inner = float(np.prod(np.clip(high - low, 0, None)))
    outer = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])) - inner
    return inner / outer if outer > 0 else 0.0


def _nearest(line: Json, label: Label) -> tuple[Any, int] | None:
    """Return the contact of the best target and the index of the labelled point next to it."""
    contact = best_contact(line)
    if contact is None or not len(label.points_m):
        return None
    return contact, int(np.linalg.norm(label.points_m - contact['point_m'], axis=1).argmin())


def point_error_mm(line: Json, label: Label) -> float | None:
    """Distance in millimetres from the best contact to the nearest labelled point."""
    found = _nearest(line, label)
    if found is None:
        return None
    return 1000 * float(np.linalg.norm(label.points_m[found[1]] - found[0]['point_m']))


def normal_error_deg(line: Json, label: Label) -> float | None:
    """Angle in degrees between the normal of the best contact and the labelled one."""
    found = _nearest(line, label)
    if found is None or len(label.normals) != len(label.points_m):
        return None
    cosine = float(np.dot(label.normals[found[1]], found[0]['normal']))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def width_error_mm(line: Json, label: Label) -> float | None:
    """Difference in millimetres between the width of the best target and the labelled one."""
    if not line['targets'] or not np.isfinite(label.width_m):
        return None
    return 1000 * abs(float(line['targets'][0]['width_m']) - label.width_m)


MEASURES: dict[str, Measure] = {
    'points_in_mask_accuracy': points_in_mask,
    'pixel_error': pixel_error,
    'box_iou': box_iou,
    'point_error_mm': point_error_mm,
    'normal_error_deg': normal_error_deg,
    'width_error_mm': width_error_mm,
}
