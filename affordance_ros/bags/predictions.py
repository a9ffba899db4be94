# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Affordance message as rosbags reads it, back to what the model answered."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.bags.answers import keypoints_from
from affordance_ros.results import Boxes, HandTrajectory, Heatmap, Masks, Prediction, Query, Trace

HEATMAP_FULL = 65535  # the grey level of 1.0
_LEFT, _PRESENCE = 1, {1: True, 2: False}


def prediction_of(
    message: Any, model: str, query: Query, heatmap: Any = None, looked_for: Collection[str] = ()
) -> Prediction:
    """Return the prediction of an Affordance.

    A message does not tell a model that found no points from one that gives none: what it holds none of is empty when
    `looked_for` names it, else None. heatmap: mono16 Image of its Evidence.
    """

    def given(name: str) -> bool:
        return bool(getattr(message, name)) or name in looked_for

    return Prediction(
        model=model,
        query=query,
        text=message.text,
        reasoning=message.reasoning,
        keypoints=keypoints_from(message) if given('keypoints') else None,
        boxes=_boxes(message.boxes) if given('boxes') else None,
        masks=_masks(message.masks),
        heatmap=None if heatmap is None else Heatmap(_grey(heatmap)),
        traces=tuple(_trace(item) for item in message.traces) if given('traces') else None,
        hands=tuple(_hand(item) for item in message.hands) if given('hands') else None,
        repairs=tuple(message.repairs),
        confidence=float(message.confidence),
    )


def seconds_of(stages: Sequence[Any]) -> Mapping[str, float]:
    """Return the wall times of StageTime messages by stage."""
    return {item.stage: float(item.seconds) for item in stages}


def _boxes(messages: Sequence[Any]) -> Boxes:
    rows = np.array([(item.u_min, item.v_min, item.u_max, item.v_max) for item in messages], np.float64)
    return Boxes(
        rows.reshape(-1, 4), np.array([item.score for item in messages]), tuple(item.label for item in messages)
    )


def _masks(messages: Sequence[Any]) -> Masks | None:
    if not messages:
        return None
    masks = np.array([_mask(item) for item in messages])
    return Masks(masks, np.array([item.score for item in messages]), tuple(item.label for item in messages))


def _mask(message: Any) -> npt.NDArray[np.bool_]:
    runs = np.asarray(message.runs, np.int64)
    return np.asarray(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(message.height, message.width))


def _grey(image: Any) -> npt.NDArray[np.float64]:
    rows = np.asarray(image.data, np.uint8).reshape(image.height, image.step)
    return np.asarray(rows[:, : 2 * image.width].copy().view('<u2') / HEATMAP_FULL)


def _trace(message: Any) -> Trace:
    return Trace(np.column_stack((message.u, message.v)), message.label)


def _hand(message: Any) -> HandTrajectory:
    points, times = np.column_stack((message.u, message.v)), np.asarray(message.times_s)
    side = 'left' if message.side == _LEFT else 'right'
    present, given = _PRESENCE.get(int(message.presence)), np.asarray(message.spread_px, np.float64)
    spread = given if len(given) else np.full(len(points), np.nan)
    return HandTrajectory(points, times, side, spread, present=present, caveats=tuple(message.caveats))
