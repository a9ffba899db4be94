# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the official scorer of RoboInter's one-image tasks computes, defects included, to compare with published tables.

Behaviour of InternRobotics/RoboInter at 481acfb, eval/benchmark/eval_llava_format/manip/generation.py. Scores to trust
are in `boxes`, `traces`, `choices` and `robointer`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.metrics.robointer import BOX_TASKS, CHOICE_TASKS, DECIDE_TASKS, TRACE_TASKS

SOURCES = ('intern', 'qwen', 'llava', 'api')
KINDS = {'box': BOX_TASKS, 'traj': TRACE_TASKS, 'decide': (*DECIDE_TASKS, *CHOICE_TASKS)}
IOU_THRESHOLD = 0.1
_FACTOR = 28
_SMALLEST = 56 * 56
_LARGEST = 14 * 14 * 4 * 1280
_SIGNED = r'(-?\d*\.?\d+)'
_FOUR = re.compile(r'[\[(]?\s*' + r'\s*,\s*'.join([_SIGNED] * 4) + r'\s*[\])]?')
_CORNER = r'\[\s*\d+\s*,\s*\d+\s*\]'
_CORNERS = re.compile(r'\[\s*' + _CORNER + r'\s*,\s*' + _CORNER + r'\s*\]')
_UNSIGNED = re.compile(r'\d+\.?\d*|\.\d+')
_TAIL = 100


@dataclass(frozen=True)
class OfficialAnswer:
    """One record of an answer file. image_size: (width, height) where the record has it."""

    id: str
    pred: str
    gt: str
    image_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Size that the scorer takes; without one it goes by the name of the data source."""
        return self.image_size or ((640, 480) if 'RH20T' in self.id else (320, 180))


def official_qwen_pred(question: str, answer: str) -> str:
    """Return what the official Qwen scripts store as the answer: the whole conversation, the question included.

    So the numbers and letters of the question are scored too (evaluation_intermediate.py decodes the whole sequence).
    """
    asked = question.replace('<image>\n', '').replace('<image>', '')
    return f'system\nYou are a helpful assistant.\nuser\n{asked}\nassistant\n{answer}'.strip()


def official_numbers(text: str) -> list[float]:
    """Return every number of a text: signs lost, an exponent is a number of its own, digits within words count."""
    return [float(number) for number in _UNSIGNED.findall(text)]


def official_box_numbers(text: str) -> list[Any]:
    """Return the numbers read as a box: one flat list of four, else nested whole numbers, else the first four of all.

    Without four numbers it is [0, 0, 0, 0], which scores as an answer.
    """
    for pattern in (_FOUR, _CORNERS):
        match = pattern.search(text)
        if match:
            try:
                values: list[Any] = np.array(json.loads(match.group())).reshape(-1).tolist()
            except ValueError:
                continue
            return values
    numbers = official_numbers(text)
    return numbers[:4] if len(numbers) >= 4 else [0, 0, 0, 0]


def official_trace_numbers(text: str) -> list[float]:
    """Return all numbers of a text but an odd last one."""
    numbers = official_numbers(text)
    return numbers[: len(numbers) // 2 * 2]


def official_smart_resize(height: int, width: int) -> tuple[int, int]:
    """Return (height, width) after the scorer's own copy of the resizing rule, whose limit is 1,003,520 pixels.

    Raises:
        ValueError: for a side below 28 pixels or a ratio above 200.
    """
    if min(height, width) < _FACTOR:
        raise ValueError(f'height {height} and width {width} must be at least {_FACTOR}')
    if max(height, width) / min(height, width) > 200:
        raise ValueError(f'the sides of {width}x{height} differ by more than 200 times')
    rows, columns = round(height / _FACTOR), round(width / _FACTOR)
    pixels = rows * columns * _FACTOR**2
    if pixels > _LARGEST:
        shrink = math.sqrt(height * width / _LARGEST)
        rows, columns = math.floor(height / shrink / _FACTOR), math.floor(width / shrink / _FACTOR)
    elif pixels < _SMALLEST:
        grow = math.sqrt(_SMALLEST / (height * width))
        rows, columns = math.ceil(height * grow / _FACTOR), math.ceil(width * grow / _FACTOR)
    return rows * _FACTOR, columns * _FACTOR


def official_pixels(numbers: npt.ArrayLike, source: str, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Return pixels (N, 2) of the image of `size` (w, h) from the numbers of an answer.

    Whole numbers are cut to whole pixels after scaling, as the official code writes into an array of integers.

    Args:
        numbers: flat, an even count.
        source: 'llava' (shares), 'qwen' (pixels of the resized image), 'intern' (thousandths) or 'api' (as they are).
        size: (width, height).
    """
    points = np.array(numbers).reshape(-1, 2)
    if source == 'api':
        return points
    if source == 'llava':
        multiply, divide = size, (1, 1)
    elif source == 'intern':
        multiply, divide = size, (1000, 1000)
    elif source == 'qwen':
        # Width and height are swapped in the call and in its result alike.
        multiply, divide = size, official_smart_resize(*size)
    else:
        raise ValueError(f'source must be one of {", ".join(SOURCES)}, got {source!r}')
    for axis in range(2):
        points[:, axis] = points[:, axis] * multiply[axis] / divide[axis]
    return points


