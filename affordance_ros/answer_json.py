# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An answer as plain JSON: units and frames in the keys, unset numbers as null. Files and reports are made from it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.pipeline import Answer
from affordance_ros.results import (
    Abstention,
    Boxes,
    Contact,
    FloatArray,
    Frame,
    GraspTarget,
    HandTrajectory,
    LiftedPath,
    PlaceTarget,
    Prediction,
)

Json = dict[str, Any]


def answer_to_json(answer: Answer) -> Json:
    """Return everything about an answer but its images. Poses: camera frame, and the target frame when it is known."""
    frame = answer.frame
    record: Json = _clean({
        'query': answer.prediction.query.sentence,
        'outcome': outcome(answer),
        'frame': _frame(frame),
        'prediction': _prediction(answer.prediction),
        'targets': [_target(target, frame) for target in answer.targets],
        'places': [_place(place, frame) for place in answer.places],
        'paths': [_path(path) for path in answer.paths],
        'contacts': [_contact(contact) for contact in answer.contacts],
        'abstentions': [_abstention(abstention) for abstention in answer.abstentions],
        'seconds': dict(answer.seconds),
    })  # fmt: skip
    return record


def outcome(answer: Answer) -> str:
    """Return 'OK' for a target, words, or a place in an image without depth; else the code of the first refusal."""
    prediction = answer.prediction
    if (
        answer.targets
        or answer.places
        or prediction.in_words
        or (answer.frame.depth is None and prediction.names_a_place)
    ):
        return 'OK'
    return (answer.abstentions[0].code if answer.abstentions else prediction.why_empty[0]).name


def _clean(value: Any) -> Any:
    """Return `value` with only what JSON knows; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _clean(value.tolist())
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, np.generic):
        return _clean(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _frame(frame: Frame) -> Json:
    k = frame.intrinsics
    return {
        'frame_id': frame.frame_id,
        'stamp_ns': frame.stamp_ns,
        'width_px': frame.width,
        'height_px': frame.height,
        'intrinsics_px': {'fx': k.fx, 'fy': k.fy, 'cx': k.cx, 'cy': k.cy} if k else None,
        'target_frame': frame.target_frame or None,
        'target_from_camera': _pose(frame.target_from_camera) if frame.target_from_camera is not None else None,
    }


def _prediction(prediction: Prediction) -> Json:
    keypoints, heatmap, masks = prediction.keypoints, prediction.heatmap, prediction.masks
    return {
        'model': prediction.model,
        'text': prediction.text,
        'reasoning': prediction.reasoning,
        'keypoints_uv_px': keypoints.points if keypoints is not None else None,
        'boxes': _boxes(prediction.boxes),
        'traces_uv_px': [{'label': t.label, 'points': t.points} for t in prediction.traces or ()],
        'hands': [_hand(hand) for hand in prediction.hands or ()],
        'heatmap_peak_uv_px': _peak(np.asarray(heatmap.values)) if heatmap is not None else None,
        'mask_areas_px': masks.masks.sum(axis=(1, 2)) if masks is not None else None,
        'repairs': prediction.repairs,
        'confidence': prediction.confidence,
    }


def _hand(hand: HandTrajectory) -> Json:
    return {
        'side': hand.side,
        'times_s': hand.times_s,
        'points_uv_px': hand.points,
        'spread_px': hand.spread_px,
        'present': hand.present,
        'caveats': hand.caveats,
    }


def _boxes(boxes: Boxes | None) -> list[Json] | None:
    if boxes is None:
        return None
    rows = zip(boxes.boxes, np.asarray(boxes.scores), boxes.labels, strict=True)
    return [{'xyxy_px': box, 'score': score, 'label': label} for box, score, label in rows]


def _peak(values: FloatArray) -> list[int] | None:
    """Return the highest pixel; None for the empty map, which has none."""
    if not values.any():
        return None
    v, u = np.unravel_index(int(values.argmax()), values.shape)
    return [int(u), int(v)]


def _pose(pose: FloatArray) -> Json:
    matrix = np.asarray(pose)
    return {'position_m': matrix[:3, 3], 'orientation_xyzw': quaternion_from_matrix(matrix[:3, :3])}


def _contact(contact: Contact) -> Json:
    return {
        'point_m': contact.point,
        'normal': contact.normal,
        'axis': contact.axis,
        'anisotropy': contact.anisotropy,
        'radius_m': contact.radius_m,
        'covariance_m2': contact.covariance,
        'pixel_uv_px': contact.pixel,
        'score': contact.score,
        'valid_ratio': contact.valid_ratio,
        'inlier_ratio': contact.inlier_ratio,
        'sigma_m': contact.sigma_m,
        'method': contact.method,
        'label': contact.label,
        'evidence': contact.evidence,
    }


def _target(target: GraspTarget, frame: Frame) -> Json:
    names = ('grasp', 'pregrasp', 'lift')
    poses = {name: np.asarray(getattr(target, name)) for name in names}
    given: Json = {f'{name}_in_camera': _pose(pose) for name, pose in poses.items()}
    if frame.target_from_camera is not None:
        known = np.asarray(frame.target_from_camera)
        given |= {f'{name}_in_target_frame': _pose(known @ pose) for name, pose in poses.items()}
    return {
        **given,
        'wrist_in_camera': None if target.wrist is None else _pose(target.wrist),
        'wrist_frame': target.wrist_frame,
        'approach_in_camera': target.approach,
        'closing_in_camera': target.closing,
        'opening_m': target.opening_m,
        'width_m': target.width_m,
        'width_is_lower_bound': target.width_is_lower_bound,
        'depth_m': target.depth_m,
        'clearance_m': target.clearance_m,
        'score': target.score,
        'sub_scores': target.sub_scores,
        'gripper': target.gripper,
        'label': target.label,
        'contact': _contact(target.contact),
    }


def _place(place: PlaceTarget, frame: Frame) -> Json:
    given: Json = {'pose_in_camera': _pose(place.pose)}
    if frame.target_from_camera is not None:
        given['pose_in_target_frame'] = _pose(np.asarray(frame.target_from_camera) @ place.pose)
    return {
        **given,
        'radius_m': place.radius_m,
        'room_m': place.room_m,
        'score': place.score,
        'sub_scores': place.sub_scores,
        'label': place.label,
        'contact': _contact(place.contact),
    }


def _path(path: LiftedPath) -> Json:
    return {
        'label': path.label,
        'points_in_camera_m': path.points,
        'lifted': path.lifted,
        'times_s': path.times_s,
        'raised_m': path.raised_m,
    }


def _abstention(abstention: Abstention) -> Json:
    return {
        'code': abstention.code.name,
        'code_number': int(abstention.code),
        'message': abstention.message,
        'label': abstention.label,
        'pixel_uv_px': abstention.pixel,
        'evidence': abstention.evidence,
    }
