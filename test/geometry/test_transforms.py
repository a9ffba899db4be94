# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms: known values, inverse pairs, quaternion round trips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from affordance_ros.geometry import transforms as tf

numbers = st.floats(-1, 1, allow_nan=False)
quaternions = st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: np.linalg.norm(q) > 0.1)
shifts = st.tuples(numbers, numbers, numbers)


def test_quarter_turn_about_z_takes_x_to_y() -> None:
    rotation = tf.matrix_from_quaternion([0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    np.testing.assert_allclose(rotation @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize('bad', [[0, 0, 0, 0], [1, 0, 0], [np.nan, 0, 0, 1]])
def test_bad_quaternion_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match='quaternion'):
        tf.matrix_from_quaternion(bad)


@settings(max_examples=100, deadline=None)
@given(quaternions)
def test_quaternion_round_trip_agrees_with_scipy(quaternion: tuple[float, ...]) -> None:
    rotation = tf.matrix_from_quaternion(quaternion)
    np.testing.assert_allclose(rotation, Rotation.from_quat(quaternion).as_matrix(), atol=1e-9)
    back = tf.quaternion_from_matrix(rotation)
    assert back[3] >= 0
    unit = np.array(quaternion) / np.linalg.norm(quaternion)
    assert abs(back @ unit) == pytest.approx(1, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(quaternions, shifts)
def test_inverse_undoes(quaternion: tuple[float, ...], shift: tuple[float, ...]) -> None:
    pose = tf.pose_from(shift, quaternion)
    np.testing.assert_allclose(pose @ tf.inverse(pose), np.eye(4), atol=1e-12)
    points = np.arange(9.0).reshape(3, 3)
    there = tf.transform_points(pose, points)
    np.testing.assert_allclose(tf.transform_points(tf.inverse(pose), there), points, atol=1e-9)


def test_interpolate_half_way_and_ends() -> None:
    first = tf.pose_from([0, 0, 0], [0, 0, 0, 1])
    second = tf.pose_from([2, 0, 0], Rotation.from_euler('z', 90, degrees=True).as_quat())
    middle = tf.interpolate(first, second, 0.5)
    np.testing.assert_allclose(middle[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(middle[:3, :3], Rotation.from_euler('z', 45, degrees=True).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(tf.interpolate(first, second, 0), first, atol=1e-12)
    np.testing.assert_allclose(tf.interpolate(first, second, 1), second, atol=1e-12)
