# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contacts, grasp targets and abstentions to messages and back."""

import numpy as np

from affordance_ros import msg
from affordance_ros.errors import Code
from affordance_ros.nodes.conversions.basic import (
    matrix_from_pose,
    outcome_message,
    point_message,
    pose_message,
    vector_message,
)
from affordance_ros.results import Abstention, Contact, FloatArray, GraspTarget, PlaceTarget

METHODS = {'keypoint': 1, 'heatmap': 2, 'box': 3, 'mask': 4, 'trace': 5}


def contact_message(contact: Contact, frame_from_camera: FloatArray) -> msg.Contact:
    """Return a contact in another frame. frame_from_camera: (4, 4)."""
    pose = np.asarray(frame_from_camera)
    rotation = pose[:3, :3]
    numbers = ('anisotropy', 'radius_m', 'score', 'valid_ratio', 'inlier_ratio', 'sigma_m')
    return msg.Contact(
        point=point_message(rotation @ contact.point + pose[:3, 3]),
        normal=vector_message(rotation @ contact.normal),
        axis=vector_message(rotation @ contact.axis),
        covariance=[float(value) for value in (rotation @ contact.covariance @ rotation.T).ravel()],
        u=float(contact.pixel[0]),
        v=float(contact.pixel[1]),
        method=METHODS.get(contact.method, 0),
        label=contact.label,
        **{name: float(getattr(contact, name)) for name in numbers},
    )


def contact_from(message: msg.Contact, frame_from_header: FloatArray | None = None) -> Contact:
    """Return the contact of a message, in the frame of its array or in another. frame_from_header: (4, 4)."""
    pose = np.eye(4) if frame_from_header is None else np.asarray(frame_from_header)
    rotation = pose[:3, :3]
    point, normal, axis = (
        rotation @ (vector.x, vector.y, vector.z) for vector in (message.point, message.normal, message.axis)
    )
    names = {value: name for name, value in METHODS.items()}
    numbers = ('anisotropy', 'radius_m', 'score', 'valid_ratio', 'inlier_ratio', 'sigma_m')
    return Contact(
        point=point + pose[:3, 3],
        normal=normal,
        axis=axis,
        covariance=rotation @ np.asarray(message.covariance).reshape(3, 3) @ rotation.T,
        pixel=(message.u, message.v),
        method=names.get(message.method, 'unknown'),
        label=message.label,
        **{name: float(getattr(message, name)) for name in numbers},
    )


def target_message(target: GraspTarget, frame_from_camera: FloatArray) -> msg.GraspTarget:
    """Return a grasp target in another frame. frame_from_camera: (4, 4)."""
    pose = np.asarray(frame_from_camera)
    return msg.GraspTarget(
        contact=contact_message(target.contact, pose),
        grasp=pose_message(pose @ target.grasp),
        pregrasp=pose_message(pose @ target.pregrasp),
        lift=pose_message(pose @ target.lift),
        **({} if target.wrist is None else {'wrist': pose_message(pose @ target.wrist)}),
        wrist_frame='' if target.wrist is None else target.wrist_frame,
        approach=vector_message(pose[:3, :3] @ target.approach),
        closing=vector_message(pose[:3, :3] @ target.closing),
        opening_m=float(target.opening_m),
        width_m=float(target.width_m),
        width_is_lower_bound=bool(target.width_is_lower_bound),
        depth_m=float(target.depth_m),
        clearance_m=float(target.clearance_m),
        score=float(target.score),
        sub_score_names=list(target.sub_scores),
        sub_scores=[float(value) for value in target.sub_scores.values()],
        gripper=target.gripper,
        label=target.label,
    )


def target_from(message: msg.GraspTarget, frame_from_header: FloatArray | None = None) -> GraspTarget:
    """Return the grasp target of a message, in the frame of its array or in another. frame_from_header: (4, 4)."""
    pose = np.eye(4) if frame_from_header is None else np.asarray(frame_from_header)
    return GraspTarget(
        contact=contact_from(message.contact, pose),
        grasp=pose @ matrix_from_pose(message.grasp),
        pregrasp=pose @ matrix_from_pose(message.pregrasp),
        lift=pose @ matrix_from_pose(message.lift),
        width_m=message.width_m,
        width_is_lower_bound=message.width_is_lower_bound,
        depth_m=message.depth_m,
        clearance_m=message.clearance_m,
        score=message.score,
        sub_scores=dict(zip(message.sub_score_names, message.sub_scores, strict=True)),
        gripper=message.gripper,
        label=message.label,
        opening_m=message.opening_m,
        wrist=pose @ matrix_from_pose(message.wrist) if message.wrist_frame else None,
        wrist_frame=message.wrist_frame,
    )


def place_message(place: PlaceTarget, frame_from_camera: FloatArray) -> msg.PlaceTarget:
    """Return a place target in another frame. frame_from_camera: (4, 4)."""
    pose = np.asarray(frame_from_camera)
    return msg.PlaceTarget(
        contact=contact_message(place.contact, pose),
        pose=pose_message(pose @ place.pose),
        radius_m=float(place.radius_m),
        room_m=float(place.room_m),
        score=float(place.score),
        sub_score_names=list(place.sub_scores),
        sub_scores=[float(value) for value in place.sub_scores.values()],
        label=place.label,
    )


def place_from(message: msg.PlaceTarget, frame_from_header: FloatArray | None = None) -> PlaceTarget:
    """Return the place target of a message, in the frame of its array or in another. frame_from_header: (4, 4)."""
    pose = np.eye(4) if frame_from_header is None else np.asarray(frame_from_header)
    return PlaceTarget(
        contact=contact_from(message.contact, pose),
        pose=pose @ matrix_from_pose(message.pose),
        radius_m=message.radius_m,
        room_m=message.room_m,
        score=message.score,
        sub_scores=dict(zip(message.sub_score_names, message.sub_scores, strict=True)),
        label=message.label,
    )


def abstention_message(abstention: Abstention) -> msg.Abstention:
    """Return an abstention with its evidence."""
    return msg.Abstention(
        outcome=outcome_message(abstention),
        u=float(abstention.pixel[0]),
        v=float(abstention.pixel[1]),
        label=abstention.label,
        evidence_names=list(abstention.evidence),
        evidence=[float(value) for value in abstention.evidence.values()],
    )


def abstention_from(message: msg.Abstention) -> Abstention:
    """Return the abstention of a message."""
    evidence = dict(zip(message.evidence_names, message.evidence, strict=True))
    return Abstention(
        Code(message.outcome.code), message.outcome.message, message.label, (message.u, message.v), evidence
    )
