# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1's text as boxes, points and thoughts: strictly for metrics, with tolerance for robots. Pure.

The model often leaves tags open and brackets wrong. What was mended is told; a number that may be half is no number.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.affordance_r1_items import Item, read_items
from affordance_ros.models.affordance_r1_official import (
    SIDE,
    has_official_answer,
    official_parse,
    official_pixel,
)
from affordance_ros.models.affordance_r1_tags import find_answer, read_thought
from affordance_ros.models.parts.dialect_answers import CUT_OFF
from affordance_ros.results import Boxes, FloatArray, Keypoints

MOST_ITEMS = 20
_FAR = 0.1  # how far outside the image, relative to its side, a coordinate is pulled back instead of dropped
_SMALLEST = 4.0  # area of a box in pixels of the square
_SAME = 0.95  # boxes that overlap more are one


class Status(enum.Enum):
    """How well the answer could be read. TRUNCATED: the text was cut off, the items before the cut are there."""

    OK = 'ok'
    REPAIRED = 'repaired'
    TRUNCATED = 'truncated'
    EMPTY = 'empty'


@dataclass(frozen=True)
class R1Answer:
    """boxes and keypoints: one each per thing, in pixels of the original image, inside it, labelled with what to do.

    prompts: (N, 6) x0 y0 x1 y1 u v for the segmenter, whole pixels as the official programs give them, not clamped.
    """

    boxes: Boxes
    keypoints: Keypoints
    prompts: FloatArray
    think: str
    rethink: str
    status: Status
    repairs: tuple[str, ...] = ()

    @property
    def reasoning(self) -> str:
        """Both thoughts, as far as there are any."""
        return '\n\n'.join(thought for thought in (self.think, self.rethink) if thought)


def read_robust(text: str, width: int, height: int, *, whole: bool = True) -> R1Answer:
    """Read an answer with tolerance.

    Args:
        text: what the model wrote.
        width: of the original image.
        height: of the original image.
        whole: the text came to its end by itself.

    Raises:
        UnparsableAnswer: no item can be read, and the answer is no empty list.
    """
    body, notes = find_answer(text)
    if body is None:
        raise UnparsableAnswer(text, f'the text has no answer block and no list: {text[:120]!r}')
    items, more = read_items(body)
    if items is None:
        raise UnparsableAnswer(text, f'no box can be read from the answer: {body[:120]!r}')
    kept, dropped = _validated(items)
    if (items or more) and not kept:
        raise UnparsableAnswer(text, f'no item of the answer can be used ({"; ".join(more + dropped)})')
    repairs = tuple(dict.fromkeys([*notes, *more, *dropped, *([] if whole else [CUT_OFF])]))
    status = _status(kept, repairs, whole=whole)
    return _answer(kept, (width, height), text, status, repairs)


def _status(items: Sequence[Item], repairs: Sequence[str], *, whole: bool) -> Status:
    if not whole:
        return Status.TRUNCATED
    if not items:
        return Status.EMPTY
    return Status.REPAIRED if repairs else Status.OK


def read_strict(text: str, width: int, height: int) -> R1Answer:
    """Read an answer as the official programs do and nothing else.

    Raises:
        UnparsableAnswer: where they fail, for text without a complete answer block, and for boxes whose corners are
            not in order.
    """
    if not has_official_answer(text):
        raise UnparsableAnswer(text, f'the text has no complete answer block: {text[:120]!r}')
    try:
        read = official_parse(text, width / SIDE, height / SIDE)
        prompts = np.array([(*box, *point) for box, point in zip(read.boxes, read.points, strict=True)], np.float64)
        prompts = prompts.reshape(-1, 6)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise UnparsableAnswer(text, f'the answer block cannot be read: {type(error).__name__}: {error}') from error
    boxes = prompts[:, :4]
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise UnparsableAnswer(text, 'the corners of a box are not in order')
    status = Status.OK if len(boxes) else Status.EMPTY
    labels = read.labels
    return R1Answer(
        Boxes(boxes, labels=labels), Keypoints(prompts[:, 4:], labels=labels), prompts, read.think, read.rethink, status
    )


def _answer(
    items: Sequence[Item], size: tuple[int, int], text: str, status: Status, repairs: tuple[str, ...]
) -> R1Answer:
    factors = tuple(side / SIDE for side in size) * 3
    prompts = np.array(
        [[official_pixel(value, factor) for value, factor in zip(item.values, factors, strict=True)] for item in items],
        np.float64,
    ).reshape(-1, 6)
    inside = np.clip(prompts, 0, np.array(size * 3) - 1.0)
    labels = tuple(item.label for item in items)
    think, rethink = (read_thought(text, tag).strip() for tag in ('think', 'rethink'))
    return R1Answer(
        Boxes(inside[:, :4], labels=labels), Keypoints(inside[:, 4:], labels=labels), prompts, think, rethink, status,
        repairs,
    )  # fmt: skip


def _validated(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Return the items that can be used, in the square, with notes about the others."""
    kept: list[Item] = []
    notes: list[str] = []
    for item in items:
        usable, more = _usable(item)
        notes += more
        if usable is None:
            continue
        if any(_overlap(usable, other) > _SAME for other in kept):
            notes.append('duplicate dropped')
        elif len(kept) == MOST_ITEMS:
            notes.append(f'more than {MOST_ITEMS} items: the rest dropped')
        else:
            kept.append(usable)
    return kept, notes


def _usable(item: Item) -> tuple[Item | None, list[str]]:
    """Return the item with ordered corners inside the square, or None."""
    x0, y0, x1, y1, u, v = item.values
    notes: list[str] = []
    if x1 < x0 or y1 < y0:
        x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        notes.append('corners put in order')
    low, high = -_FAR * SIDE, (1 + _FAR) * SIDE
    if any(not low <= value <= high for value in (x0, y0, x1, y1)):
        return None, [*notes, 'box outside the image dropped']
    if any(not 0 <= value <= SIDE for value in (x0, y0, x1, y1)):
        x0, y0, x1, y1 = (min(max(value, 0.0), float(SIDE)) for value in (x0, y0, x1, y1))
        notes.append('box cut at the edge of the image')
    if (x1 - x0) * (y1 - y0) < _SMALLEST:
        return None, [*notes, 'box without area dropped']
    if not all(low <= value <= high for value in (u, v)):
        u, v = (x0 + x1) / 2, (y0 + y1) / 2
        notes.append('point outside the image: the middle of its box taken')
    elif not all(0 <= value <= SIDE for value in (u, v)):
        u, v = (min(max(value, 0.0), float(SIDE)) for value in (u, v))
        notes.append('point pulled to the edge of the image')
    return Item((x0, y0, x1, y1, u, v), item.label), notes


def _overlap(first: Item, second: Item) -> float:
    """Return the intersection over union of two boxes with area."""
    a, b = first.values, second.values
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (sum(areas) - shared)
