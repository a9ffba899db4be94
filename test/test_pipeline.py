# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a prediction to targets and abstentions: widths, codes, turning with the scene, nothing lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_depth import CAMERA, cylinder, frame_of, plane, slab

from affordance_ros.errors import Code
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Frame, Keypoints, Prediction, Query

TABLE = plane((0, 0, 0.75), (0, 0, -1))


def answer(frame: Frame, pixels: object = ((320, 240),), settings: PipelineSettings | None = None) -> Answer:
    points = Keypoints(points=np.array(pixels, float).reshape(-1, 2))
    prediction = Prediction('fake', Query(text='x'), keypoints=points)
    return lift_and_grasp(frame, prediction, settings or PipelineSettings())


@pytest.mark.parametrize('radius', [0.008, 0.012, 0.02, 0.03])
@pytest.mark.parametrize('holes', [0.0, 0.3])
def test_width_of_a_cylinder(radius: float, holes: float) -> None:
    found = answer(frame_of(TABLE, cylinder(0.62, radius, 0.09), sigma=0.0007, holes=holes))
    assert len(found.targets) == 1, found.abstentions
    target = found.targets[0]
    # The camera sees a cylinder a little narrower than it is.
    assert target.width_m == pytest.approx(2 * radius, abs=0.003) or target.width_is_lower_bound
    assert abs(target.grasp[0, 1]) < 0.2  # closes across the cylinder, which lies along x
    assert target.grasp[2, 2] > 0.8  # comes from the camera's side


def test_a_handle_before_a_front_has_its_own_width() -> None:
    found = answer(frame_of(plane((0, 0, 0.6), (0, 0, -1)), slab(0.575, 0.05, 0.007), sigma=0.0005))
    assert found.targets, found.abstentions
    assert found.targets[0].width_m == pytest.approx(0.014, abs=0.003)


def test_codes() -> None:
    wide = frame_of(TABLE, slab(0.6, 0.075, 0.075))
    handle = frame_of(TABLE, cylinder(0.62, 0.012, 0.09))
    assert answer(wide).abstentions[0].code == Code.TOO_WIDE
    thin = PipelineSettings(grasp=GraspSettings(min_width_m=0.05), gripper=GripperSettings(max_aperture_m=0.5))
    narrow = frame_of(TABLE, slab(0.62, 0.012, 0.012))
    assert answer(narrow, settings=thin).abstentions[0].code == Code.TOO_THIN
    strict = PipelineSettings(grasp=GraspSettings(min_score=1.5))
    assert answer(handle, settings=strict).abstentions[0].code == Code.LOW_SCORE
    walls = np.where(np.abs(np.arange(480) - 240)[:, None] > 18, 0.55, np.inf) * np.ones((480, 640))
    slot = frame_of(TABLE, slab(0.62, 0.09, 0.012), walls)
    assert answer(slot).abstentions[0].code == Code.NO_CLEARANCE


def test_a_turned_scene_gives_turned_answers() -> None:
    frame = frame_of(TABLE, cylinder(0.62, 0.012, 0.09))
    assert frame.depth is not None
    camera = type(CAMERA)(600, 600, 240, 319, 480, 640)
    turned = Frame(np.zeros((640, 480, 3), np.uint8), np.ascontiguousarray(np.rot90(frame.depth)), camera)
    first, second = answer(frame).targets[0], answer(turned, ((240, 319),)).targets[0]
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # (x, y) -> (y, -x)
    np.testing.assert_allclose(turn @ first.contact.point, second.contact.point, atol=1e-3)
    assert abs((turn @ first.grasp[:3, 1]) @ second.grasp[:3, 1]) > 0.99
    assert first.width_m == pytest.approx(second.width_m, abs=0.002)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_every_keypoint_ends_somewhere_and_targets_are_finite(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    frame = frame_of(TABLE, cylinder(0.62, 0.012, 0.09), sigma=float(rng.uniform(0, 0.01)), seed=seed)
    assert frame.depth is not None
    odd = rng.random(frame.depth.shape)
    for low, value in ((0.0, np.nan), (0.05, np.inf), (0.1, 0.0), (0.15, -1.0), (0.2, 1e30)):
        frame.depth[(odd >= low) & (odd < low + 0.05)] = value
    found = answer(frame, rng.uniform((-20, -20), (660, 500), (count, 2)))
    assert count <= len(found.targets) + len(found.abstentions) <= 2 * count  # a tie gives two
    for target in found.targets:
        assert np.isfinite(target.grasp).all()
        assert np.isfinite([target.width_m, target.score, target.clearance_m]).all()
        assert target.contact.point[2] > 0.15
        np.testing.assert_allclose(target.grasp[:3, :3] @ target.grasp[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(target.grasp[:3, :3]) == pytest.approx(1)
    assert [t.score for t in found.targets] == sorted((t.score for t in found.targets), reverse=True)
