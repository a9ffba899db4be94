# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gripper presets and the boxes of a hand."""

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.grasping.gripper import PRESETS, gripper_preset


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
