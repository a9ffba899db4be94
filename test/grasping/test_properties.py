# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must hold for every grasp: it turns with the scene, scales with the units, and no two of them are the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_depth import CAMERA, cylinder, frame_of, plane, slab

from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.distinct import alike
from affordance_ros.grasping.friction import Faces, across_fingers, friction_needed
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.grasping.walls import wall_between
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Frame, Keypoints, Prediction, Query

TABLE = plane((0, 0, 0.75), (0, 0, -1))
ANGLES = st.floats(-np.pi, np.pi)


def turned(axis: str, angle: float) -> np.ndarray:
    """Rotation (4, 4) about an axis."""
    c, s = np.cos(angle), np.sin(angle)
    pose = np.eye(4)
    i, j = {'x': (1, 2), 'y': (2, 0), 'z': (0, 1)}[axis]
    pose[i, i] = pose[j, j] = c
    pose[i, j], pose[j, i] = -s, s
    return pose


def bar(angle: float) -> Frame:
    """A bar of 24 mm above a table, square to the camera's axis and turned about it."""
    pixels = np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1)
    x, y = ((pixels - (320, 240)) / 600 * 0.62).transpose(2, 0, 1)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return frame_of(TABLE, np.where((np.abs(along) < 0.08) & (np.abs(across) < 0.012), 0.62, np.inf))


def held(frame: Frame, gripper: str = 'generic', most: int = 1, pixel: tuple[float, float] = (320, 240)) -> Answer:
    chosen = PipelineSettings(gripper=gripper_preset(gripper), grasp=GraspSettings(per_contact=most))
    return lift_and_grasp(frame, Prediction('fake', Query(text='x'), keypoints=Keypoints(np.array([pixel]))), chosen)


@settings(max_examples=12, deadline=None)
@given(angle=st.floats(-1.5, 1.5))
def test_a_turned_part_gives_a_turned_hand(angle: float) -> None:
    """Whatever the roll of the part, the fingers close across it and its width is the same."""
    target = held(bar(angle)).targets[0]
    across = np.array([-np.sin(angle), np.cos(angle), 0])
    assert abs(float(target.closing @ across)) > 0.97
    assert target.width_m == pytest.approx(0.024, abs=0.003)


@pytest.mark.parametrize('gripper', ['generic', 'panda', 'robotiq_2f_85', 'robotiq_2f_140'])
def test_a_wider_or_longer_hand_holds_the_same_bar(gripper: str) -> None:
    target = held(bar(0.4), gripper).targets[0]
    hand = gripper_preset(gripper)
    assert target.gripper == gripper
    assert target.width_m < target.opening_m <= hand.max_aperture_m
    np.testing.assert_allclose(target.wrist @ hand.wrist_from_tcp, target.grasp, atol=1e-9)
    # The wrist comes from where the hand comes from: behind the fingertips, by the length of the hand.
    behind = (target.wrist[:3, 3] - target.grasp[:3, 3]) @ target.approach
    assert behind == pytest.approx(-hand.wrist_xyz[2], abs=1e-9)


def test_metres_are_metres() -> None:
    """The same picture of a scene of twice the size gives a bar of twice the width."""
    small, large = bar(0.0), bar(0.0)
    grown = Frame(large.rgb, (np.asarray(large.depth) * 2).astype(np.float32), CAMERA)
    one, two = (held(frame, 'robotiq_2f_140').targets[0] for frame in (small, grown))
    assert two.width_m == pytest.approx(2 * one.width_m, abs=0.006)
    np.testing.assert_allclose(two.contact.point, 2 * one.contact.point, atol=0.003)


def test_targets_are_best_first_and_unlike() -> None:
    found = held(frame_of(TABLE, cylinder(0.62, 0.012, 0.09)), most=6).targets
    assert len(found) > 2
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    rules = GraspSettings()
    for index, first in enumerate(found):
        assert first.score == pytest.approx(np.prod(list(first.sub_scores.values())))
        assert all(0 <= value <= 1 for value in first.sub_scores.values())
        assert not any(alike(np.asarray(first.grasp), np.asarray(other.grasp), rules) for other in found[:index])


