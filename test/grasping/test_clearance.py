# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points in the fingers, the palm or the way in are counted; the support plane may not be pierced."""

import numpy as np
import pytest

from affordance_ros.geometry.surface import Plane
from affordance_ros.grasping.clearance import Surroundings, clearance
from affordance_ros.grasping.gripper import GripperSettings

HAND = GripperSettings()
POSE = np.eye(4) + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0.6], [0, 0, 0, 0]])


def around(points: object, plane: Plane | None = None) -> Surroundings:
    return Surroundings(np.array(points, float).reshape(-1, 3), plane)


def test_what_lies_between_the_fingers_is_held_not_touched() -> None:
    room = clearance(POSE, 0.04, around([(0, 0, 0.6), (0, 0.015, 0.59)]), HAND, 0.08)
    assert room.touching == 0
    assert room.free_m == pytest.approx(0.005)


@pytest.mark.parametrize('point', [(0, 0.025, 0.58), (0, -0.025, 0.58), (0, 0, 0.52), (0, 0.06, 0.44)])
def test_a_point_in_the_hand_or_its_way_touches(point: tuple[float, ...]) -> None:
    room = clearance(POSE, 0.04, around([point]), HAND, 0.08)
    assert room.touching == 1
    assert room.free_m == 0


def test_fingertips_under_the_table() -> None:
    up = np.array([0, 0, -1.0])
    assert clearance(POSE, 0.04, around([], Plane(up, -0.59, 0.0)), HAND, 0.08).table_m == pytest.approx(-0.01)
    above = clearance(POSE, 0.04, around([], Plane(up, -0.605, 0.0)), HAND, 0.08)
    assert above.touching == 0
    assert above.free_m == pytest.approx(0.005)
