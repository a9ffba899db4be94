# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results to messages and back, also into another frame."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from affordance_ros import msg  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.geometry.transforms import inverse, pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.nodes.evidence import evidence_message, frame_from  # noqa: E402
from affordance_ros.results import (  # noqa: E402
    Abstention,
    Boxes,
    Contact,
    Frame,
    GraspTarget,
    HandTrajectory,
    Intrinsics,
    Keypoints,
    PlaceTarget,
    Prediction,
    Query,
    Trace,
)

pytestmark = pytest.mark.ros
POSE = pose_from((0.1, -0.2, 0.9), (0.5, -0.5, 0.5, 0.5))


def contact() -> Contact:
    return Contact(
        point=(0.1, 0.2, 0.7),
        normal=(0, 0.6, -0.8),
        axis=(1, 0, 0),
        anisotropy=0.5,
        radius_m=0.008,
        covariance=np.diag((1e-6, 2e-6, 3e-6)),
        pixel=(12.5, 33.0),
        score=0.75,
        valid_ratio=0.5,
        inlier_ratio=0.25,
        sigma_m=0.001953125,
        method='trace',
        label='handle',
    )


def target() -> GraspTarget:
    poses = [pose_from((0.1, 0.2, z), (0, 0.6, 0, 0.8)) for z in (0.7, 0.6, 0.5)]
    wrist = pose_from((0.1, 0.1, 0.6), (0, 0.6, 0, 0.8))
    return GraspTarget(
        contact(),
        *poses,
        width_m=0.03125,
        width_is_lower_bound=True,
        depth_m=0.015625,
        clearance_m=0.0625,
        score=0.5,
        sub_scores={'a': 0.5, 'b': 1.0},
        gripper='panda',
        label='it',
        opening_m=0.0625,
        wrist=wrist,
        wrist_frame='panda_hand',
    )


def place() -> PlaceTarget:
    return PlaceTarget(
        contact(), pose_from((0.1, 0.2, 0.7), (0, 0.6, 0, 0.8)), 0.0625, 0.03125, 0.5, {'flat': 0.5}, 'x'
    )


def prediction() -> Prediction:
    return Prediction(
        model='fake',
        query=Query(text='take the mug'),
        text='[(1, 2)]',
        reasoning='because',
        keypoints=Keypoints(np.array([[1.5, 2.5], [3.0, 4.0]]), np.array([0.5, np.nan]), ('a', 'b')),
        boxes=Boxes(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0.25]), ('box',)),
        traces=(Trace(np.array([[1.0, 2.0], [3.0, 4.0]]), 'path'),),
        hands=(
            HandTrajectory(np.array([[5.0, 6.0]]), np.array([0.5]), 'right'),
            HandTrajectory(np.array([[7.0, 8.0]]), np.array([0.5]), 'left', [2.0], present=False, caveats=('blurred',)),
        ),
        repairs=('one point dropped',),
        seconds={'total': 0.5},
    )


def same(a, b) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))


def test_a_prediction_goes_there_and_back() -> None:
    before = prediction()
    after = convert.prediction_from(convert.affordance_message(before), 'fake', before.seconds)
    assert (after.query.sentence, after.text, after.reasoning) == (before.query.sentence, before.text, before.reasoning)
    assert same(after.keypoints.points, before.keypoints.points)
    assert same(after.keypoints.scores, before.keypoints.scores)
    assert after.keypoints.labels == ('a', 'b')
    assert same(after.boxes.boxes, before.boxes.boxes)
    assert same(after.traces[0].points, before.traces[0].points)
    assert (after.hands[0].side, after.repairs) == ('right', before.repairs)
    assert same(after.hands[0].spread_px, before.hands[0].spread_px)
    assert [(hand.present, hand.caveats) for hand in after.hands] == [(None, ()), (False, ('blurred',))]


def test_a_target_goes_there_and_back() -> None:
    before = target()
    after = convert.target_from(convert.target_message(before, np.eye(4)))
    for name in ('grasp', 'pregrasp', 'lift', 'wrist'):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-12)
    for name in (
        'width_m',
        'width_is_lower_bound',
        'depth_m',
        'clearance_m',
        'score',
        'sub_scores',
        'gripper',
        'label',
        'opening_m',
        'wrist_frame',
    ):
        assert getattr(after, name) == getattr(before, name)
    for name in ('point', 'normal', 'axis', 'covariance'):
        np.testing.assert_allclose(getattr(after.contact, name), getattr(before.contact, name), atol=1e-12)
    for name in ('anisotropy', 'score', 'valid_ratio', 'inlier_ratio', 'sigma_m', 'method', 'label', 'pixel'):
        assert getattr(after.contact, name) == getattr(before.contact, name)


