# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the official programs read an answer of Affordance-R1, defects included, for metrics and comparisons only.

Robots use `affordance_r1_answers`. Behaviour of hq-King/Affordance-R1 at d040e27.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

SIDE = 840  # pixels of the square that every image is stretched to, and the space of the answer's coordinates

_ANSWER = re.compile(r'<answer>\s*(.*?)\s*</answer>', re.DOTALL)
_THINK = re.compile(r'<think>([^<]+)</think>')
_RETHINK = re.compile(r'<rethink>([^<]+)</rethink>')


@dataclass(frozen=True)
class OfficialAnswer:
    """boxes (x0, y0, x1, y1) and points (x, y): whole pixels of the original image, neither ordered nor clamped.

    labels: what to do with each thing; the official programs never look at them.
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    points: tuple[tuple[int, int], ...]
    think: str = ''
    rethink: str = ''
    labels: tuple[str, ...] = ()


def official_pixel(value: Any, factor: float) -> int:
    """Return a coordinate of the answer in pixels of the original image: rounded half up, towards zero below 0."""
    return int(value * factor + 0.5)


def has_official_answer(text: str) -> bool:
    """Tell whether the text has a complete answer block."""
    return _ANSWER.search(text) is not None


def official_parse(text: str, x_factor: float, y_factor: float) -> OfficialAnswer:
    """Return what the evaluation program reads; nothing when there is no complete answer block.

    Raises:
        ValueError, TypeError, KeyError, IndexError, OverflowError: as the official code does (JSON errors are
            ValueErrors); it then counts an empty prediction.
    """
    match = _ANSWER.search(text)
    items: Any = json.loads(match[1]) if match else []
    factors = (x_factor, y_factor, x_factor, y_factor)
    # All boxes first, then all points: of several defects the first one in this order is raised.
    boxes = [tuple(official_pixel(item['bbox_2d'][at], factors[at]) for at in range(4)) for item in items]
    points = [tuple(official_pixel(item['point_2d'][at], factors[at]) for at in range(2)) for item in items]
    think, rethink = _THINK.search(text), _RETHINK.search(text)
    return OfficialAnswer(
        tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes),
        tuple((x, y) for x, y in points),
        think[1] if think else '',
        rethink[1] if rethink else '',
        tuple(str(item.get('affordance', '')) for item in items),
    )


def official_infer_parse(text: str, x_factor: float, y_factor: float) -> OfficialAnswer:
    """Return what the demo program reads.

    Raises:
        UnboundLocalError: without a complete answer block, as the official code does; else as `official_parse`.
    """
    if not has_official_answer(text):
        raise UnboundLocalError('no complete <answer> block')
    return official_parse(text, x_factor, y_factor)
