# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our results to our messages and back. Images are in images.py."""

from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, TransformStamped, Vector3
from nav_msgs.msg import Path
from std_msgs.msg import Header

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import matrix_from_quaternion, pose_from, quaternion_from_matrix
from affordance_ros.results import (
    Abstention,
    Boxes,
    Contact,
    FloatArray,
    Frame,
    GraspTarget,
    HandTrajectory,
    Keypoints,
    Prediction,
    Query,
    Trace,
)

METHODS = {'keypoint': 1, 'heatmap': 2, 'box': 3, 'mask': 4, 'trace': 5}
STAGES = {'preprocess': 2, 'encode': 3, 'generate': 4, 'parse': 5}


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


def affordance_message(prediction: Prediction, error: AffordanceError | None = None) -> msg.Affordance:
    """Return the answer to one question."""
    message = msg.Affordance(query=prediction.query.sentence, text=prediction.text, reasoning=prediction.reasoning)
    if prediction.keypoints is not None:
        k = prediction.keypoints
        message.keypoints = [
            msg.Keypoint2D(u=float(p[0]), v=float(p[1]), score=float(s), label=name)
            for p, s, name in zip(k.points, np.asarray(k.scores), k.labels, strict=True)
        ]
    if prediction.boxes is not None:
        b = prediction.boxes
        message.boxes = [
            msg.Box2D(
                u_min=float(x[0]), v_min=float(x[1]), u_max=float(x[2]), v_max=float(x[3]), score=float(s), label=name
            )
            for x, s, name in zip(b.boxes, np.asarray(b.scores), b.labels, strict=True)
        ]
    message.traces = [
        msg.Trace2D(u=list(t.points[:, 0]), v=list(t.points[:, 1]), label=t.label) for t in prediction.traces or ()
    ]
    message.hands = [_hand_message(hand) for hand in prediction.hands or ()]
    message.has_heatmap = prediction.heatmap is not None
    message.repairs = list(prediction.repairs)
    message.confidence = float(prediction.confidence)
    message.outcome = outcome_message(error)
    return message


def _hand_message(hand: HandTrajectory) -> msg.HandTrajectory:
    side = msg.HandTrajectory.LEFT if hand.side == 'left' else msg.HandTrajectory.RIGHT
    points = np.asarray(hand.points)
    spread = [float(value) for value in np.asarray(hand.spread_px)]
    return msg.HandTrajectory(
        side=side, times_s=list(np.asarray(hand.times_s)), u=list(points[:, 0]), v=list(points[:, 1]), spread_px=spread
    )


def prediction_from(message: msg.Affordance, model: str, seconds: Mapping[str, float]) -> Prediction:
    """Return the prediction that an Affordance carries (heatmaps and masks are not in it)."""
    keypoints = Keypoints(
        points=np.array([(k.u, k.v) for k in message.keypoints]).reshape(-1, 2),
        scores=np.array([k.score for k in message.keypoints]),
        labels=tuple(k.label for k in message.keypoints),
    )
    boxes = Boxes(
        boxes=np.array([(b.u_min, b.v_min, b.u_max, b.v_max) for b in message.boxes]).reshape(-1, 4),
        scores=np.array([b.score for b in message.boxes]),
        labels=tuple(b.label for b in message.boxes),
    )
    return Prediction(
        model=model,
        query=Query(text=message.query),
        text=message.text,
        reasoning=message.reasoning,
        keypoints=keypoints,
        boxes=boxes,
        traces=tuple(Trace(np.column_stack((t.u, t.v)), t.label) for t in message.traces),
        hands=tuple(_hand_from(hand) for hand in message.hands),
        repairs=tuple(message.repairs),
        confidence=float(message.confidence),
        seconds=seconds,
    )


def _hand_from(message: msg.HandTrajectory) -> HandTrajectory:
    side = 'left' if message.side == msg.HandTrajectory.LEFT else 'right'
    return HandTrajectory(
        np.column_stack((message.u, message.v)), np.asarray(message.times_s), side, np.asarray(message.spread_px)
    )


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
        approach=vector_message(pose[:3, :3] @ target.approach),
        closing=vector_message(pose[:3, :3] @ target.closing),
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
