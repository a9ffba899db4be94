# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gripper presets and the boxes of a hand."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.grasping.gripper import PRESETS, gripper_preset, grippers_in

FILE = (resources.files('affordance_ros.grasping') / 'grippers.yaml').read_text(encoding='utf-8')
AXES = {sign + axis: factor * np.eye(3)[i] for i, axis in enumerate('xyz') for sign, factor in (('', 1), ('-', -1))}
OWN = """
claw:
  kind: parallel
  max_aperture: 0.06
  finger: {length: 0.04, thickness: 0.008, width: 0.015}
  palm: [0.05, 0.1, 0.05]
  wrist: {frame: tool0, xyz: [0.01, 0, 0.2], rpy: [0, 1.5707963267948966, 0], approach: x, close: y}
  joints: {claw_joint: {offset: 0.5, per_m: -5.0}}
"""


def test_presets_are_named_and_unknown_is_refused() -> None:
    assert gripper_preset('panda').max_aperture_m == 0.080
    assert all(gripper_preset(name).name == name for name in PRESETS)
    with pytest.raises(AffordanceError, match='robotiq_2f_85') as caught:
        gripper_preset('claw')
    assert caught.value.code == Code.BAD_INPUT


@pytest.mark.parametrize('name', [name for name, hand in PRESETS.items() if hand.kind == 'parallel'])
def test_boxes_leave_the_opening_free(name: str) -> None:
    gripper = gripper_preset(name)
    left, right, palm = gripper.boxes(0.04, 0.05)
    assert left[0, 1] == 0.02
    assert right[1, 1] == -0.02
    assert left[1, 2] == right[1, 2] == 0
    assert palm[1, 2] == -gripper.finger_length_m
    assert np.all(gripper.boxes(0.04)[:, 1] > gripper.boxes(0.04)[:, 0])
    np.testing.assert_allclose(left[0, 2], -gripper.finger_length_m - 0.05)


@pytest.mark.parametrize('name', list(PRESETS))
def test_the_axes_in_the_file_are_those_of_the_transform(name: str) -> None:
    said, turn = yaml.safe_load(FILE)[name]['wrist'], PRESETS[name].wrist_from_tcp[:3, :3]
    np.testing.assert_allclose(turn[:, 2], AXES[said['approach']], atol=1e-12)
    np.testing.assert_allclose(turn[:, 1], AXES[said['close']], atol=1e-12)


@pytest.mark.parametrize('name', list(PRESETS))
def test_the_wrist_is_where_the_tcp_leads_back_to(name: str) -> None:
    hand, tcp = PRESETS[name], pose_from((0.3, -0.2, 0.5), (0.1, 0.7, -0.5, 0.5))
    np.testing.assert_allclose(hand.wrist_pose(tcp) @ hand.wrist_from_tcp, tcp, atol=1e-12)
    # No finger reaches back behind its own wrist, and the wrist is behind the fingertips.
    behind = np.linalg.inv(hand.wrist_from_tcp)[:3, 3]
    assert behind[2] < -hand.finger_length_m
    np.testing.assert_allclose(behind[:2], 0, atol=1e-12)


@pytest.mark.parametrize('name', [name for name, hand in PRESETS.items() if hand.joints])
def test_joints_move_from_closed_to_open(name: str) -> None:
    hand = PRESETS[name]
    closed, wide = hand.joint_positions(0.0), hand.joint_positions(hand.max_aperture_m)
    assert set(closed) == set(wide) == set(hand.joints)
    if name.startswith('robotiq'):
        assert all(abs(value) < 1e-9 for value in wide.values())  # a Robotiq closes from zero
        assert all(value > 0.6 for value in closed.values())
    else:
        assert sum(wide.values()) == pytest.approx(hand.max_aperture_m)  # the fingers of a Panda slide


@pytest.mark.parametrize('name', list(PRESETS))
def test_hands_are_the_same_when_turned_by_half(name: str) -> None:
    """The search takes a hand turned by 180 degrees about its approach for the same hand, so its boxes have to be."""
    boxes = PRESETS[name].boxes(0.03, 0.05)
    turned = np.stack((boxes[:, 1] * (-1, -1, 1), boxes[:, 0] * (-1, -1, 1)), axis=1)
    turned[:, 0, 2], turned[:, 1, 2] = boxes[:, 0, 2], boxes[:, 1, 2]
    assert {tuple(np.round(box, 9).ravel()) for box in boxes} == {tuple(np.round(box, 9).ravel()) for box in turned}


def test_a_file_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / 'claw.yaml'
    path.write_text(OWN)
    hand = gripper_preset(str(path))
    assert (hand.name, hand.wrist_frame, hand.max_aperture_m) == ('claw', 'tool0', 0.06)
    assert hand.joint_positions(0.06) == {'claw_joint': pytest.approx(0.2)}
    np.testing.assert_allclose(hand.wrist_from_tcp[:3, 2], (1, 0, 0), atol=1e-12)
    with pytest.raises(AffordanceError, match='no gripper file'):
        gripper_preset(str(tmp_path / 'other.yaml'))


@pytest.mark.parametrize(
    ('broken', 'named'),
    [
        (OWN.replace('max_aperture: 0.06', 'aperture: 0.06'), 'aperture'),
        (OWN.replace('parallel', 'hook'), 'hook'),
        (OWN.replace('[0.05, 0.1, 0.05]', '[0.05, 0.1]'), 'three numbers'),
        (OWN.replace('0.06', 'wide'), 'wide'),
        (OWN.replace('  wrist:', '  mount:'), 'mount'),
        ('- a list', 'names no gripper'),
        ('a: [', 'not YAML'),
    ],
)
def test_what_is_wrong_with_a_file_is_named(broken: str, named: str) -> None:
    with pytest.raises(AffordanceError, match=named) as caught:
        grippers_in(broken)
    assert caught.value.code == Code.BAD_INPUT