@settings(max_examples=50, deadline=None)
@given(roll=ANGLES, pitch=ANGLES, yaw=ANGLES, shift=st.floats(0, 0.011), turn=st.floats(-0.4, 0.4))
def test_hands_alike_in_se3(roll: float, pitch: float, yaw: float, shift: float, turn: float) -> None:
    """Near in place and turn is alike in every frame; a hand turned by half is the same hand."""
    rules = GraspSettings(apart_m=0.012, apart_deg=25)
    base = turned('x', roll) @ turned('y', pitch) @ turned('z', yaw)
    move = np.eye(4)
    move[:3, 3] = (shift, 0, 0)
    near = base @ move @ turned('x', turn)
    assert alike(base, base @ turned('z', np.pi), rules)
    assert alike(base, near, rules)
    assert alike(base, near @ turned('z', np.pi), rules)
    assert not alike(base, base @ turned('z', np.pi / 2), rules)
    assert not alike(base, base @ turned('x', np.radians(30)), rules)
    move[:3, 3] = (0, 0.02, 0)
    assert not alike(base, base @ move, rules)


def faces(low_bow: float, high_bow: float, lean: float = 0.0) -> Faces:
    """Faces 20 mm apart, bent by so much per square metre across the fingers."""
    x = np.linspace(-0.01, 0.01, 13)
    flat = np.zeros(13)
    return Faces(
        np.column_stack((x, flat)),
        -0.01 + low_bow * x**2 + lean * x,
        0.01 + high_bow * x**2 + lean * x,
        np.column_stack((2 * low_bow * x + lean, flat)),
        np.column_stack((2 * high_bow * x + lean, flat)),
    )


def test_friction_of_flat_round_and_leaning_parts() -> None:
    assert friction_needed(faces(0, 0)) == pytest.approx(0)
    assert friction_needed(faces(40, -40)) < 0.1  # a barrel: the pads meet its middle on both sides
    assert friction_needed(faces(0, 0, lean=0.3)) > 0.25  # a box that leans by 17 degrees slides
    # A tight bend: one pad rests on its outer side in the middle, the other on the edges of the inner side.
    assert friction_needed(faces(60, 60)) > 0.8
    assert friction_needed(faces(60, 60)) > friction_needed(faces(20, 20))
    assert friction_needed(faces(60, 60), sigma_m=0.04) < friction_needed(faces(60, 60))


def wall(tilt: float, angle: float, thick: float = 0.005, radius: float = 0.07) -> np.ndarray:
    """Points of one face of a bowl's wall and its rim, turned by `angle` about the approach and `tilt` about x."""
    x, z = (grid.ravel() for grid in np.meshgrid(np.linspace(-0.012, 0.012, 21), np.linspace(0, 0.014, 13)))
    face = np.column_stack((x, x**2 / (2 * radius), z))
    top = np.column_stack((x, x**2 / (2 * radius) + np.repeat(np.linspace(0, thick, 13), 21), np.zeros_like(x)))
    points = np.concatenate((face, top))
    return points @ (turned('z', angle) @ turned('x', tilt))[:3, :3].T


@pytest.mark.parametrize('tilt', [0.0, 0.15, -0.2])
@pytest.mark.parametrize('angle', [0.0, 0.12, -0.15])
def test_a_wall_says_how_to_turn_the_hand(tilt: float, angle: float) -> None:
    points = wall(tilt, angle)
    points = points[(np.abs(points[:, 0]) <= 0.01) & (points[:, 2] < 0.012)]
    found = wall_between(points, 0.01, 0.012)
    assert found is not None
    # Turned by what it says, the hand is square to the wall.
    assert np.tan(found.angle) == pytest.approx(np.tan(angle), abs=0.04)
    assert np.tan(found.tilt) == pytest.approx(-np.tan(tilt), abs=0.04)
    square = wall_between(wall(0, 0), 0.01, 0.012)
    assert square is not None
    assert square.friction <= found.friction + 1e-9


def test_a_solid_is_no_wall() -> None:
    rng = np.random.default_rng(0)
    angle, x = rng.uniform(0, np.pi, 900), rng.uniform(-0.01, 0.01, 900)
    tube = np.column_stack((x, 0.012 * np.cos(angle), 0.012 - 0.012 * np.sin(angle)))
    assert wall_between(tube, 0.01, 0.012) is None
    block = held(frame_of(TABLE, slab(0.6, 0.03, 0.03))).targets[0]
    assert block.width_m == pytest.approx(0.06, abs=0.004)


def test_too_few_columns_say_nothing_of_friction() -> None:
    assert across_fingers(np.zeros((4, 3)), 0.01) is None
