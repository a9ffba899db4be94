# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the official scorers of RoboInter's planning tasks and its metric library compute, defects included.

Behaviour of InternRobotics/RoboInter at 481acfb: eval/benchmark/eval_llava_format/task_planning/eval.py (the published
figures) and eval/utils/metric_utils.py (no published figure uses it). Scores to trust are in `sentences` and `traces`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.metrics.robointer import planning_kind
from affordance_ros.metrics.robointer_official import OfficialAnswer
from affordance_ros.metrics.sentences import Bleu, Smoothing, method_1, no_smoothing, weighted_bleu

# Weights by order; a reference of n words uses the first n, the last of them again for the orders beyond.
_WEIGHTS = ((1.0,), (0.5, 0.5), (0.33, 0.33, 0.33), (0.25, 0.25, 0.25, 0.25))
_NO_METRIC = -1.0
_KEYS = ('current_bbox', 'target_bbox', 'grasp_point', 'future_traj', 'action')


def official_bleu(answer: str, truth: str, smoothing: Smoothing = method_1) -> Bleu:
    """Return BLEU-1 to BLEU-4: words by single spaces, so two spaces make an empty word; thirds are 0.33."""
    candidate, reference = answer.split(' '), truth.split(' ')
    one, two, three, four = (
        weighted_bleu(candidate, reference, _WEIGHTS[min(order, len(reference)) - 1], smoothing)
        for order in range(1, 5)
    )
    return Bleu((one, two, three, four))


def official_planning_answer(answer: OfficialAnswer) -> int | Bleu:
    """Return the planning program's score of one record: 1 or 0, or BLEU for a sentence.

    Only the last line counts, in lower case. A choice is right when one text contains the other (an empty one always
    does); yes and no are looked for anywhere, also within words, yes first.

    Raises:
        ValueError: the id names no known task.
    """
    pred, gt = answer.pred.split('\n')[-1].lower(), answer.gt.lower()
    kind = planning_kind(answer.id)
    if kind == 'planning':
        return official_bleu(pred, gt)
    if kind == 'choice':
        return int(gt in pred or pred in gt)
    if gt in ('yes', 'no'):
        pred = next((word for word in ('yes', 'no') if word in pred), pred)
    return int(gt == pred)


@dataclass(frozen=True)
class OfficialPlanningScore:
    """Means over the records of each kind, NaN without any. bleu: mean of BLEU-1 to BLEU-4 by order."""

    choice: float
    decide: float
    planning: float
    bleu: tuple[float, float, float, float]


