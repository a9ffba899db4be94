# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frozen frame and its answer to the self-contained Evidence message and back."""

from collections.abc import Sequence

import numpy as np

from affordance_ros import msg
from affordance_ros.camera_messages import depth_from_message, intrinsics_from_message
from affordance_ros.errors import AffordanceError
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.results import Frame, Heatmap, Prediction


def evidence_message(
    frame: Frame, answer: msg.AffordanceArray, refused: AffordanceError | None, heatmaps: Sequence[Heatmap] = ()
) -> msg.Evidence:
    """Return an answer with what lifting it needs. refused: why the pose is not known when it should be."""
    evidence = msg.Evidence(answer=answer, pose_outcome=convert.outcome_message(refused))
    evidence.heatmaps = [convert.heatmap_message(heatmap, answer.header) for heatmap in heatmaps]
    if frame.depth is not None:
        evidence.depth = image_message(frame.depth, '32FC1', answer.header)
    if frame.intrinsics is not None:
        evidence.camera_info = camera_info_message(frame.intrinsics, answer.header)
    if frame.target_from_camera is not None:
        evidence.has_pose = True
        pose = np.asarray(frame.target_from_camera)
        evidence.camera_pose = convert.transform_message(pose, frame.target_frame, frame.frame_id, frame.stamp_ns)
    return evidence


def frame_from(evidence: msg.Evidence) -> Frame:
    """Return the frozen frame of an answer; its colour is black, lifting does not need it any more."""
    intrinsics = intrinsics_from_message(evidence.camera_info)
    depth = depth_from_message(evidence.depth) if evidence.depth.data else None
    header = evidence.answer.header
    black = np.broadcast_to(np.zeros(1, np.uint8), (intrinsics.height, intrinsics.width, 3))
    pose = convert.matrix_from_transform(evidence.camera_pose) if evidence.has_pose else None
    target = evidence.camera_pose.header.frame_id if evidence.has_pose else ''
    return Frame(black, depth, intrinsics, convert.nanoseconds_of(header.stamp), header.frame_id, pose, target)


def predictions_from(evidence: msg.Evidence) -> list[tuple[Prediction | None, AffordanceError | None]]:
    """Return the answer to every question, or why there is none. Raises AffordanceError for what cannot be read."""
    answer, heatmaps = evidence.answer, iter(evidence.heatmaps)
    seconds = {stage.stage: stage.seconds for stage in answer.stages}
    found: list[tuple[Prediction | None, AffordanceError | None]] = []
    for affordance in answer.affordances:
        heatmap = next(heatmaps, None) if affordance.has_heatmap else None
        error = convert.error_from(affordance.outcome)
        prediction = convert.prediction_from(affordance, answer.model, seconds, heatmap) if error is None else None
        found.append((prediction, error))
    return found
