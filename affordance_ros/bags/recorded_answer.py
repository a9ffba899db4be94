# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last answer that a bag recorded, put together again: its image, what the model said and the targets."""

from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros.bags.answers import answer_parts, keypoints_from
from affordance_ros.bags.reader import messages_of, read_frames, stamp_of
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.pipeline import Answer
from affordance_ros.results import Frame, Prediction, Query

TARGETS = 'affordance_ros/msg/GraspTargetArray'
AFFORDANCES = 'affordance_ros/msg/AffordanceArray'


def read_recorded_answer(folder: Path, slop_s: float = 0.0) -> Answer:
    """Return the last answer of a bag on its image, or on one within `slop_s` (a recorder may miss best-effort images).

    Raises:
        AffordanceError: BAD_INPUT when the bag holds no GraspTargetArray, NO_IMAGE when its image is not there.
    """
    arrays = list(messages_of(folder, TARGETS))
    if not arrays:
        raise AffordanceError(Code.BAD_INPUT, f'the bag {folder} holds no {TARGETS}')
    array = arrays[-1]
    stamp = stamp_of(array)
    said = [message for message in messages_of(folder, AFFORDANCES) if message.request_id == array.request_id]
    frame = min(read_frames(folder), key=lambda frame: abs(frame.stamp_ns - stamp), default=None)
    if frame is None or abs(frame.stamp_ns - stamp) > slop_s * 1e9:
        raise AffordanceError(Code.NO_IMAGE, f'the bag {folder} does not hold the image that was asked about')
    targets, abstentions = answer_parts(array, _pose(frame, array.header.frame_id))
    seconds = {stage.stage: float(stage.seconds) for stage in array.stages}
    contacts = tuple(target.contact for target in targets)
    return Answer(frame, _prediction(array, said[-1] if said else None), contacts, targets, abstentions, seconds)


def _pose(frame: Frame, message_frame: str) -> Any:
    """Return target_from_camera when the message is not in the camera frame."""
    if message_frame in (frame.frame_id, ''):
        return None
    if frame.target_from_camera is None or message_frame != frame.target_frame:
        raise AffordanceError(Code.TF, f'the bag has no transform from {frame.frame_id!r} to {message_frame!r}')
    return np.asarray(frame.target_from_camera)


def _prediction(array: Any, said: Any) -> Prediction:
    query = Query(text=array.query or '?')
    if said is None or not said.affordances:
        return Prediction(array.model, query)
    affordance = said.affordances[0]
    return Prediction(
        model=array.model,
        query=query,
        text=affordance.text,
        reasoning=affordance.reasoning,
        keypoints=keypoints_from(affordance),
        repairs=tuple(affordance.repairs),
    )
