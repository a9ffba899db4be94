# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of simulated tables: every kind is read again, and its labels are true."""

import numpy as np
import pytest

from affordance_ros.bags import read_frames
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.labels import read_labels
from affordance_ros.evaluation.synthetic_bags import BagRecipe, write_synthetic_bag
from affordance_ros.scenes import sample_scene


@pytest.fixture(scope='module')
def scene():
    return sample_scene(5, 'pocket')


@pytest.mark.parametrize('depth', ['16UC1', '32FC1', 'compressedDepth'])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_frames_and_labels_agree(scene, tmp_path, depth, storage):
    recipe = BagRecipe(frames=2, depth=depth, storage=storage, turn_deg=10.0, jpeg=depth != '16UC1')
    prompts = write_synthetic_bag(tmp_path, scene, recipe)
    frames = list(read_frames(tmp_path / 'bag'))
    labels = read_labels(tmp_path / 'labels.json')
    assert len(frames) == 2
    assert prompts == (tmp_path / 'prompts.txt').read_text().splitlines()
    assert not np.allclose(frames[0].target_from_camera, frames[1].target_from_camera)
    for frame in frames:
        known = [label for prompt in prompts if (label := labels.of(frame.stamp_ns, prompt)) is not None]
        assert known
        for label in known:
            u, v = label.points[0].astype(int)
            assert label.mask[v, u]
            k = frame.intrinsics
            z = float(frame.depth[v, u])
            point = np.array([(u - k.cx) * z / k.fx, (v - k.cy) * z / k.fy, z])
            assert np.linalg.norm(label.points_m - point, axis=1).min() < 0.01


def test_a_loop_repeats_its_stamps(scene, tmp_path):
    write_synthetic_bag(tmp_path, scene, BagRecipe(frames=6, loop=True, turn_deg=10.0, noise=True))
    frames = list(read_frames(tmp_path / 'bag'))
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps[:3]) * 2
    for before, after in zip(frames[:3], frames[3:], strict=True):
        np.testing.assert_array_equal(before.rgb, after.rgb)
        np.testing.assert_allclose(before.target_from_camera, after.target_from_camera)
        assert not np.array_equal(before.depth, after.depth)  # its own noise, not that of the turn before


def test_what_is_left_out_is_missing(scene, tmp_path):
    write_synthetic_bag(tmp_path, scene, BagRecipe(frames=1, no_tf=True, no_info=True))
    (frame,) = read_frames(tmp_path / 'bag')
    assert frame.intrinsics is None
    assert frame.target_from_camera is None
    assert frame.depth is not None


@pytest.mark.parametrize('turn', [0.0, 8.0])
def test_depth_of_another_camera_is_registered(scene, tmp_path, turn):
    write_synthetic_bag(tmp_path / 'own', scene, BagRecipe(frames=2, unaligned=True, turn_deg=turn, depth='32FC1'))
    write_synthetic_bag(tmp_path / 'same', scene, BagRecipe(frames=2, turn_deg=turn, depth='32FC1'))
    for moved, truth in zip(read_frames(tmp_path / 'own' / 'bag'), read_frames(tmp_path / 'same' / 'bag'), strict=True):
        both = np.isfinite(moved.depth) & np.isfinite(truth.depth)
        assert both.mean() > 0.7
        assert np.median(np.abs(moved.depth[both] - truth.depth[both])) < 0.002


def test_depth_that_nothing_joins_to_the_image_is_refused(scene, tmp_path):
    write_synthetic_bag(tmp_path, scene, BagRecipe(frames=1, unaligned=True, no_tf=True))
    with pytest.raises(AffordanceError, match='no transform joins') as caught:
        list(read_frames(tmp_path / 'bag'))
    assert caught.value.code == Code.UNALIGNED
