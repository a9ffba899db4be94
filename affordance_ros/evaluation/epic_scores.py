# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand paths scored: mean, last and weighted error, right and as HandsOnVLM's evaluation prints them."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.trajectory import (
    EvaluatedClip,
    TrajectoryScore,
    farthest_corners,
    official_evaluation,
    trajectory_score,
)
from affordance_ros.models.handsonvlm_official import official_returned

STEPS = 4
SIDES = ('right', 'left')
Array = npt.NDArray[np.float64]


def score_hands(lines: Sequence[Json], run: Json) -> Json:  # noqa: ARG001 - one signature for all benchmarks
    """Return the figures by task."""
    tasks: dict[str, list[Json]] = {}
    for line in lines:
        tasks.setdefault(line['truth']['task'], []).append(line)
    return {task: _figures(group) for task, group in tasks.items()}


def _figures(lines: Sequence[Json]) -> Json:
    true = np.array([line['truth']['hands'] for line in lines], np.float64)[:, :, -STEPS:]
    valid = np.array([line['truth']['valid'] for line in lines], np.float64)
    answers = [_answer(line) for line in lines]
    whole = np.array([answer.shape[1] == STEPS for answer in answers])
    predicted = np.stack([_filled(answer, each) for answer, each in zip(answers, true, strict=True)])[:, None]
    clips = [_official_clip(line, answer) for line, answer in zip(lines, answers, strict=True)]
    return {
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'unanswered': int((~whole).sum()),
        'steps': {str(count): number for count, number in sorted(Counter(a.shape[1] for a in answers).items())},
        'of_all': _named(trajectory_score(predicted, true, valid)),
        'of_answered': _named(trajectory_score(predicted[whole], true[whole], valid[whole])),
        'official': _official(clips),
        'official_left_out': sum(clip is None for clip in clips),
    }


def _named(score: TrajectoryScore) -> Json:
    return {'ade': score.ade, 'fde': score.fde, 'wde': score.wde, 'hands': score.hands}


def _answer(line: Json) -> Array:
    """Return the last answered positions (2, n, 2), n <= STEPS, in fractions of the image; n is 0 without a path."""
    hands = line.get('hands_uv_px') or {}
    if set(hands) != set(SIDES):
        return np.zeros((2, 0, 2))
    paths = np.array([hands[side][-STEPS:] for side in SIDES], np.float64).reshape(2, -1, 2)
    return paths / np.array(line['size'], np.float64)


def _filled(answer: Array, true: Array) -> Array:
    """Return (2, STEPS, 2): the answer, and for steps that it lacks the farthest corners."""
    filled = farthest_corners(true).astype(np.float64)
    filled[:, : answer.shape[1]] = answer
    return filled


def _official_clip(line: Json, answer: Array) -> EvaluatedClip | None:
    """Return what the official program would score; None for a question that it could not ask."""
    if line['outcome'] == Code.UNPARSABLE_ANSWER.name:
        read = _unparsable_positions(line)
        if read is None:
            return None
        answer = read
    elif line['outcome'] != 'OK':
        return None
    truth = np.array([line['truth']['hands']], np.float32)
    return EvaluatedClip(official_returned(answer)[None, None], truth, np.array([line['truth']['valid']], np.float32))


def _unparsable_positions(line: Json) -> Array | None:
    """Return the positions of an answer that was refused as absurd; it was kept as the text of a list."""
    try:
        text = str(line['text']).replace('nan', 'NaN').replace('inf', 'Infinity')
        positions = np.array(json.loads(text), np.float64)
    except ValueError:
        return None
    return positions[0] if positions.ndim == 4 and positions.shape[1::2] == (2, 2) else None


def _official(clips: Sequence[EvaluatedClip | None]) -> Json:
    try:
        score = official_evaluation(clips)
    except (AssertionError, ValueError, IndexError) as error:
        return {'stops_with': type(error).__name__}
    return {'ade': score.ade, 'fde': score.fde, 'wde': score.wde, 'std': list(score.std)}


def write_hand_results(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:  # noqa: ARG001
    """Write nothing: the official program scores in the loop that asks, and reads no answers."""
    return ()
