# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth moved into the colour camera agrees with what that camera would have measured."""

from dataclasses import replace

import numpy as np
import pytest

from affordance_ros.geometry.registration import register_depth
from affordance_ros.results import Intrinsics
from affordance_ros.scenes import sample_scene

COLOR = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
DEPTH = Intrinsics(140.0, 140.0, 79.5, 59.5, 160, 120)


def shifted(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def test_the_same_camera_changes_nothing():
    depth = np.random.default_rng(0).uniform(0.5, 1.0, (120, 160)).astype(np.float32)
    depth[3:9, 5:20] = np.nan
    np.testing.assert_allclose(register_depth(depth, DEPTH, DEPTH, np.eye(4)), depth, rtol=1e-6)


def test_a_plane_has_no_holes_in_a_larger_image():
    depth = np.full((120, 160), 0.8, np.float32)
    got = register_depth(depth, DEPTH, COLOR, shifted(0.05))
    seen = np.isfinite(got)
    inner = seen[20:-20, 40:-40]
    assert inner.mean() == 1.0
    np.testing.assert_allclose(got[seen], 0.8, rtol=1e-6)
    assert not seen[:, :3].any()  # what the depth camera does not see is not invented


def test_the_nearest_surface_counts():
    depth = np.full((120, 160), 1.0, np.float32)
    depth[40:80, 60:100] = 0.4
    got = register_depth(depth, DEPTH, COLOR, shifted(-0.06))
    left = 159.5 + 300 * ((60 - 79.5) / 140 - 0.06 / 0.4)
    assert got[120, round(left) + 5] == pytest.approx(0.4)
    known = got[np.isfinite(got)]
    assert (np.isclose(known, 0.4) | np.isclose(known, 1.0)).all()  # never a mean of two surfaces
    assert np.isnan(got[120]).any()  # the wall that the near thing hid


@pytest.fixture(scope='module')
def scene():
    return sample_scene(3, 'pocket')


def test_a_rendered_scene_is_registered_within_a_millimetre(scene):
    k = scene.intrinsics
    other = Intrinsics(0.45 * k.fx, 0.45 * k.fy, 79.5, 59.5, 160, 120)
    beside = replace(scene, intrinsics=other, table_from_camera=np.asarray(scene.table_from_camera) @ shifted(-0.03))
    got = register_depth(beside.render().frame.depth, other, k, shifted(-0.03))
    want = scene.render().frame.depth
    both = np.isfinite(got) & np.isfinite(want)
    assert both.mean() > 0.75
    error = np.abs(got[both] - want[both])
    assert np.median(error) < 0.002  # half a pixel of the small camera on an inclined table
    assert (error < 0.01).mean() > 0.93


def test_no_depth_gives_no_depth():
    assert np.isnan(register_depth(np.full((120, 160), np.nan, np.float32), DEPTH, COLOR, np.eye(4))).all()
    behind = np.eye(4)
    behind[2, 3] = -2.0
    assert np.isnan(register_depth(np.ones((120, 160), np.float32), DEPTH, COLOR, behind)).all()
