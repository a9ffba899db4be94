# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points and boxes in an answer such as `[(0.46, 0.53), (0.1, 0.2, 0.3, 0.4)]`, read with tolerance, for robots.

What was repaired or thrown away is told. What holds no answer raises; only an explicit empty list is an empty result.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.parts.grammar import (
    Grammar,
    Pattern,
    digits,
    either,
    grammar_of,
    literal,
    most_repetitions,
    repeated,
    sequence,
)
from affordance_ros.results import Boxes, Keypoints

Mapping2D = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
_GROUP = re.compile(r'[(\[]([^()\[\]]*)(?:[)\]]|$)')
_CLOSED = re.compile(r'[(\[][^()\[\]]*[)\]]')
_NUMBER = re.compile(r'[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?')
_NOT_FINITE = re.compile(r'[-+]?(?:nan|inf|infinity)', re.IGNORECASE)
_EMPTY_LIST = re.compile(r'\[\s*\]|\(\s*\)')
_SLACK = 0.02  # how far outside the image, relative to its size, a coordinate is pulled back instead of dropped

# What the models were trained to write for points: [(0.123, 0.456), (0.5, 0.25)], at most three decimals.
_FRACTION = either(sequence('0.', digits(1, 3)), sequence('1.', Pattern('0{1,3}', 3)))
_POINT = sequence('(', _FRACTION, ', ', _FRACTION, ')')


def point_list_grammar(max_new_tokens: int, max_points: int | None = None) -> Grammar:
    """Return the grammar of a list of points or an empty list; the text starts with a blank.

    It holds as many points as surely fit into `max_new_tokens` and at most `max_points`. No boxes: the format sentence
    asks for points, and no grammar can promise that the second corner of a box lies beyond the first.
    """
    most = most_repetitions(max_new_tokens - 1, len(' []'), _POINT, ', ')
    most = most if max_points is None else min(most, max_points)
    return grammar_of(either(' []', sequence(' [', repeated(_POINT, 1, most, ', '), ']')) if most else literal(' []'))


@dataclass(frozen=True)
class PointAnswer:
    """keypoints and boxes in pixels of an image, every one inside it; `repairs` says what was not taken as it stood."""

    keypoints: Keypoints
    boxes: Boxes
    repairs: tuple[str, ...] = ()


@dataclass
class _Reading:
    width: int
    height: int
    points: list[tuple[float, ...]] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    repairs: dict[str, int] = field(default_factory=dict)

    def note(self, repair: str) -> None:
        self.repairs[repair] = self.repairs.get(repair, 0) + 1


def parse_points(text: str, width: int, height: int) -> PointAnswer:
    """Read tuples of two (point) or four numbers (box x0, y0, x1, y1) from the text of a model.

    Coordinates up to 1 are relative to the image, whole numbers above are pixels. A coordinate at most
    2 % outside is pulled to the border; anything farther out is dropped.

    Raises:
        UnparsableAnswer: when nothing can be used and the text is not an explicit empty list.
    """
    reading = _Reading(width, height)
    for match in _GROUP.finditer(text):
        if not _CLOSED.fullmatch(match[0]):
            if match[1].strip():
                reading.note('unfinished last tuple dropped')
            continue
        if match[1].strip():
            _read_group(match[1], reading)
    repairs = tuple(f'{name} ({count}x)' if count > 1 else name for name, count in reading.repairs.items())
    if not reading.points and not reading.boxes and (reading.repairs or not _EMPTY_LIST.search(text)):
        raise UnparsableAnswer(text)
    points = np.array(reading.points, dtype=np.float64).reshape(-1, 2)
    boxes = np.array(reading.boxes, dtype=np.float64).reshape(-1, 4)
    return PointAnswer(Keypoints(points), Boxes(boxes), repairs)


def _read_group(group: str, reading: _Reading) -> None:
    """Read the inside of one pair of brackets."""
    words = [word.strip() for word in group.split(',')]
    if words and not words[-1]:
        words.pop()  # (0.1, 0.2,)
    if any(_NOT_FINITE.fullmatch(word) for word in words):
        reading.note('tuple with nan or inf dropped')
        return
    if not words or not all(_NUMBER.fullmatch(word) for word in words):
        return  # brackets in prose
    if len(words) not in (2, 4):
        reading.note(f'tuple of {len(words)} number{"s" if len(words) > 1 else ""} ignored')
        return
    values = _to_pixels([float(word) for word in words], reading)
    if values is None:
        return
    if len(values) == 4 and not (values[2] > values[0] and values[3] > values[1]):
        reading.note('box without area dropped')
        return
    found = reading.points if len(values) == 2 else reading.boxes
    if values in found:
        reading.note('duplicate dropped')
        return
    found.append(values)


def _to_pixels(values: list[float], reading: _Reading) -> tuple[float, ...] | None:
    """Return the pixels of x, y (x, y), or None, with a note, when they lie outside the image."""
    if not all(math.isfinite(value) for value in values):
        reading.note('tuple with nan or inf dropped')
        return None
    relative = all(abs(value) <= 1 + _SLACK for value in values)
    if not relative and not all(value.is_integer() for value in values):
        reading.note('tuple outside the image dropped')  # a fraction means a relative coordinate
        return None
    sizes = [(reading.width, reading.height)[index % 2] for index in range(len(values))]
    pixels = [value * size for value, size in zip(values, sizes, strict=True)] if relative else values
    if any(not -_SLACK * size <= pixel <= (1 + _SLACK) * size for pixel, size in zip(pixels, sizes, strict=True)):
        reading.note('tuple outside the image dropped')
        return None
    inside = [min(max(pixel, 0.0), size - 1.0) for pixel, size in zip(pixels, sizes, strict=True)]
    if any(abs(new - old) > 1 for new, old in zip(inside, pixels, strict=True)):
        reading.note('coordinate pulled to the border')
    return tuple(inside)


def keep_inside(answer: PointAnswer, mapping: Mapping2D, width: int, height: int) -> PointAnswer:
    """Map an answer into another image and drop what lies outside: the model pointed at the border of the framing."""
    limit = np.array([width, height], dtype=np.float64)
    points = mapping(np.asarray(answer.keypoints.points, np.float64))
    inside = ((points >= -_SLACK * limit) & (points <= (1 + _SLACK) * limit)).all(axis=1)
    corners = np.clip(mapping(np.asarray(answer.boxes.boxes, np.float64).reshape(-1, 2)), 0, limit - 1).reshape(-1, 4)
    real = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    dropped = int((~inside).sum() + (~real).sum())
    notes = (f'{dropped} answer(s) in the border of the framing dropped',) if dropped else ()
    return PointAnswer(Keypoints(np.clip(points[inside], 0, limit - 1)), Boxes(corners[real]), answer.repairs + notes)
