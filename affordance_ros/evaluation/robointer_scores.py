# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VQA scored: each figure computed right, and beside it what the official programs print."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros.datasets.answer_files import WrittenAnswer, answer_file, write_answers
from affordance_ros.datasets.robointer_vqa import TASKS
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.boxes import box_score
from affordance_ros.metrics.choices import choice_score
from affordance_ros.metrics.robointer import THRESHOLDS, contact_point_score, first_decision
from affordance_ros.metrics.robointer_official import (
    OfficialAnswer,
    official_file_score,
    official_kind,
    official_qwen_pred,
)
from affordance_ros.metrics.robointer_official_language import official_planning_score
from affordance_ros.metrics.sentences import sentence_score
from affordance_ros.metrics.traces import TraceErrors, trace_score
from affordance_ros.results import Boxes, Keypoints, Trace

# What the official scorer calls the coordinates of each format of the data set; it knows none for the third.
OFFICIAL_SOURCE = {'llava': 'llava', 'smart_resize': 'qwen'}
PLANNING = tuple(name for name, task in TASKS.items() if task.part == 'Task_planning')
PLANNING_FILE = 'all_plan_VQA_selection_judgement_val'
_LETTER = re.compile(r'\W*([A-D])(?![A-Za-z0-9])')


def score_robointer(lines: Sequence[Json], run: Json) -> Json:
    """Return the figures by task, and of the planning tasks together as the official program has them.

    Questions whose truth cannot be read are counted (`without_truth`) and left out of the right figures. The official
    figures are over what the model wrote; a question that it could not be asked is in none of them.
    """
    by_task: dict[str, list[Json]] = {}
    for line in lines:
        by_task.setdefault(line['truth']['task'], []).append(line)
    source = OFFICIAL_SOURCE.get(run['questions']['coordinates'])
    scores = {task: _task_score(task, answers, source) for task, answers in by_task.items()}
    planning = [line for task in PLANNING for line in by_task.get(task, ())]
    return {**scores, **({'official_planning': _official_planning(planning, source)} if planning else {})}


def _task_score(task: str, lines: Sequence[Json], source: str | None) -> Json:
    kind = TASKS[task].kind
    judge = {'box': _boxes, 'points': _points, 'trace': _traces}.get(kind)
    usable = [line for line in lines if _truth(kind, line) is not None]
    figures = judge(usable) if judge else _words(kind, usable)
    return {
        'kind': kind,
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'without_truth': len(lines) - len(usable),
        **figures,
        **_official(task, lines, source),
    }


def _truth(kind: str, line: Json) -> Any:
    answer = line['truth']['answer']
    if kind in ('box', 'points', 'trace'):
        points = line['truth']['points']
        if points is None or (len(points) != 2 if kind != 'trace' else not points):
            return None
        # Answers are cut at the centre of the last pixel, so the truth is too.
        last = np.array(line['size'], np.float64) - 1 if line.get('size') else np.inf
        return np.minimum(np.array(points, np.float64), last)
    if kind == 'choice':
        match = _LETTER.match(answer)
        return match[1] if match else None
    return first_decision(answer) if kind == 'decide' else answer.strip() or None


def _boxes(lines: Sequence[Json]) -> Json:
    answers = [Boxes(line['boxes_xyxy_px']) if line.get('boxes_xyxy_px') else None for line in lines]
    score = box_score(answers, [np.sort(_truth('box', line), axis=0).reshape(4) for line in lines])
    accuracies = {f'accuracy_{threshold:g}': score.accuracy(threshold) for threshold in THRESHOLDS}
    return {'unreadable': score.unreadable, 'mean_iou': score.mean_iou, **accuracies}


def _points(lines: Sequence[Json]) -> Json:
    answers = [Keypoints(line['keypoints_uv_px']) if line.get('keypoints_uv_px') else None for line in lines]
    score = contact_point_score(answers, [_truth('points', line) for line in lines])
    return {'unreadable': score.unreadable, 'mean_error_px_of_read': score.mean}


def _traces(lines: Sequence[Json]) -> Json:
    answers = [Trace(line['traces_uv_px'][0]) if line.get('traces_uv_px') else None for line in lines]
    sizes = [(line['size'][0], line['size'][1]) if line.get('size') else (1, 1) for line in lines]
    score = trace_score(answers, [_truth('trace', line) for line in lines], sizes)
    return {
        'unreadable': score.unreadable,
        'mean_px_of_read': _errors(score.mean),
        'mean_in_diagonals_of_read': _errors(score.normalised_mean),
    }


def _errors(errors: TraceErrors) -> Json:
    return {'dtw': errors.dtw, 'frechet': errors.frechet, 'hausdorff': errors.hausdorff, 'rmse': errors.rmse}


def _words(kind: str, lines: Sequence[Json]) -> Json:
    truths = [_truth(kind, line) for line in lines]
    if kind == 'text':
        sentences = sentence_score([line.get('words') for line in lines], truths)
        return {'unreadable': sentences.unreadable, 'mean_bleu': sentences.mean}
    read = [first_decision(line['text'] or '') if kind == 'decide' else line.get('words') for line in lines]
    score = choice_score(read, truths)
    return {'unreadable': score.unreadable, 'accuracy': score.accuracy}


def _official_answers(lines: Sequence[Json], source: str | None) -> list[OfficialAnswer]:
    """Return the records as the official scripts store them; questions that could not be asked are not in them."""
    answers = []
    for line in lines:
        if line['text'] is not None:
            truth = line['truth']
            pred = official_qwen_pred(truth['question'], line['text']) if source == 'qwen' else line['text']
            answers.append(OfficialAnswer(truth['id'], pred, truth['answer']))
    return answers


def _official(task: str, lines: Sequence[Json], source: str | None) -> Json:
    """Return what the official program prints for the answer file; nothing for tasks that it does not score."""
    asked = _official_answers(lines, source)
    if task in PLANNING or TASKS[task].kind == 'points' or source is None or not asked:
        return {}
    try:
        score = official_file_score(asked, official_kind(task), source)
    except (ZeroDivisionError, ValueError, IndexError) as error:
        return {'official_stops_with': type(error).__name__}
    figures: Json = {'official_used': score.used}
    if TASKS[task].kind == 'box':
        return {**figures, 'official_mean_iou': score.value, 'official_accuracy_0.1': score.accuracy}
    return {**figures, 'official_dtw_px' if TASKS[task].kind == 'trace' else 'official_accuracy': score.value}


def _official_planning(lines: Sequence[Json], source: str | None) -> Json:
    try:
        score = official_planning_score(_official_answers(lines, source))
    except ValueError as error:  # an id that names no planning task
        return {'official_stops_with': f'ValueError: {error}'}
    figures = {'choice': score.choice, 'decide': score.decide, 'planning_bleu': score.planning}
    return {f'official_{name}': value for name, value in figures.items()}


def write_official_files(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    """Write the answer files that the official scorers read, as the official scripts do; one for all planning tasks."""
    by_file: dict[str, list[Json]] = {}
    for line in lines:
        task = line['truth']['task']
        by_file.setdefault(PLANNING_FILE if task in PLANNING else task, []).append(line)
    source = OFFICIAL_SOURCE.get(run['questions']['coordinates'])
    written = {name: _official_answers(answers, source) for name, answers in by_file.items()}
    return tuple(
        write_answers(answer_file(out, name), (WrittenAnswer(item.id, item.pred, item.gt) for item in answers))
        for name, answers in written.items()
    )
