# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shards of scene views: whole or absent, reusable, and true to the scenes they were made from."""

from pathlib import Path

import numpy as np
import pytest

from affordance_ros.datasets.scene_views import canonical_point, load_shards, render_views
from affordance_ros.scenes import sample_scene


def test_a_shard_says_what_the_scene_says(tmp_path: Path) -> None:
    list(render_views(tmp_path, 40, 3, size=64))
    (shard,) = load_shards(tmp_path)
    assert shard.images.shape == (3, 64, 64, 3)
    for index in range(3):
        scene = sample_scene(40 + index, 'pocket')
        view = scene.render()
        assert shard.parts(index) == scene.parts
        for part in scene.parts:
            assert shard.sentences(index, part.id) == scene.sentences(part.id)
            mask = view.part_ids == part.id
            assert shard.areas[index, part.id - 1] == mask.sum()
            if mask.any():
                u, v = shard.points[index, part.id - 1] * (mask.shape[1], mask.shape[0])
                assert mask[int(v), int(u)]


def test_a_second_call_renders_nothing_again(tmp_path: Path) -> None:
    (path,) = render_views(tmp_path, 0, 2, size=32)
    before = (path / 'images.npy').stat().st_mtime_ns
    assert list(render_views(tmp_path, 0, 2, size=32)) == [path]
    assert (path / 'images.npy').stat().st_mtime_ns == before


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='no rendered views'):
        load_shards(tmp_path)


def test_the_canonical_point_of_a_ring_is_on_the_ring() -> None:
    v, u = np.mgrid[:60, :60]
    ring = (np.hypot(v - 30, u - 30) < 20) & (np.hypot(v - 30, u - 30) > 12)
    x, y = canonical_point(ring).astype(int)
    assert ring[y, x]
