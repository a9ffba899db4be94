# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of an answer against its label in the image: points, boxes, masks, heatmaps and paths.

A measure returns None where it does not apply. A refusal counts as the worst answer to what the run gives otherwise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.labels import Label
from affordance_ros.evaluation.large_parts import heatmap_of, mask_of
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.metrics.boxes import box_iou as iou_of_boxes
from affordance_ros.metrics.heatmap import HeatmapScore, empty_score, heatmap_score
from affordance_ros.metrics.masks import Overlap, overlap
from affordance_ros.metrics.points import point_accuracy
from affordance_ros.metrics.traces import resampled
from affordance_ros.results import FloatArray, Keypoints

KINDS = ('heatmap', 'masks', 'traces_uv_px', 'hands')


@dataclass(frozen=True)
class Case:
    """An answer and its truth. gives: which of KINDS any answer of the run has. folder: where its heatmap lies."""

    line: Json
    label: Label
    gives: frozenset[str] = frozenset()
    folder: RunFolder | None = None

    @property
    def said(self) -> Json:
        """What the model answered, empty for a refusal."""
        return self.line['prediction'] or {}

    @property
    def points(self) -> FloatArray | None:
        """Keypoints (N, 2), None without any."""
        points = self.said.get('keypoints_uv_px')
        return np.array(points, np.float64).reshape(-1, 2) if points else None

    @property
    def boxes(self) -> list[Json]:
        """Boxes, best first."""
        return self.said.get('boxes') or []


def kinds_given(lines: list[Json]) -> frozenset[str]:
    """Return which of KINDS any answer has."""
    return frozenset(kind for kind in KINDS if any((line['prediction'] or {}).get(kind) for line in lines))


def points_in_mask(case: Case) -> float | None:
    """Share of the keypoints in the labelled mask.

    An answer without any place counts 0, one of boxes alone not at all.
    """
    points = case.points
    if case.label.mask is None or (points is None and case.boxes):
        return None
    return 0.0 if points is None else point_accuracy(Keypoints(points), case.label.mask)


def pixel_error(case: Case) -> float | None:
    """Distance in pixels from the first keypoint to the nearest labelled one."""
    points = case.points
    if points is None or not len(case.label.points):
        return None
    return float(np.linalg.norm(case.label.points - points[0], axis=1).min())


def box_iou(case: Case) -> float | None:
    """Intersection over union of the first box with the best labelled one.

    An answer without any place counts 0, one of points alone not at all.
    """
    if not len(case.label.boxes) or (not case.boxes and case.points is not None):
        return None
    if not case.boxes:
        return 0.0
    answer = case.boxes[0]['xyxy_px']
    return max(iou_of_boxes(answer, truth) for truth in case.label.boxes)


def mask_overlap(case: Case) -> Overlap | None:
    """Pixels that the answered and the labelled masks share, each as one mask. Raises BAD_INPUT for other sizes."""
    truth = case.label.mask
    if truth is None or 'masks' not in case.gives:
        return None
    answer = mask_of(case.line)
    if answer is not None:
        _check_size('mask', answer.shape, truth.shape)
    return overlap(answer, truth)


def mask_iou(case: Case) -> float | None:
    """Intersection over union of all answered masks with all labelled ones."""
    both = mask_overlap(case)
    return None if both is None else both.iou


def heatmap_scores(case: Case) -> HeatmapScore | None:
    """KLD, SIM and NSS of the heatmap; a refusal is an empty map. Raises BAD_INPUT for other sizes."""
    truth = case.label.heatmap
    if truth is None or 'heatmap' not in case.gives or case.folder is None:
        return None
    answer = heatmap_of(case.line, case.folder)
    if answer is None:
        return empty_score(truth)
    _check_size('heatmap', answer.shape, truth.shape)
    return heatmap_score(answer, truth)


def path_errors(answer: Any, truth: npt.ArrayLike) -> FloatArray:
    """Return the distances in pixels (T,) at the steps of the true path; the answer is resampled to as many points."""
    wanted = np.asarray(truth, np.float64)
    return np.asarray(np.linalg.norm(resampled(answer, len(wanted)) - wanted, axis=1))


def trace_errors(case: Case) -> FloatArray | None:
    """Distances (T,) of the first trace from the labelled one that is nearest to it on average."""
    traces = case.said.get('traces_uv_px') or ()
    usable = [truth for truth in case.label.traces if len(truth) > 1]
    if not traces or not usable or len(traces[0]['points']) < 2:
        return None
    return min((path_errors(traces[0]['points'], truth) for truth in usable), key=lambda errors: float(errors.mean()))


def hand_errors(case: Case) -> list[FloatArray]:
    """Distances (T,) of each labelled hand whose side the answer has."""
    answered = {hand['side']: hand['points_uv_px'] for hand in case.said.get('hands') or ()}
    truths = {side: path for side, path in case.label.hands.items() if len(path) > 1 and side in answered}
    return [path_errors(answered[side], truth) for side, truth in truths.items()]


def trace_ade(case: Case) -> float | None:
    """Mean distance in pixels of the trace over the steps of the true one."""
    errors = trace_errors(case)
    return None if errors is None else float(errors.mean())


def trace_fde(case: Case) -> float | None:
    """Distance in pixels of the end of the trace."""
    errors = trace_errors(case)
    return None if errors is None else float(errors[-1])


def hand_ade(case: Case) -> float | None:
    """Mean distance in pixels of the hands over the steps."""
    errors = hand_errors(case)
    return float(np.mean([each.mean() for each in errors])) if errors else None


def hand_fde(case: Case) -> float | None:
    """Mean distance in pixels of the hands at the last step."""
    errors = hand_errors(case)
    return float(np.mean([each[-1] for each in errors])) if errors else None


def _check_size(what: str, answer: tuple[int, ...], truth: tuple[int, ...]) -> None:
    if answer != truth:
        sizes = f'the answer is {answer[1]}x{answer[0]}, the label {truth[1]}x{truth[0]}'
        raise AffordanceError(Code.BAD_INPUT, f'the labelled {what} has another size: {sizes}')
