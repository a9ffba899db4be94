# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence in, grasp targets as messages out: what target_node does with one answer."""

from typing import Any

import numpy as np
from nav_msgs.msg import Path
from std_msgs.msg import Header

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
    path, refusals, tables = None, [], []
    held: list[tuple[msg.GraspTarget, msg.Obstacle | None]] = []
    for index, (prediction, refused) in enumerate(predictions_from(evidence)):
        if prediction is None:
            text = refused or AffordanceError(Code.INTERNAL, 'no answer')
            refusals.append(_abstained(Abstention(text.code, text.message), index))
            continue
        result = lift_and_grasp(frame, prediction, settings)
        held += _held(result, pose, index)
        array.places += [_numbered(convert.place_message(place, pose), index) for place in result.places]
        tables += [convert.obstacle_message(item, pose) for item in result.obstacles if item.name == 'table']
        refusals += [_abstained(item, index) for item in result.abstentions]
        array.stages = convert.stages_message(result.seconds)
        path = path or _path(result, pose, array.header)
    held.sort(key=lambda pair: -pair[0].score)
    array.targets = [target for target, _ in held]
    array.obstacles = tables[:1] + _solids([solid for _, solid in held])
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


def _held(result: Answer, pose: Any, index: int) -> list[tuple[msg.GraspTarget, msg.Obstacle | None]]:
    """Return every target with the solid of the thing that it holds, where there is one."""
    solids = {item.name: convert.obstacle_message(item, pose) for item in result.obstacles}
    targets = [_numbered(convert.target_message(target, pose), index) for target in result.targets]
    return [(target, solids.get(f'target_{number}')) for number, target in enumerate(targets)]


def _solids(found: list[msg.Obstacle | None]) -> list[msg.Obstacle]:
    """Return the solids named by the place of their targets among those of all questions."""
    kept = [(number, solid) for number, solid in enumerate(found) if solid is not None]
    for number, solid in kept:
        solid.id = f'target_{number}'
    return [solid for _, solid in kept]


def _numbered(target: Any, index: int) -> Any:
    target.query_index = index
    return target


def _abstained(abstention: Abstention, index: int) -> msg.Abstention:
    message = convert.abstention_message(abstention)
    message.query_index = index
    return message


def _path(result: Answer, pose: Any, header: Any) -> Path | None:
    """Return the first trace or hand path in the order of motion, stamped where its times are known, or None."""
    if not result.paths:
        return None
    path = result.paths[0]
    message = convert.path_message(list(np.asarray(path.points) @ pose[:3, :3].T + pose[:3, 3]), header)
    start = convert.nanoseconds_of(header.stamp)
    for stamped, seconds in zip(message.poses, np.asarray(path.times_s), strict=True):
        ahead = int(seconds * 1e9) if np.isfinite(seconds) else 0
        stamped.header = Header(frame_id=header.frame_id, stamp=convert.time_message(start + ahead))
    return message
