# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The list in an answer of Affordance-R1, read as JSON or, where it is none, item by item. Pure.

Every number must be complete: one at the end of the text, where the next digit may be missing, does not count.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = r'[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?'
_WHOLE_NUMBER = re.compile(_NUMBER)
_QUOTE = r'["\']?'


def _numbers(count: int) -> str:
    inside = r'\s*,\s*'.join([f'({_NUMBER})'] * count)
    return rf'\[[\s\[]*{inside}\s*[\]}}]'


_BOX = re.compile(rf'(?<![A-Za-z0-9_])bbox_2d{_QUOTE}\s*:\s*{_numbers(4)}', re.IGNORECASE)
_POINT = re.compile(rf'(?<![A-Za-z0-9_])point_2d{_QUOTE}\s*:\s*{_numbers(2)}', re.IGNORECASE)
_ANY_BOX = re.compile(r'box_2d', re.IGNORECASE)
_LABEL = re.compile(rf'(?<![A-Za-z0-9_])affordance{_QUOTE}\s*:\s*["\']([^"\'{{}}\[\]]*)["\']', re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """values: x0, y0, x1, y1 of the box and u, v of the point, in pixels of the square. label: what to do."""

    values: tuple[float, float, float, float, float, float]
    label: str = ''


def read_items(body: str) -> tuple[list[Item] | None, list[str]]:
    """Return the items and what had to be mended; None when the text is no list of items at all."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return _scan(body)
    return _from_json(content)


def _from_json(content: Any) -> tuple[list[Item] | None, list[str]]:
    notes: list[str] = []
    if isinstance(content, dict) and content:
        content = [content]
        notes.append('single object read as a list')
    if isinstance(content, list) and content and all(isinstance(each, list) for each in content):
        content = [item for inner in content for item in inner]
        notes.append('nested list opened')
    if not isinstance(content, list | dict):
        return None, notes
    items: list[Item] = []
    for record in content:
        item, more = _item(record)
        notes += more
        if item is not None:
            items.append(item)
    return items, notes


def _item(record: Any) -> tuple[Item | None, list[str]]:
    if not isinstance(record, dict):
        return None, ['item that is no object dropped']
    fields, notes = _fields(record)
    box, more = _values(fields.get('bbox_2d'), 4)
    notes += more
    if box is None:
        return None, [*notes, 'item without a readable box dropped']
    point, more = _values(fields.get('point_2d'), 2)
    notes += more
    if point is None:
        point = _middle(box)
        notes.append('point missing: the middle of its box taken')
    label = fields.get('affordance')
    return Item((*box, *point), label.strip() if isinstance(label, str) else ''), notes  # type: ignore[arg-type]


def _fields(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the record with its names in lower case."""
    if all(name == name.lower().strip() for name in record):
        return dict(record), []
    return {name.lower().strip(): value for name, value in record.items()}, ['names of fields mended']


def _values(value: Any, count: int) -> tuple[tuple[float, ...] | None, list[str]]:
    """Return `count` finite numbers of a list, and what had to be mended."""
    if not isinstance(value, list):
        return None, []
    flat = list(_flat(value))
    notes = ['nested list opened'] if len(flat) != len(value) or any(isinstance(each, list) for each in value) else []
    numbers = [_number(each) for each in flat]
    if len(numbers) < count or any(number is None for number in numbers[:count]):
        return None, notes
    if len(numbers) > count:
        notes.append('extra numbers ignored')
    if any(isinstance(each, str) for each in flat[:count]):
        notes.append('numbers in quotes read')
    return tuple(float(number) for number in numbers[:count] if number is not None), notes


def _flat(value: Any) -> Iterator[Any]:
    """Yield the leaves of nested lists, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        else:
            yield item


def _number(value: Any) -> float | None:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _middle(box: tuple[float, ...]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _scan(body: str) -> tuple[list[Item] | None, list[str]]:
    """Read every box with the point that follows it before the next box, whatever the brackets say."""
    items: list[Item] = []
    notes = ['broken JSON mended']
    found = list(_BOX.finditer(body))
    others = [match.start() for match in _ANY_BOX.finditer(body)]
    for match in found:
        box = [float(number) for number in match.groups()]
        end = min((start for start in others if start > match.end()), default=len(body))
        segment = body[match.end() : end]
        point = _POINT.search(segment)
        values = [float(number) for number in point.groups()] if point else list(_middle(tuple(box)))
        if not all(math.isfinite(value) for value in (*box, *values)):
            notes.append('item with numbers out of range dropped')
            continue
        if point is None:
            notes.append('point missing: the middle of its box taken')
        label = _LABEL.search(segment.partition('{')[0])  # not that of another object
        items.append(Item((box[0], box[1], box[2], box[3], values[0], values[1]), label[1].strip() if label else ''))
    if len(others) > len(found):
        notes.append('unreadable box dropped')
    return (items, notes) if items else (None, notes)