def official_planning_score(answers: Sequence[OfficialAnswer]) -> OfficialPlanningScore:
    """Score the one answer file of the planning tasks."""
    found: dict[str, list[Any]] = {'choice': [], 'decide': [], 'planning': []}
    for answer in answers:
        found[planning_kind(answer.id)].append(official_planning_answer(answer))
    one, two, three, four = (_mean([bleu.orders[order] for bleu in found['planning']]) for order in range(4))
    return OfficialPlanningScore(
        _mean(found['choice']),
        _mean(found['decide']),
        _mean([bleu.mean for bleu in found['planning']]),
        (one, two, three, four),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float('nan')


def official_language_metric(answer: str, truth: str) -> Bleu:
    """Return the metric library's BLEU: without smoothing, so an order without a match makes it next to 0."""
    return official_bleu(answer, truth, no_smoothing)


def official_trace_metric(pred: Any, gt: Any) -> Mapping[str, float]:
    """Return dfd, hd, dtw and rmse of the metric library for lists of points; -1 each for malformed ones.

    rmse is 0, the best value, when the numbers of points differ.

    Raises:
        TypeError, IndexError: for texts, which is what the official script hands over.
    """
    value = _under('future_traj', pred)
    failed = dict.fromkeys(('dfd', 'hd', 'dtw', 'rmse'), _NO_METRIC)
    if value is None:
        return failed
    try:
        points, wanted = np.array(value), np.array(gt)
    except ValueError:
        return failed
    if points.shape[-1] != 2 or wanted.shape[-1] != 2:
        return failed
    cost = np.linalg.norm(points[:, None] - wanted, axis=2)
    leash, total = (np.full((len(points) + 1, len(wanted) + 1), np.inf) for _ in range(2))
    leash[0, 0] = total[0, 0] = 0
    for i, j in np.ndindex(*cost.shape):
        leash[i + 1, j + 1] = max(cost[i, j], min(leash[i, j + 1], leash[i + 1, j], leash[i, j]))
        total[i + 1, j + 1] = cost[i, j] + min(total[i, j + 1], total[i + 1, j], total[i, j])
    return {
        'dfd': float(leash[-1, -1]),
        'hd': float(max(cost.min(axis=1).max(), cost.min(axis=0).max())),
        'dtw': float(total[-1, -1]),
        'rmse': _axis_rmse(points, wanted) if len(points) == len(wanted) else 0.0,
    }


def _under(key: str, value: Any) -> Any:
    """Return what is under the key, or the value itself; a text that holds the key raises TypeError."""
    if key not in value:
        return value
    return value[key]


def _axis_rmse(points: Any, wanted: Any) -> float:
    return float(np.sqrt(np.mean((points - wanted) ** 2, axis=0)).mean())


def official_contact_point_metric(pred: Any, gt: Any) -> float:
    """Return the metric library's error of two contact points; 0, the best value, for a malformed answer, -1 for gt.

    Raises:
        TypeError, IndexError: for texts.
    """
    value = _under('contact_point', pred)
    if value is None:
        return 0.0
    try:
        points, wanted = np.array(value), np.array(gt)
    except ValueError:
        return 0.0
    if wanted.shape[-1] != 2 or wanted.shape[0] != 2:
        return _NO_METRIC
    return _axis_rmse(points, wanted) if points.shape[-1] == 2 and points.shape[0] == 2 else 0.0


def official_box_metric(pred: Any, gt: Any) -> float:
    """Return the metric library's IoU of the first answered box: with 1e-6 below, so a perfect box has less than 1.

    Returns -1 for several true boxes and 0 for an answer that is no list of fours.

    Raises:
        ValueError: for an empty answer, and for a truth that is a text.
    """
    try:
        boxes = np.array(pred)
    except ValueError:
        return 0.0
    truth = np.array(gt).reshape(-1, 4)
    if len(truth) > 1:
        return _NO_METRIC
    try:
        first = boxes.reshape(-1, 4)[:1]
    except ValueError:
        return 0.0
    sides = np.minimum(first[:, 2:], truth[:, 2:]) - np.maximum(first[:, :2], truth[:, :2])
    inside = np.maximum(0, sides).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (first, truth)]
    union = areas[0] + areas[1] - inside
    with np.errstate(divide='ignore', invalid='ignore'):
        return float(np.where(union > 0, inside / (union + 1e-6), 0.0).item())


def official_parse_single(text: str, key: str) -> Any:
    """Return what the metric library reads under `key`: of a JSON object its value, else {key: a flat list or None}."""
    record = _json_object(text)
    return record[key] if record is not None and key in record else {key: _flat_list(text, key)}


def official_parse_multi(text: str) -> dict[str, Any]:
    """Return the values of the metric library's five keys, None where there is none."""
    record = _json_object(text)
    if record is not None:
        return {key: record.get(key) for key in _KEYS}
    found = {key: _flat_list(text, key) for key in _KEYS}
    return found | {'future_traj': found['future_traj'] or found['action'], 'action': None}


def _json_object(text: str) -> dict[str, Any] | None:
    start, end = text.find('{'), text.rfind('}')
    if -1 in (start, end):
        return None
    try:
        record = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _flat_list(text: str, key: str) -> Any:
    """Return the list behind a quoted key up to the first closing bracket; nested ones are therefore lost."""
    match = re.search(rf'"{key}"\s*:\s*(\[[^\]]*\])', text)
    try:
        return json.loads(match[1]) if match else None
    except (ValueError, RecursionError):
        return None
