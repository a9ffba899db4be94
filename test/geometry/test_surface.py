# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Main direction, crop and support plane of known shapes."""

import numpy as np
import pytest
from synthetic_depth import CAMERA, frame_of, plane, slab

from affordance_ros.geometry.surface import crop, main_axis, support_plane

TABLE = plane((0, 0, 0.75), (0, 0, -1))


def test_main_axis_of_a_stick() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (500, 3)) * (0.03, 0.004, 0.0)
    axis, anisotropy = main_axis(points, np.array([0.0, 0.0, -1.0]))
    assert abs(axis[0]) > 0.99
    assert anisotropy > 0.8


def test_crop_keeps_the_pixel_and_its_place() -> None:
    depth = frame_of(TABLE).depth
    assert depth is not None
    for step in (1, 3):
        patch = crop(depth, CAMERA, (322, 245), 20, step)
        place = (245 - patch.origin[1]) // step, (322 - patch.origin[0]) // step
        np.testing.assert_allclose(patch.points[place], (2 * 0.75 / 600, 5 * 0.75 / 600, 0.75), atol=1e-6)
    assert crop(depth, CAMERA, (0, 0), 20).points.shape == (21, 21, 3)


def test_support_plane_under_clutter_and_none_without_one() -> None:
    frame = frame_of(TABLE, slab(0.6, 0.05, 0.05), sigma=0.001)
    assert frame.depth is not None
    found = support_plane(crop(frame.depth, CAMERA, (320, 240), 150, 4).cloud, 0.001)
    assert found is not None
    assert found.normal @ (0, 0, -1) > 0.999
    assert found.offset == pytest.approx(-0.75, abs=0.001)
    assert support_plane(np.random.default_rng(0).uniform(0, 1, (500, 3)), 0.001) is None
    assert support_plane(np.zeros((10, 3)), 0.001) is None
    assert support_plane(np.zeros((100, 3)), 0.001) is None
