# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a request asks for, checked: its texts come from the network and are bounded before anything uses them."""

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.grasping.gripper import PRESETS
from affordance_ros.nodes.region import Region
from affordance_ros.results import Query

LONGEST_TEXT, LONGEST_NAME, MOST_QUERIES, MOST_OPTIONS = 2000, 200, 16, 4


@dataclass(frozen=True)
class Request:
    """Questions about one image. region None: all of it. timeout_s 0: the node's own limit."""

    queries: tuple[Query, ...]
    name: str = ''
    camera: str = ''
    target_frame: str = ''
    region: Region | None = None
    min_score: float = 0.0
    timeout_s: float = 0.0


@dataclass(frozen=True)
class Watch:
    """How a request is followed. feedback takes what changes, by name; stop tells whether it was given up."""

    feedback: Callable[..., None] = lambda **_: None
    stop: Callable[[], bool] = lambda: False


def request_from(message: Any) -> Request:
    """Return what a goal or service request asks for. Raises BAD_INPUT with the field that is wrong."""
    names = {
        field: bounded(getattr(message, field), LONGEST_NAME, field)
        for field in ('object', 'action', 'task', 'camera', 'target_frame', 'request_id')
    }
    if not math.isfinite(message.min_score) or not 0 <= message.min_score <= 1:
        raise AffordanceError(Code.BAD_INPUT, f'min_score is {message.min_score}; give a number in [0, 1]')
    return Request(
        queries=_queries(message, names),
        name=names['request_id'] or uuid.uuid4().hex,
        camera=names['camera'],
        target_frame=names['target_frame'],
        region=_region(message.roi),
        min_score=float(message.min_score),
        timeout_s=float(message.timeout_s),
    )


def _queries(message: Any, names: dict[str, str]) -> tuple[Query, ...]:
    further = sentences_of('', message.queries)
    first = bounded(message.query, LONGEST_TEXT, 'query').strip()
    task, options = names['task'], _options(message.options)
    queries = []
    if first or names['object'].strip():
        queries.append(Query(first, names['object'], names['action'], task, options))
    queries += [Query(text, task=task, options=options) for text in further]
    if not queries:
        text = 'the request has neither a query nor an object; give a sentence'
        raise AffordanceError(Code.BAD_INPUT, text)
    return tuple(queries)


def _options(options: Any) -> tuple[str, ...]:
    if len(options) > MOST_OPTIONS:
        raise AffordanceError(Code.BAD_INPUT, f'{len(options)} options; at most {MOST_OPTIONS} are taken')
    return tuple(bounded(option, LONGEST_TEXT, 'option') for option in options)


def sentences_of(query: str, queries: Any) -> tuple[str, ...]:
    """Return the sentences of a request, without empty ones. Raises BAD_INPUT for too many or too long ones."""
    if len(queries) >= MOST_QUERIES:
        raise AffordanceError(Code.BAD_INPUT, f'{len(queries)} further queries; at most {MOST_QUERIES - 1} are taken')
    return tuple(text for each in (query, *queries) if (text := bounded(each, LONGEST_TEXT, 'query').strip()))


def bounded(text: str, longest: int, what: str) -> str:
    """Return a text of a message. Raises BAD_INPUT when it is too long to be what it should be."""
    if len(text) > longest:
        raise AffordanceError(Code.BAD_INPUT, f'{what} is {len(text)} characters long; at most {longest} are taken')
    if '\0' in text:
        raise AffordanceError(Code.BAD_INPUT, f'{what} holds a zero character')
    return text


def preset_or_own(gripper: str, own: str) -> str:
    """Return the gripper that a request names: none, a preset, or the node's own. Raises BAD_INPUT, also for files.

    The parameter of a node may be the path of a YAML file; a request may not make the node open one.
    """
    if bounded(gripper, LONGEST_NAME, 'gripper') and gripper != own and gripper not in PRESETS:
        text = f'unknown gripper {gripper!r}; presets: {", ".join(PRESETS)}'
        raise AffordanceError(Code.BAD_INPUT, f'{text}. A gripper file is named by the parameter gripper at the start')
    return gripper


def _region(roi: Any) -> Region | None:
    if not roi.width or not roi.height:
        return None
    return Region(roi.x_offset, roi.y_offset, roi.width, roi.height)
