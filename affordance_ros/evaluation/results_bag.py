# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answers of a run as an MCAP bag at the stamps of their images: targets, poses and overlays, for Foxglove."""

from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros.bags import BagWriter
from affordance_ros.bags.answers import METHODS
from affordance_ros.bags.messages import header, make, point
from affordance_ros.bags.types import interface_folder
from affordance_ros.errors import Code
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.evaluation.replay import OVERLAYS, overlay_name

RESULTS = 'results'
_VECTOR = 'geometry_msgs/msg/Vector3'
_NUMBERS = {name: number for number, name in METHODS.items()}


def write_results_bag(folder: RunFolder) -> Path:
    """Write `results/` beside the answers and return it. Topics are per prompt: prompt_0/grasp_poses and so on."""
    path = folder.path / RESULTS
    own = interface_folder() is not None
    with BagWriter(path) as writer:
        for line in folder.answers():
            stamp, name = line['stamp_ns'], f'/affordance/prompt_{line["prompt"]}'
            frame_id = (line['frame'] or {}).get('frame_id') or 'camera'
            head = header(stamp, frame_id)
            poses = [_pose(target['grasp_in_camera']) for target in line['targets']]
            writer.write_message(
                f'{name}/grasp_poses', make('geometry_msgs/msg/PoseArray', header=head, poses=poses), stamp
            )
            writer.write_message(f'{name}/text', make('std_msgs/msg/String', data=_sentence(line)), stamp)
            if own:
                writer.write_message(f'{name}/grasp_targets', _array(line, head), stamp)
            overlay = folder.path / OVERLAYS / overlay_name(line['frame_index'], line['prompt'])
            if overlay.is_file():
                data = np.frombuffer(overlay.read_bytes(), np.uint8)
                image = make('sensor_msgs/msg/CompressedImage', header=head, format='jpeg', data=data)
                writer.write_message(f'{name}/overlay/compressed', image, stamp)
    return path


def _sentence(line: Json) -> str:
    text = (line['prediction'] or {}).get('text', '')
    return f'{line["query"]} -> {line["outcome"]} {line["message"] or text}'.strip()


def _array(line: Json, head: Any) -> Any:
    return make(
        'affordance_ros/msg/GraspTargetArray',
        header=head,
        query=line['query'],
        model=(line['prediction'] or {}).get('model', ''),
        outcome=_outcome(line['outcome'], line['message']),
        targets=[_target(target) for target in line['targets']],
        places=[_place(place) for place in line['places']],
        abstentions=[_abstention(item) for item in line['abstentions']],
    )


def _outcome(code: str, message: str) -> Any:
    return make('affordance_ros/msg/Outcome', code=int(Code[code]), message=message)


def _target(target: Json) -> Any:
    scores = {name: _number(value) for name, value in target['sub_scores'].items()}
    return make(
        'affordance_ros/msg/GraspTarget',
        contact=_contact(target['contact']),
        grasp=_pose(target['grasp_in_camera']),
        pregrasp=_pose(target['pregrasp_in_camera']),
        lift=_pose(target['lift_in_camera']),
        approach=point(target['approach_in_camera'], _VECTOR),
        closing=point(target['closing_in_camera'], _VECTOR),
        **({} if target['wrist_in_camera'] is None else {'wrist': _pose(target['wrist_in_camera'])}),
        wrist_frame=target['wrist_frame'],
        opening_m=_number(target['opening_m']),
        width_m=target['width_m'],
        width_is_lower_bound=target['width_is_lower_bound'],
        depth_m=_number(target['depth_m']),
        clearance_m=_number(target['clearance_m']),
        score=target['score'],
        sub_score_names=list(scores),
        sub_scores=np.array(list(scores.values()), np.float32),
        gripper=target['gripper'],
        label=target['label'],
    )


def _place(place: Json) -> Any:
    scores = {name: _number(value) for name, value in place['sub_scores'].items()}
    return make(
        'affordance_ros/msg/PlaceTarget',
        contact=_contact(place['contact']),
        pose=_pose(place['pose_in_camera']),
        radius_m=place['radius_m'],
        room_m=place['room_m'],
        score=place['score'],
        sub_score_names=list(scores),
        sub_scores=np.array(list(scores.values()), np.float32),
        label=place['label'],
    )


def _contact(contact: Json) -> Any:
    names = ('anisotropy', 'radius_m', 'score', 'valid_ratio', 'inlier_ratio', 'sigma_m')
    u, v = contact['pixel_uv_px']
    return make(
        'affordance_ros/msg/Contact',
        point=point(contact['point_m']),
        normal=point(contact['normal'], _VECTOR),
        axis=point(contact['axis'], _VECTOR),
        covariance=np.array(contact['covariance_m2'], np.float64).ravel(),
        u=_number(u),
        v=_number(v),
        method=_NUMBERS.get(contact['method'], 0),
        label=contact['label'],
        **{name: _number(contact[name]) for name in names},
    )


def _abstention(item: Json) -> Any:
    evidence = {name: _number(value) for name, value in item['evidence'].items()}
    u, v = item['pixel_uv_px']
    return make(
        'affordance_ros/msg/Abstention',
        outcome=_outcome(item['code'], item['message']),
        u=_number(u),
        v=_number(v),
        label=item['label'],
        evidence_names=list(evidence),
        evidence=np.array(list(evidence.values()), np.float64),
    )


def _pose(record: Json) -> Any:
    x, y, z, w = record['orientation_xyzw']
    turn = make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
    return make('geometry_msgs/msg/Pose', position=point(record['position_m']), orientation=turn)


def _number(value: float | None) -> float:
    """JSON has null where a number is unset; messages have NaN."""
    return float('nan') if value is None else float(value)