def official_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Return intersection over union of corners as they come: swapped ones give 0."""
    width = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    inside = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    union = areas[0] + areas[1] - inside
    return inside / union if union > 0 else 0.0


def official_dtw(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return the dynamic time warping distance of points (N, 2), infinite when one side has none."""
    total = np.full((len(first) + 1, len(second) + 1), np.inf)
    total[0, 0] = 0
    for i, point in enumerate(first):
        for j, other in enumerate(second):
            best = min(total[i, j + 1], total[i + 1, j], total[i, j])
            total[i + 1, j + 1] = np.linalg.norm(point - other) + best
    return float(total[-1, -1])


def official_answer_score(answer: OfficialAnswer, kind: str, source: str) -> float:
    """Return the score of one record: IoU ('box'), DTW in pixels ('traj') or 1 and 0 (anything else).

    An empty trace scores 0, an empty choice 1, a letter anywhere in the last 100 characters 1.

    Raises:
        ValueError, IndexError: for a truth without a whole box, as the official program.
    """
    truth_source = 'qwen' if source == 'api' else source
    if kind == 'box':
        box = official_pixels(official_box_numbers(answer.pred)[:4], source, answer.size).reshape(-1).tolist()
        truth = official_pixels(official_numbers(answer.gt)[:4], truth_source, answer.size).reshape(-1).tolist()
        return official_iou(box, truth)
    if kind == 'traj':
        path = official_pixels(official_trace_numbers(answer.pred), source, answer.size)
        score = official_dtw(path, official_pixels(official_trace_numbers(answer.gt), truth_source, answer.size))
        return 0.0 if math.isinf(score) else score
    pred, gt = answer.pred.strip(), answer.gt.strip()
    return float(gt in pred[-_TAIL:] or pred in gt)


@dataclass(frozen=True)
class OfficialFileScore:
    """What the program prints of one answer file. value: mean IoU, mean DTW or accuracy. used: records in that mean.

    accuracy: of boxes, the share with IoU above 0.1, which the paper's table has; NaN for the other kinds.
    """

    value: float
    used: int
    accuracy: float = float('nan')


def official_file_score(answers: Sequence[OfficialAnswer], kind: str, source: str) -> OfficialFileScore:
    """Score an answer file; traces of distance 0, the perfect and the empty ones, are left out.

    Raises:
        ZeroDivisionError: when nothing is left, as the official program.
    """
    scores = [official_answer_score(answer, kind, source) for answer in answers]
    if kind == 'traj':
        scores = [score for score in scores if score > 0]
    value = sum(scores) / len(scores)
    if kind != 'box':
        return OfficialFileScore(value, len(scores))
    return OfficialFileScore(value, len(scores), sum(score > IOU_THRESHOLD for score in scores) / len(scores))


def official_average(files: Mapping[str, OfficialFileScore]) -> float:
    """Return the program's last line: the mean over files, IoU, pixels and accuracy in one."""
    return sum(score.value for score in files.values()) / len(files)


def official_kind(task: str) -> str:
    """Return 'box', 'traj' or 'decide' of a task's answer file. Raises ValueError for a file that it does not score."""
    for kind, tasks in KINDS.items():
        if task in tasks:
            return kind
    raise ValueError(f'the official program scores no file of the task {task!r}')


def official_source(model_name: str) -> str:
    """Return the meaning of coordinates that the program takes from the NAME of the result folder."""
    name = model_name.lower()
    if 'intern' in name:
        return 'intern'
    if 'qwen25' in name or 'brain' in name:
        return 'qwen'
    return 'llava' if 'llava' in name else 'api'
