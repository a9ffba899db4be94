# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers against labels: each measure over the answers that have it and the label for it, refusals counted."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from affordance_ros.evaluation import measures as image
from affordance_ros.evaluation import measures_3d as space
from affordance_ros.evaluation.calibration import calibrate
from affordance_ros.evaluation.labels import Labels, SceneSource
from affordance_ros.evaluation.measures import Case
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.metrics.masks import mask_score

Measure = Callable[[Case], float | None]
_SILENT_M, _RIGHT_M = 0.02, 0.01
_RIGHT_IOU = 0.5
MEASURES: dict[str, Measure] = {
    'points_in_mask_accuracy': image.points_in_mask,
    'pixel_error': image.pixel_error,
    'box_iou': image.box_iou,
    'mask_iou': image.mask_iou,
    'trace_ade_px': image.trace_ade,
    'trace_fde_px': image.trace_fde,
    'hand_ade_px': image.hand_ade,
    'hand_fde_px': image.hand_fde,
    'point_error_mm': space.point_error_mm,
    'normal_error_deg': space.normal_error_deg,
    'width_error_mm': space.width_error_mm,
    'grasp_success': space.grasp_success,
}


def score_answers(answers: Sequence[Json], labels: Labels, folder: RunFolder | None = None) -> Json:
    """Return, for every measure that applies, its count, mean, median and 90th percentile. folder: of the heatmaps.

    `labelled` says how many answers have a label, `missed` how many of those that should have an answer have none,
    `invented` how many were answered although the right answer is none, `silent_errors` how many contacts lie more than
    20 mm from every labelled point. `masks` are the figures of all masks together, `calibration` what scores are worth.

    Raises:
        AffordanceError: BAD_INPUT for a labelled mask or heatmap of another size than the image.
    """
    gives = image.kinds_given(list(answers))
    cases = [
        Case(line, label, gives, folder)
        for line in answers
        if (label := labels.of(line['stamp_ns'], line['query'])) is not None
    ]
    present = [case for case in cases if case.label.present]
    scores: dict[str, Any] = {
        'labelled': len(cases),
        'missed': sum(not case.line['targets'] for case in present),
        'invented': sum(bool(case.line['targets']) for case in cases if not case.label.present),
    }
    for name, values in _values(present, labels.scene).items():
        if values:
            scores[name] = _spread(values)
    if 'point_error_mm' in scores:
        errors = [value for case in present if (value := space.point_error_mm(case)) is not None]
        scores['silent_errors'] = sum(value > 1000 * _SILENT_M for value in errors)
    overlaps = [both for case in present if (both := image.mask_overlap(case)) is not None]
    if overlaps:
        whole = mask_score(overlaps)
        scores['masks'] = {'giou': whole.giou, 'ciou': whole.ciou, 'p50_iou': whole.p50, 'p50_95_iou': whole.p50_95}
    calibration = _calibration(present, labels.scene)
    return scores | ({'calibration': calibration} if calibration else {})


def _values(cases: Sequence[Case], scene: SceneSource | None) -> dict[str, list[float]]:
    """Return the values of every measure, heatmaps compared once."""
    found = {
        name: [value for case in cases if (value := measure(case)) is not None] for name, measure in MEASURES.items()
    }
    found['grasp_holds'] = [value for case in cases if (value := space.grasp_holds(case, scene)) is not None]
    maps = [score for case in cases if (score := image.heatmap_scores(case)) is not None]
    for name in ('kld', 'sim', 'nss'):
        values = [float(getattr(score, name)) for score in maps]
        found[f'heatmap_{name}'] = [value for value in values if math.isfinite(value)]
    return found


def _calibration(cases: Sequence[Case], scene: SceneSource | None) -> Json:
    """Hold the score of the best target against the grasp, and the confidence of the model against the place."""
    found: Json = {}
    for name, score, right in (('score', _score, _right_in_space), ('confidence', _confidence, _right_in_image)):
        pairs = [(score(case), right(case, scene)) for case in cases]
        known = [(value, was) for value, was in pairs if value is not None and was is not None]
        result = calibrate([value for value, _ in known], [was for _, was in known])
        if result is not None:
            found[name] = dataclasses.asdict(result)
    return found


def _score(case: Case) -> float | None:
    return float(case.line['targets'][0]['score']) if case.line['targets'] else None


def _confidence(case: Case) -> float | None:
    confidence = case.said.get('confidence')
    return None if confidence is None else float(confidence)


def _right_in_space(case: Case, scene: SceneSource | None) -> bool | None:
    """Whether the best grasp holds, is a labelled one or touches within 10 mm of a labelled point: the first known."""
    for value in (space.grasp_holds(case, scene), space.grasp_success(case)):
        if value is not None:
            return value > 0
    error = space.point_error_mm(case)
    return None if error is None else error <= 1000 * _RIGHT_M


def _right_in_image(case: Case, _: SceneSource | None) -> bool | None:
    """Whether more than half of the points lie in the mask, or the box covers the true one by half."""
    for value in (image.points_in_mask(case), image.box_iou(case), image.mask_iou(case)):
        if value is not None:
            return value >= _RIGHT_IOU
    return None


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        'count': len(values),
        'mean': float(np.mean(values)),
        'median': float(np.median(values)),
        'p90': float(np.percentile(values, 90)),
    }
