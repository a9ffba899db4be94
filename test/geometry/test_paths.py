# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traces and hand paths in 3D: ends on surfaces, the middle in free space, marked, clear of what is seen, timed."""

import numpy as np
import pytest
from synthetic_depth import frame_of, plane, slab

from affordance_ros.errors import Code
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.geometry.paths import PathSettings, lift_paths
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.results import Abstention, Frame, HandTrajectory, LiftedPath, Prediction, Query, Trace

TABLE = plane((0, 0, 0.75), (0, 0, -1))
WAY = np.column_stack((np.linspace(150, 480, 12), np.full(12, 240.0)))


def lifted(frame: Frame, prediction: Prediction, settings: PathSettings | None = None) -> list[object]:
    lift = LiftSettings()
    return list(lift_paths(SceneCloud(frame, lift.noise), prediction, lift, settings or PathSettings()))


def trace(points: np.ndarray) -> Prediction:
    return Prediction('fake', Query(text='x'), traces=(Trace(points, 'way'),))


def path(frame: Frame, points: np.ndarray = WAY, settings: PathSettings | None = None) -> LiftedPath:
    (found,) = lifted(frame, trace(points), settings)
    assert isinstance(found, LiftedPath), found
    return found


def test_ends_lie_on_the_surface_and_the_middle_in_the_air() -> None:
    found = path(frame_of(TABLE, sigma=0.001))
    assert found.lifted.tolist() == [True, *[False] * 10, True]
    np.testing.assert_allclose(found.points[[0, -1], 2], 0.75, atol=0.003)
    height = 0.75 - found.points[:, 2]
    assert (height[4:8] > 0.03).all()
    assert height.max() < 0.15
    assert (np.diff(found.points[:, 0]) > 0).all()  # on its way, not back and forth
    assert found.label == 'way'


def test_times_run_over_the_way() -> None:
    found = path(frame_of(TABLE), settings=PathSettings(seconds=3.0))
    assert found.times_s[0] == 0
    assert found.times_s[-1] == pytest.approx(3.0)
    assert (np.diff(found.times_s) > 0).all()


def test_a_way_over_a_box_is_raised_above_it() -> None:
    box = slab(0.65, 0.03, 0.08)
    flat = PathSettings(arc=0.0)
    frame = frame_of(TABLE, box)
    found = path(frame, settings=flat)
    cloud = SceneCloud(frame, LiftSettings().noise).points.reshape(-1, 3)
    cloud = cloud[np.isfinite(cloud[:, 2])]
    inner = found.points[3:-3]
    gaps = np.linalg.norm(inner[:, None] - cloud[None], axis=2).min(axis=1)
    assert gaps.min() > 0.9 * flat.clearance_m
    over = np.abs(found.points[:, 0]) < 0.03
    assert (found.points[over, 2] < 0.65).all()
    assert found.raised_m.max() > 0.05
    assert (path(frame_of(TABLE), settings=flat).raised_m <= found.raised_m + 1e-9).all()


def test_an_end_in_a_hole_follows_the_other() -> None:
    frame = frame_of(TABLE)
    assert frame.depth is not None
    frame.depth[200:280, 440:520] = np.nan
    found = path(frame)
    assert found.lifted.tolist() == [True, *[False] * 11]
    assert np.isfinite(found.points).all()
    assert found.points[-1, 2] == pytest.approx(0.75, abs=0.06)


def test_without_any_end_it_says_why() -> None:
    (found,) = lifted(frame_of(TABLE, holes=1.0), trace(WAY))
    assert isinstance(found, Abstention)
    assert found.code == Code.NO_DEPTH
    assert 'neither end' in found.message


def test_hands_keep_their_times_and_only_counting_hands_are_lifted() -> None:
    times = np.linspace(0.25, 3.0, 12)
    right = HandTrajectory(WAY, times, 'right', present=True)
    left = HandTrajectory(WAY, times, 'left', present=False)
    found = lifted(frame_of(TABLE), Prediction('fake', Query(text='x'), hands=(right, left)))
    assert len(found) == 1
    (only,) = found
    assert isinstance(only, LiftedPath)
    assert only.label == 'right hand'
    np.testing.assert_allclose(only.times_s, times)


def test_one_point_is_a_path_of_one_point() -> None:
    found = path(frame_of(TABLE), WAY[:1])
    assert found.points.shape == (1, 3)
    assert found.points[0, 2] == pytest.approx(0.75, abs=0.002)
