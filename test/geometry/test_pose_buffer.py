# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera poses at the image's stamp: chained, interpolated, refused outside what is known."""

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.geometry.transforms import inverse, pose_from

QUARTER = (0, 0, np.sqrt(0.5), np.sqrt(0.5))
STRAIGHT = (0, 0, 0, 1)


def buffer() -> PoseBuffer:
    made = PoseBuffer()
    made.add('wrist', 'camera', 0, pose_from((0, 0, 0.1), STRAIGHT), static=True)
    made.add('base', 'wrist', 1_000_000_000, pose_from((0, 0, 0), STRAIGHT))
    made.add('base', 'wrist', 2_000_000_000, pose_from((1, 0, 0), QUARTER))
    return made


def test_a_moving_wrist_is_interpolated_at_the_stamp() -> None:
    pose = buffer().lookup('base', 'camera', 1_500_000_000)
    np.testing.assert_allclose(pose[:3, 3], (0.5, 0, 0.1), atol=1e-9)
    assert np.degrees(np.arctan2(pose[1, 0], pose[0, 0])) == pytest.approx(45)


def test_the_other_way_round_is_the_inverse() -> None:
    made = buffer()
    np.testing.assert_allclose(
        made.lookup('camera', 'base', 1_250_000_000), inverse(made.lookup('base', 'camera', 1_250_000_000)), atol=1e-12
    )


def test_siblings_join_at_their_common_parent() -> None:
    made = buffer()
    made.add('base', 'table', 0, pose_from((0, 2, 0), STRAIGHT), static=True)
    np.testing.assert_allclose(made.lookup('table', 'camera', 1_000_000_000)[:3, 3], (0, -2, 0.1), atol=1e-9)


@pytest.mark.parametrize('stamp', [500_000_000, 2_500_000_000])
def test_outside_the_known_time_is_refused(stamp: int) -> None:
    with pytest.raises(AffordanceError, match='is known from 1.000 s to 2.000 s') as refused:
        buffer().lookup('base', 'camera', stamp)
    assert refused.value.code == Code.TF


def test_an_unknown_frame_is_refused_by_name() -> None:
    with pytest.raises(AffordanceError, match="'camera' and 'map'") as refused:
        buffer().lookup('map', 'camera', 0)
    assert refused.value.code == Code.TF


def test_old_transforms_are_forgotten_and_a_jump_back_starts_anew() -> None:
    made = PoseBuffer(keep_ns=1_000_000_000)
    for second in range(5):
        made.add('base', 'camera', second * 1_000_000_000, pose_from((second, 0, 0), STRAIGHT))
    with pytest.raises(AffordanceError):
        made.lookup('base', 'camera', 500_000_000)
    made.add('base', 'camera', 0, pose_from((9, 0, 0), STRAIGHT))
    assert made.lookup('base', 'camera', 0)[0, 3] == 9


def test_what_moved_in_a_long_gap_is_not_guessed() -> None:
    made = PoseBuffer()
    made.add('base', 'camera', 0, pose_from((0, 0, 0), STRAIGHT))
    made.add('base', 'camera', 5_000_000_000, pose_from((0.5, 0, 0), STRAIGHT))
    with pytest.raises(AffordanceError, match='moved and its pose is not known from 0.000 s to 5.000 s') as refused:
        made.lookup('base', 'camera', 2_000_000_000)
    assert refused.value.code == Code.TF
    still = PoseBuffer()
    for second in (0, 5):
        still.add('base', 'camera', second * 1_000_000_000, pose_from((0.5, 0, 0), STRAIGHT))
    assert still.lookup('base', 'camera', 2_000_000_000)[0, 3] == 0.5


def test_a_frame_that_is_hung_up_elsewhere_forgets_where_it_was() -> None:
    made = buffer()
    made.add('table', 'wrist', 1_500_000_000, pose_from((7, 0, 0), STRAIGHT))
    with pytest.raises(AffordanceError, match="'camera' and 'base'"):
        made.lookup('base', 'camera', 1_500_000_000)
    assert made.lookup('table', 'camera', 1_500_000_000)[0, 3] == 7
