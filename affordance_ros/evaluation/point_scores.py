# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answered points scored: their share in the mask, right and as RoboPoint's evaluation of Where2Place has it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.pictures import decoded
from affordance_ros.evaluation.attachments import content_of
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.points import official_where2place_score, where2place_score
from affordance_ros.models.robopoint_official import official_points_or_none
from affordance_ros.results import Keypoints

ALL = 'all'
_BRIGHT = 128  # masks are JPEG files: an edge is grey


def score_points(lines: Sequence[Json], run: Json) -> Json:  # noqa: ARG001 - one signature for all benchmarks
    """Return the figures of all questions and of each category."""
    groups: dict[str, list[Json]] = {ALL: list(lines)}
    for line in lines:
        if line['truth']['category']:
            groups.setdefault(line['truth']['category'], []).append(line)
    return {name: _score(group) for name, group in groups.items()}


def _score(lines: Sequence[Json]) -> Json:
    greys = [_mask(line) for line in lines]
    masks = [(grey if grey.ndim == 2 else grey.max(axis=2)) >= _BRIGHT for grey in greys]
    answers = [_answer(line, mask.shape) for line, mask in zip(lines, masks, strict=True)]
    score = where2place_score(answers, masks)
    return {
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'unreadable': score.unreadable,
        'mean_accuracy': score.mean,
        'mean_points': score.mean_points,
        **_official(lines, greys),
    }


def _mask(line: Json) -> npt.NDArray[np.uint8]:
    return np.asarray(decoded(content_of(line['truth']['mask']), line['truth']['mask']['attachment']))


def _answer(line: Json, shape: tuple[int, ...]) -> Keypoints | None:
    """Return the answered points in pixels of the mask; a box stands for all its pixels. None: unreadable."""
    if line.get('keypoints_uv_px') is None and line.get('boxes_xyxy_px') is None:
        return None
    width, height = line['size']
    parts = [np.array(line.get('keypoints_uv_px') or np.zeros((0, 2)), np.float64)]
    for box in line.get('boxes_xyxy_px') or ():
        low, high = np.maximum(np.ceil(box[:2]), 0), np.minimum(np.floor(box[2:]), (width - 1, height - 1))
        u, v = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        parts.append(np.column_stack([u.ravel(), v.ravel()]))
    # The mask may have another size than the image that was asked about; pixel centres are at integers.
    scale = np.array([shape[1], shape[0]]) / np.array([width, height], np.float64)
    return Keypoints((np.concatenate(parts) + 0.5) * scale - 0.5)


def _official(lines: Sequence[Json], greys: Sequence[npt.NDArray[Any]]) -> Json:
    """Return what the official program prints; a question that could not be asked is in no sum of it."""
    asked = [(line['text'], grey) for line, grey in zip(lines, greys, strict=True) if line['text'] is not None]
    points = official_points_or_none([text for text, _ in asked])
    try:
        score = official_where2place_score(points, [grey for _, grey in asked])
    except (IndexError, ValueError) as error:
        return {'official_stops_with': type(error).__name__}
    return {'official_accuracy': score.mean, 'official_left_out': len(score.skipped) + len(lines) - len(asked)}


def write_answer_file(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    """Write the answer file that the official scorer reads; it goes by the order of the lines."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'answers.jsonl'
    with path.open('w', encoding='utf-8') as file:
        for line in sorted(lines, key=lambda line: int(line['truth']['index'])):
            truth = line['truth']
            asked = truth['question']
            record = {
                'question_id': truth['id'],
                'prompt': asked.split('\n', 1)[-1] if '<image>' in asked else asked,
                'text': line['text'] or '',
                'model_id': run['model']['checkpoint'] or run['model']['name'],
                'category': truth['category'],
            }
            file.write(json.dumps(record) + '\n')
    return (path,)
