# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What RoboInter writes, read into pixels: pure, strict about numbers, open about what had to be mended.

Geometry is a JSON object with one key per task; the LLaVA variant writes shares of the image's sides, the Qwen variant
pixels of the resized image. Text that does not hold exactly what was asked for is no answer.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.results import FloatArray

MARGIN = 0.02
LARGEST_SHARE = 1.5


@dataclass(frozen=True)
class Task:
    """name: ours. official: names of the benchmark's files. kind: box, points, trace, choice, decide or text."""

    name: str
    official: tuple[str, ...]
    kind: str
    key: str = ''


TASKS = (
    Task('current_box', ('current_box',), 'box', 'current_bbox'),
    Task('contact_box', ('contact_box',), 'box', 'contact_bbox'),
    Task('final_box', ('final_box',), 'box', 'final_bbox'),
    Task('gripper_box', ('gripper_det',), 'box', 'gripper_det_bbox'),
    Task('contact_points', ('contact_point',), 'points', 'contact_point'),
    Task('trace', ('traj', 'traj_wo_init_pos'), 'trace', 'future_traj'),
    Task('choice', ('grasppose_choice', 'grounding_choice', 'traj_choice', 'trajlang_choice', 'traj_direction_choice',
                    'trajlang_sub_choice', 'traj_direction_choice_with_traj'), 'choice'),
    Task('decide', ('contact_decide',), 'decide'),
    Task('plan', ('planning',), 'text'),
)  # fmt: skip
BY_NAME = {name: task for task in TASKS for name in (task.name, *task.official)}
KEYS = tuple(task.key for task in TASKS if task.key)

_NUMBER = r'[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?'
# A number inside a name (bbox_2d) is none; one behind 'x1=' is.
_NUMBERS = re.compile(rf'(?<![\w.])({_NUMBER})(?![\w.])')
_PAIR = re.compile(rf'\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]')
_SPECIAL = re.compile(r'<\|[^|<>]*\|>')
_LETTER = re.compile(r'(?<![A-Za-z0-9])([A-D])(?![A-Za-z0-9])')
_ARTICLE = re.compile(r'(?<![A-Za-z0-9])A (?=[a-z])')
_LIST_OF_LETTERS = re.compile(r'(?<![A-Za-z0-9])[A-D](?:\s*[/|]\s*[A-D])+(?![A-Za-z0-9])')
_WORDS = re.compile(r'[^\W\d_]+')


