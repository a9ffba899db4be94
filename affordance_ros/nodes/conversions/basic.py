# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps, poses, outcomes and stages to messages and back."""

from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, TransformStamped, Vector3
from nav_msgs.msg import Path
from std_msgs.msg import Header

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import matrix_from_quaternion, pose_from, quaternion_from_matrix
from affordance_ros.results import Abstention, FloatArray, Frame


def time_message(nanoseconds: int) -> Time:
    """Return a stamp."""
    return Time(sec=int(nanoseconds // 1_000_000_000), nanosec=int(nanoseconds % 1_000_000_000))


def nanoseconds_of(stamp: Time | Duration) -> int:
    """Return a stamp or duration in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def duration_message(nanoseconds: int) -> Duration:
    """Return a duration."""
    return Duration(sec=int(nanoseconds // 1_000_000_000), nanosec=int(nanoseconds % 1_000_000_000))


def header_of(frame: Frame) -> Header:
    """Return the header of the SOURCE image."""
    return Header(stamp=time_message(frame.stamp_ns), frame_id=frame.frame_id)


def outcome_message(error: AffordanceError | Abstention | None = None) -> msg.Outcome:
    """Return OK, or the code and sentence of a refusal."""
    return msg.Outcome() if error is None else msg.Outcome(code=int(error.code), message=error.message)


def error_from(outcome: msg.Outcome) -> AffordanceError | None:
    """Return the refusal that an outcome tells of, None when it is OK."""
    return None if outcome.code == Code.OK else AffordanceError(Code(outcome.code), outcome.message)


def timeout_of(asked_s: float, own_s: float) -> float:
    """Return the time for a request in seconds: what was asked, or the node's own limit for 0, NaN and nonsense."""
    return float(asked_s) if 0 < asked_s < 3600 else own_s


def point_message(values: FloatArray) -> Point:
    """Return a Point of (3,)."""
    return Point(x=float(values[0]), y=float(values[1]), z=float(values[2]))


def vector_message(values: FloatArray) -> Vector3:
    """Return a Vector3 of (3,)."""
    return Vector3(x=float(values[0]), y=float(values[1]), z=float(values[2]))


def vector_of(values: Sequence[float]) -> FloatArray:
    """Return (3,) of a message. Raises BAD_INPUT for numbers that are not finite."""
    vector = np.asarray(values, dtype=np.float64)
    if not np.isfinite(vector).all():
        raise AffordanceError(Code.BAD_INPUT, f'a point or direction of the request is not finite: {vector.tolist()}')
    return vector


def unit_of(values: Sequence[float]) -> FloatArray:
    """Return a direction (3,) of length 1. Raises BAD_INPUT for one that is none."""
    vector = vector_of(values)
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise AffordanceError(Code.BAD_INPUT, 'a direction of the request has no length')
    return np.asarray(vector / length)


def pose_message(matrix: FloatArray) -> Pose:
    """Return a Pose of a (4, 4) transform."""
    x, y, z, w = (float(value) for value in quaternion_from_matrix(np.asarray(matrix)[:3, :3]))
    return Pose(position=point_message(np.asarray(matrix)[:3, 3]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def path_message(points: Sequence[FloatArray], header: Header) -> Path:
    """Return a Path through points (3,); its poses have no direction of their own (identity)."""
    poses = [Pose(position=point_message(point)) for point in points]
    return Path(header=header, poses=[PoseStamped(header=header, pose=pose) for pose in poses])


def matrix_from_pose(pose: Pose) -> FloatArray:
    """Return the (4, 4) transform of a Pose."""
    q = pose.orientation
    return pose_from((pose.position.x, pose.position.y, pose.position.z), (q.x, q.y, q.z, q.w))


def matrix_from_transform(message: TransformStamped) -> FloatArray:
    """Return parent_from_child (4, 4)."""
    t, q = message.transform.translation, message.transform.rotation
    return pose_from((t.x, t.y, t.z), matrix_from_quaternion((q.x, q.y, q.z, q.w)))


def transform_message(matrix: FloatArray, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    """Return parent_from_child as a TransformStamped."""
    message = TransformStamped(header=Header(stamp=time_message(stamp_ns), frame_id=parent), child_frame_id=child)
    pose = pose_message(matrix)
    message.transform.translation = vector_message(np.asarray(matrix)[:3, 3])
    message.transform.rotation = pose.orientation
    return message


def stages_message(seconds: Mapping[str, float]) -> list[msg.StageTime]:
    """Return the wall time by stage."""
    return [msg.StageTime(stage=name, seconds=float(value)) for name, value in seconds.items()]
