# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers in any dialect read into places of the camera image. Pure: numpy only.

What was mended or left out is told. A number that may be half, or in another unit than the dialect's, is no number.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.results import Boxes, Keypoints

CUT_OFF = 'the text was cut off at max_new_tokens: something may be missing'
_SLACK = 0.02  # how far outside the image, relative to its side, a place is pulled back instead of dropped
_NUMBER = re.compile(r'[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?')
_GROUP = re.compile(r'[(\[]([^()\[\]]*)([)\]]|$)')
_OBJECT = re.compile(r'\{[^{}]*(\}|$)')
_EMPTY = re.compile(r'\[\s*\]')
_FENCE = re.compile(r'```(?:[a-zA-Z]+)?')
_THINK = re.compile(r'<think>(.*?)(?:</think>|<answer>|$)', re.DOTALL | re.IGNORECASE)
_CLOSED_ONLY = re.compile(r'(?:(?!<think>).)*</think>', re.DOTALL | re.IGNORECASE)
_ANSWER = re.compile(r'<answer>(.*?)(?:</answer>|$)', re.DOTALL | re.IGNORECASE)
_FIELDS = (('point_2d', 2), ('bbox_2d', 4))
_POINT_TAG = re.compile(r'<point>(.*?)(</point>|$)', re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Unit:
    """What a number means: times `scale` (per x and y) it is a pixel of the camera image of `size` (w, h).

    fractions: numbers are shares of a side, so that one above 1 is none; else they count, so that shares are none.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    fractions: bool = False


def unit_of(coordinates: str, size: tuple[int, int], seen: tuple[int, int]) -> Unit:
    """Return the unit of a dialect's coordinates for a camera image that the network saw resized to `seen`."""
    if coordinates == 'unit':
        return Unit((float(size[0]), float(size[1])), size, fractions=True)
    if coordinates == 'original':
        return Unit((1.0, 1.0), size)
    ends = seen if coordinates == 'resized' else (1000, 1000)
    return Unit((size[0] / ends[0], size[1] / ends[1]), size)


@dataclass(frozen=True)
class Places:
    """points and boxes: pixels of the camera image, inside it, in the order of the answer. thought: what led there."""

    points: Keypoints
    boxes: Boxes
    thought: str = ''
    repairs: tuple[str, ...] = ()


@dataclass
class _Reading:
    unit: Unit
    points: list[tuple[float, ...]] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    point_labels: list[str] = field(default_factory=list)
    box_labels: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes[text] = self.notes.get(text, 0) + 1

    def add(self, values: list[float], label: str = '') -> None:
        """Take two numbers as a point, four as a box."""
        pixels = _pixels(values, self)
        if pixels is None:
            return
        if len(pixels) == 4 and (pixels[2] < pixels[0] or pixels[3] < pixels[1]):
            self.note('corners put in order')
            pixels = (*np.minimum(pixels[:2], pixels[2:]).tolist(), *np.maximum(pixels[:2], pixels[2:]).tolist())
        if len(pixels) == 4 and (pixels[2] == pixels[0] or pixels[3] == pixels[1]):
            self.note('box without area dropped')
            return
        (self.points if len(pixels) == 2 else self.boxes).append(pixels)
        (self.point_labels if len(pixels) == 2 else self.box_labels).append(label)


def split_thought(text: str) -> tuple[str, str]:
    """Return (thought, answer): what stands in <think> and what is left, or what stands in <answer>.

    A thought that is only closed was opened by the prompt, as the chat templates of thinking checkpoints do.
    """
    if _CLOSED_ONLY.match(text):
        text = '<think>' + text
    thought, answer = _THINK.search(text), _ANSWER.search(text)
    if answer:
        body = answer[1]
    elif thought and thought.end() == len(text) and not text.lower().endswith('</think>'):
        body = ''  # the thought never ended
    else:
        body = _THINK.sub('', text, count=1)
    return (thought[1].strip() if thought else ''), body.strip()


def read_places(text: str, form: str, unit: Unit) -> Places:
    """Read an answer.

    Args:
        text: what the model wrote.
        form: one of `answer_dialects.FORMS`.
        unit: what its numbers mean.

    Raises:
        UnparsableAnswer: nothing can be used, and the answer is no explicit empty list.
    """
    thought, body = split_thought(text)
    reading = _Reading(unit)
    {'json': _read_json, 'point_tag': _read_point_tag, 'list': _read_groups}[form](body, reading)
    found = bool(reading.points or reading.boxes)
    if not found and (reading.notes or not _EMPTY.search(body)):
        why = '; '.join(reading.notes) or 'it holds none'
        raise UnparsableAnswer(text, f'no place can be read from the answer ({why}): {body[:120]!r}')
    repairs = tuple(f'{name} ({count}x)' if count > 1 else name for name, count in reading.notes.items())
    return Places(
        Keypoints(np.array(reading.points).reshape(-1, 2), labels=tuple(reading.point_labels)),
        Boxes(np.array(reading.boxes).reshape(-1, 4), labels=tuple(reading.box_labels)),
        thought,
        repairs,
    )


def _read_json(body: str, reading: _Reading) -> None:
    bare = _FENCE.sub('', body).strip()
    try:
        records = list(_objects(json.loads(bare)))
    except (ValueError, RecursionError):
        records = list(_closed_objects(bare, reading))
    for record in records:
        label = record.get('label')
        known = [(record[name], count) for name, count in _FIELDS if name in record]
        if not known:
            reading.note('object without point_2d or bbox_2d ignored')
        for values, count in known:
            numbers = _json_numbers(values, count)
            if numbers is None:
                reading.note('place with other than plain numbers dropped')
            else:
                reading.add(numbers, label if isinstance(label, str) else '')


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a JSON value, outermost first, without recursion."""
    waiting = [content]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            waiting = [item for item in value if isinstance(item, dict | list)] + waiting


def _closed_objects(text: str, reading: _Reading) -> Iterator[dict[str, Any]]:
    """Yield the objects of a text that is no JSON as a whole; an unfinished one is left out."""
    for match in _OBJECT.finditer(text):
        if not match[1]:
            reading.note('unfinished last object dropped')
            continue
        try:
            record = json.loads(match[0])
        except (ValueError, RecursionError):
            reading.note('broken object dropped')
        else:
            yield record


def _json_numbers(values: Any, count: int) -> list[float] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    try:
        return [float(value) for value in values]
    except OverflowError:  # an integer of hundreds of digits
        return None


def _read_point_tag(body: str, reading: _Reading) -> None:
    tags = list(_POINT_TAG.finditer(body))
    if any(not tag[2] for tag in tags):
        reading.note('point tag not closed')
    for inside in [tag[1] for tag in tags] or [body]:
        _read_groups(inside, reading)
    if not tags and (reading.points or reading.boxes):
        reading.note('point tags missing')


def _read_groups(body: str, reading: _Reading) -> None:
    """Read the innermost brackets that hold two or four numbers."""
    for match in _GROUP.finditer(_FENCE.sub('', body)):
        inside = match[1].strip()
        if not match[2]:
            if inside:
                reading.note('unfinished last place dropped')
            continue
        words = [word.strip() for word in inside.split(',')]
        if not inside or not all(_NUMBER.fullmatch(word) for word in words):
            continue  # brackets in prose, or the outer ones of a list
        if len(words) not in (2, 4):
            reading.note(f'{len(words)} numbers in brackets ignored')
            continue
        reading.add([float(word) for word in words])


def _pixels(values: list[float], reading: _Reading) -> tuple[float, ...] | None:
    """Return pixels of the camera image, or None, with a note, for numbers that cannot be meant."""
    if not all(math.isfinite(value) for value in values):
        reading.note('place with nan or inf dropped')
        return None
    unit = reading.unit
    if not unit.fractions and all(abs(value) <= 1 for value in values) and any(value % 1 for value in values):
        reading.note('place in shares of the image dropped')
        return None
    sizes = [unit.size[index % 2] for index in range(len(values))]
    pixels = [value * unit.scale[index % 2] for index, value in enumerate(values)]
    if any(not -_SLACK * size <= pixel <= (1 + _SLACK) * size for pixel, size in zip(pixels, sizes, strict=True)):
        reading.note('place outside the image dropped')
        return None
    inside = [min(max(pixel, 0.0), size - 1.0) for pixel, size in zip(pixels, sizes, strict=True)]
    if any(abs(new - old) > 1 for new, old in zip(inside, pixels, strict=True)):
        reading.note('place pulled to the border')
    return tuple(inside)
