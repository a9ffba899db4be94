# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence in, grasp targets as messages out: what target_node does with one answer."""

from typing import Any

import numpy as np
from nav_msgs.msg import Path

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.evidence import frame_from, predictions_from
from affordance_ros.nodes.parameters import TargetParameters
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Abstention


def pipeline_settings(s: TargetParameters, gripper: str = '') -> PipelineSettings:
    """Return what the parameters mean; gripper: another one. Raises BAD_INPUT for a preset that there is not."""
    if s.depth_noise not in NOISE_PRESETS:
        text = f'unknown depth.noise {s.depth_noise!r}; presets: {", ".join(NOISE_PRESETS)}'
        raise AffordanceError(Code.BAD_INPUT, text)
    lift = LiftSettings(window_m=s.window_m, noise=NOISE_PRESETS[s.depth_noise])
    grasp = GraspSettings(min_score=s.min_score, per_contact=s.per_contact)
    return PipelineSettings(lift, gripper_preset(gripper or s.gripper), grasp, obstacles=s.obstacles)


def lift_evidence(evidence: msg.Evidence, settings: PipelineSettings) -> tuple[msg.GraspTargetArray, Path | None]:
    """Return the grasp targets of an answer, best first, and its path if it names one. Raises AffordanceError."""
    error = convert.error_from(evidence.pose_outcome)
    if error is not None:
        raise error
    frame = frame_from(evidence)
    pose = np.eye(4) if frame.target_from_camera is None else np.asarray(frame.target_from_camera)
    array = without_targets(evidence, None)
    array.header.frame_id = frame.target_frame or frame.frame_id
    path, refusals = None, []
    for index, (prediction, refused) in enumerate(predictions_from(evidence)):
        if prediction is None:
            text = refused or AffordanceError(Code.INTERNAL, 'no answer')
            refusals.append(_abstained(Abstention(text.code, text.message), index))
            continue
        result = lift_and_grasp(frame, prediction, settings)
        array.targets += [_numbered(convert.target_message(target, pose), index) for target in result.targets]
        array.places += [_numbered(convert.place_message(place, pose), index) for place in result.places]
        array.obstacles += [convert.obstacle_message(item, pose) for item in result.obstacles]
        refusals += [_abstained(item, index) for item in result.abstentions]
        array.stages = convert.stages_message(result.seconds)
        path = path or _path(result, pose, array.header)
    array.targets.sort(key=lambda target: -target.score)
    array.places.sort(key=lambda place: -place.score)
    array.abstentions = refusals
    if not array.targets and not array.places and refusals:
        array.outcome = refusals[0].outcome
    return array, path


def without_targets(evidence: msg.Evidence, refused: Any) -> msg.GraspTargetArray:
    """Return the array of an answer before anything was lifted."""
    answer = evidence.answer
    array = msg.GraspTargetArray(request_id=answer.request_id, model=answer.model, stages=answer.stages)
    array.header.stamp, array.header.frame_id = answer.header.stamp, answer.header.frame_id
    array.query = ' | '.join(affordance.query for affordance in answer.affordances)
    array.outcome = convert.outcome_message(refused)
    return array


def _numbered(target: Any, index: int) -> Any:
    target.query_index = index
    return target


def _abstained(abstention: Abstention, index: int) -> msg.Abstention:
    message = convert.abstention_message(abstention)
    message.query_index = index
    return message


def _path(result: Answer, pose: Any, header: Any) -> Path | None:
    """Return the lifted points of the traces in the order of motion, None when the answer names no trace."""
    if not result.prediction.traces:
        return None
    contacts = [contact for contact in result.contacts if contact.method == 'trace']
    return convert.path_message([pose[:3, :3] @ contact.point + pose[:3, 3] for contact in contacts], header)
