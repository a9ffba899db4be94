# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our messages as rosbags reads them, back to results. All poses and points keep the frame of the message."""

from typing import Any

import numpy as np

from affordance_ros.errors import Code
from affordance_ros.geometry.transforms import inverse, pose_from
from affordance_ros.results import Abstention, Contact, FloatArray, GraspTarget, Keypoints

METHODS = {1: 'keypoint', 2: 'heatmap', 3: 'box', 4: 'mask', 5: 'trace'}


def answer_parts(
    message: Any, target_from_camera: FloatArray | None = None
) -> tuple[tuple[GraspTarget, ...], tuple[Abstention, ...]]:
    """Return the targets and abstentions of a GraspTargetArray.

    target_from_camera: pose of the camera in the frame of the message; None when the message is in the camera frame.
    """
    camera_from_message = np.eye(4) if target_from_camera is None else inverse(target_from_camera)
    targets = tuple(_target(item, camera_from_message) for item in message.targets)
    abstentions = [_abstention(item) for item in message.abstentions]
    if not targets and not abstentions and message.outcome.code:
        abstentions.append(Abstention(Code(message.outcome.code), message.outcome.message))
    return targets, tuple(abstentions)


def keypoints_from(message: Any) -> Keypoints:
    """Return the keypoints of an Affordance."""
    points = np.array([(item.u, item.v) for item in message.keypoints]).reshape(-1, 2)
    scores = np.array([item.score for item in message.keypoints])
    return Keypoints(points, scores, tuple(item.label for item in message.keypoints))


def _vector(value: Any) -> FloatArray:
    return np.array((value.x, value.y, value.z), np.float64)


def _direction(rotation: FloatArray, value: Any) -> FloatArray:
    turned = rotation @ _vector(value)
    return np.asarray(turned / np.linalg.norm(turned))


def _pose(value: Any) -> FloatArray:
    q = value.orientation
    return pose_from(_vector(value.position), (q.x, q.y, q.z, q.w))


def _contact(message: Any, camera_from_message: FloatArray) -> Contact:
    rotation = camera_from_message[:3, :3]
    covariance = np.asarray(message.covariance, np.float64).reshape(3, 3)
    return Contact(
        point=rotation @ _vector(message.point) + camera_from_message[:3, 3],
        normal=_direction(rotation, message.normal),
        axis=_direction(rotation, message.axis),
        anisotropy=float(message.anisotropy),
        radius_m=float(message.radius_m),
        covariance=rotation @ covariance @ rotation.T,
        pixel=(float(message.u), float(message.v)),
        score=float(message.score),
        valid_ratio=float(message.valid_ratio),
        inlier_ratio=float(message.inlier_ratio),
        sigma_m=float(message.sigma_m),
        method=METHODS.get(int(message.method), 'keypoint'),
        label=message.label,
    )


def _target(message: Any, camera_from_message: FloatArray) -> GraspTarget:
    scores = [float(value) for value in message.sub_scores]
    return GraspTarget(
        contact=_contact(message.contact, camera_from_message),
        grasp=camera_from_message @ _pose(message.grasp),
        pregrasp=camera_from_message @ _pose(message.pregrasp),
        lift=camera_from_message @ _pose(message.lift),
        width_m=float(message.width_m),
        width_is_lower_bound=bool(message.width_is_lower_bound),
        depth_m=float(message.depth_m),
        clearance_m=float(message.clearance_m),
        score=float(message.score),
        sub_scores=dict(zip(message.sub_score_names, scores, strict=True)),
        gripper=message.gripper,
        label=message.label,
        opening_m=float(message.opening_m),
        wrist=camera_from_message @ _pose(message.wrist) if message.wrist_frame else None,
        wrist_frame=message.wrist_frame,
    )


def _abstention(message: Any) -> Abstention:
    values = [float(value) for value in message.evidence]
    return Abstention(
        code=Code(message.outcome.code),
        message=message.outcome.message,
        label=message.label,
        pixel=(float(message.u), float(message.v)),
        evidence=dict(zip(message.evidence_names, values, strict=True)),
    )