def test_a_target_without_a_wrist_keeps_none() -> None:
    before = replace(target(), wrist=None)
    assert convert.target_from(convert.target_message(before, POSE)).wrist is None


def test_a_place_goes_there_and_back() -> None:
    before = place()
    message = convert.place_message(before, POSE)
    np.testing.assert_allclose(convert.matrix_from_pose(message.pose), POSE @ before.pose, atol=1e-12)
    after = convert.place_from(message, inverse(POSE))
    np.testing.assert_allclose(after.pose, before.pose, atol=1e-12)
    np.testing.assert_allclose(after.contact.point, before.contact.point, atol=1e-12)
    for name in ('radius_m', 'room_m', 'score', 'sub_scores', 'label'):
        assert getattr(after, name) == getattr(before, name)


def test_another_frame_turns_everything() -> None:
    before, after = target(), convert.target_from(convert.target_message(target(), POSE))
    np.testing.assert_allclose(after.grasp, POSE @ before.grasp, atol=1e-12)
    np.testing.assert_allclose(after.approach, POSE[:3, :3] @ before.approach, atol=1e-12)
    np.testing.assert_allclose(after.contact.point, POSE[:3, :3] @ before.contact.point + POSE[:3, 3], atol=1e-12)
    np.testing.assert_allclose(after.contact.normal, POSE[:3, :3] @ before.contact.normal, atol=1e-12)
    turned = POSE[:3, :3] @ before.contact.covariance @ POSE[:3, :3].T
    np.testing.assert_allclose(after.contact.covariance, turned, atol=1e-18)


def test_and_back_again() -> None:
    before = target()
    after = convert.target_from(convert.target_message(before, POSE), inverse(POSE))
    np.testing.assert_allclose(after.pregrasp, before.pregrasp, atol=1e-12)
    np.testing.assert_allclose(after.contact.point, before.contact.point, atol=1e-12)
    np.testing.assert_allclose(after.contact.axis, before.contact.axis, atol=1e-12)


def test_evidence_holds_all_that_lifting_needs() -> None:
    depth = np.array([[0.5, np.nan], [0.25, 1.0]], np.float32)
    k = Intrinsics(600.0, 600.0, 0.5, 0.5, 2, 2)
    frame = Frame(np.zeros((2, 2, 3), np.uint8), depth, k, 5_000_000_007, 'camera', POSE, 'base')
    array = msg.AffordanceArray(header=convert.header_of(frame))
    after = frame_from(evidence_message(frame, array, None))
    assert same(after.depth, depth)
    assert (after.intrinsics.fx, after.intrinsics.width) == (600.0, 2)
    assert (after.stamp_ns, after.frame_id, after.target_frame) == (5_000_000_007, 'camera', 'base')
    np.testing.assert_allclose(after.target_from_camera, POSE, atol=1e-12)


def test_evidence_without_depth_and_pose() -> None:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), None, Intrinsics(600.0, 600.0, 0.5, 0.5, 2, 2), 1, 'camera')
    refused = AffordanceError(Code.TF, 'no transform')
    evidence = evidence_message(frame, msg.AffordanceArray(header=convert.header_of(frame)), refused)
    assert (evidence.has_pose, evidence.pose_outcome.code) == (False, Code.TF)
    assert frame_from(evidence).depth is None


def test_an_abstention_goes_there_and_back() -> None:
    before = Abstention(Code.TOO_WIDE, 'too wide', 'pan', (1.0, 2.0), {'width_m': 0.5})
    assert convert.abstention_from(convert.abstention_message(before)) == before


@pytest.mark.parametrize('nanoseconds', [0, 1, 999_999_999, 1_000_000_000, 1_795_000_000_123_456_789])
def test_stamps(nanoseconds: int) -> None:
    assert convert.nanoseconds_of(convert.time_message(nanoseconds)) == nanoseconds
    assert convert.nanoseconds_of(convert.duration_message(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(('asked', 'given'), [(0.0, 30.0), (5.0, 5.0), (-1.0, 30.0), (float('nan'), 30.0), (1e9, 30.0)])
def test_nonsense_time_outs_become_our_own(asked: float, given: float) -> None:
    assert convert.timeout_of(asked, 30.0) == given


def test_poses_go_there_and_back() -> None:
    np.testing.assert_allclose(convert.matrix_from_pose(convert.pose_message(POSE)), POSE, atol=1e-12)
    message = convert.transform_message(POSE, 'base', 'camera', 7)
    assert (message.header.frame_id, message.child_frame_id) == ('base', 'camera')
    np.testing.assert_allclose(convert.matrix_from_transform(message), POSE, atol=1e-12)