@dataclass(frozen=True)
class Coordinates:
    """What the numbers of an answer mean: times `scale` they are pixels of the original image of `size` (w, h).

    shares: they are shares of the sides, so that one above 1.5 is no answer.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    shares: bool


@dataclass(frozen=True)
class Geometry:
    """points: (N, 2) pixels of the original image; two corners for a box, top left first. repairs: what was mended.

    outside: the answer left the image by more than 2 % of a side and was cut at its edge.
    """

    points: FloatArray
    repairs: tuple[str, ...] = ()
    outside: bool = False


def answer_text(text: str) -> str:
    """Return what the assistant wrote: without a leaked prompt and special tokens."""
    return _SPECIAL.sub('', text.rpartition('assistant\n')[2]).strip()


def read_geometry(text: str, task: Task, coordinates: Coordinates, *, whole: bool = True) -> Geometry:
    """Read a box, contact points or a trace.

    Args:
        text: what the model wrote.
        task: of kind 'box', 'points' or 'trace'.
        coordinates: what its numbers mean.
        whole: the text came to its end; if not, a number at the very end may lack digits and does not count.

    Raises:
        UnparsableAnswer: the text does not hold exactly what the task asks for.
    """
    body = answer_text(text)
    numbers, repairs = _numbers(body, task, whole=whole)
    _check_count(text, numbers, task)
    if coordinates.shares and max(abs(value) for value in numbers) > LARGEST_SHARE:
        raise UnparsableAnswer(text, 'the answer holds values above 1.5, where shares of the image are expected')
    points = np.array(numbers, np.float64).reshape(-1, 2) * coordinates.scale
    if task.kind == 'box' and (points[1] < points[0]).any():
        points = np.sort(points, axis=0)
        repairs.append('corners put in order')
    sides = np.array(coordinates.size, np.float64)
    outside = bool(((points < -MARGIN * sides) | (points > (1 + MARGIN) * sides)).any())
    if outside:
        repairs.append('left the image, cut at its edge')
    return Geometry(np.clip(points, 0, sides), tuple(repairs), outside)


def _check_count(text: str, numbers: list[float], task: Task) -> None:
    if not numbers or not all(math.isfinite(value) for value in numbers):
        raise UnparsableAnswer(text, f'the answer holds no finite number: {text[:120]!r}')
    if task.kind != 'trace' and len(numbers) != 4:
        raise UnparsableAnswer(text, f'{task.name} needs exactly 4 numbers, the answer has {len(numbers)}')
    if task.kind == 'trace' and (len(numbers) % 2 or len(numbers) < 4):
        raise UnparsableAnswer(
            text, f'a trace needs pairs of numbers, at least 2, the answer has {len(numbers)} numbers'
        )


def _numbers(body: str, task: Task, *, whole: bool) -> tuple[list[float], list[str]]:
    """Return the numbers of an answer and how they were found."""
    found = _from_json(body, task)
    if found is not None:
        return found
    key = re.search(rf'"{re.escape(task.key)}"\s*:', body)
    if key and body.count('[') > body.count(']'):
        rest = body[key.end() :]
        if task.kind == 'trace':
            return [float(value) for pair in _PAIR.findall(rest) for value in pair], ['brackets closed']
        return _plain(rest, whole=rest.rstrip().endswith(']')), ['brackets closed']
    return _plain(body, whole=whole), ['read from plain numbers']


def _from_json(body: str, task: Task) -> tuple[list[float], list[str]] | None:
    start, end = body.find('{'), body.rfind('}')
    if start < 0 or end < start:
        return None
    try:
        record = json.loads(body[start : end + 1])
    except (ValueError, RecursionError):
        return None
    known = [key for key in KEYS if isinstance(record, dict) and key in record]
    chosen = task.key if task.key in known else known[0] if len(known) == 1 else ''
    if not chosen:
        return None
    values = list(_flat(record[chosen]))
    if any(not isinstance(value, int | float) or isinstance(value, bool) for value in values):
        return None
    return [_float(value) for value in values], [] if chosen == task.key else [f'written under {chosen}']


def _flat(value: Any) -> Iterator[Any]:
    """Yield the leaves of nested lists, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif item is not None:
            yield item


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def _plain(text: str, *, whole: bool) -> list[float]:
    found = list(_NUMBERS.finditer(text))
    if found and not whole and found[-1].end() == len(text.rstrip()):
        found.pop()
    return [float(match[1]) for match in found]


def read_choice(text: str) -> str:
    """Return the first letter A to D that stands alone. Raises UnparsableAnswer."""
    body = _ARTICLE.sub('', _LIST_OF_LETTERS.sub('', answer_text(text)))
    match = _LETTER.search(body)
    if match is None:
        raise UnparsableAnswer(text, f'the answer names none of A to D: {text[:120]!r}')
    return match[1]


def read_decision(text: str) -> bool:
    """Return whether the answer is yes. Raises UnparsableAnswer when it says neither, or both."""
    words = {word.lower() for word in _WORDS.findall(answer_text(text))}
    if ('yes' in words) == ('no' in words):
        raise UnparsableAnswer(text, f'the answer is neither yes nor no: {text[:120]!r}')
    return 'yes' in words


def read_text(text: str) -> str:
    """Return the answer as it is. Raises UnparsableAnswer when it is empty."""
    body = answer_text(text)
    if not body:
        raise UnparsableAnswer(text, 'the answer is empty')
    return body
