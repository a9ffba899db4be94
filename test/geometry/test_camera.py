# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera: known values, the round trip with every lens model, resizing."""

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.camera import deproject, project, rays, scaled
from affordance_ros.results import Intrinsics

LENSES = [
    ((), ''),
    ((0.1, -0.2, 0.001, -0.001, 0.05), 'plumb_bob'),
    ((0.2, 0.05, 0.001, -0.002, 0.01, 0.1, 0.02, 0.01), 'rational_polynomial'),
    ((0.05, -0.01, 0.002, -0.001), 'equidistant'),
]


def test_known_point() -> None:
    camera = Intrinsics(500, 400, 320, 240, 640, 480)
    np.testing.assert_allclose(deproject([[420, 320]], [2.0], camera), [[0.4, 0.4, 2.0]])
    np.testing.assert_allclose(project([[0.4, 0.4, 2.0]], camera), [[420, 320]])


@pytest.mark.parametrize(('distortion', 'model'), LENSES)
def test_round_trip(distortion: tuple[float, ...], model: str) -> None:
    camera = Intrinsics(600, 610, 318, 242, 640, 480, distortion, model)
    pixels = np.random.default_rng(0).uniform((40, 40), (600, 440), (200, 2))
    depth = np.random.default_rng(1).uniform(0.3, 2, 200)
    np.testing.assert_allclose(project(deproject(pixels, depth, camera), camera), pixels, atol=0.02)


def test_points_behind_the_camera_have_no_pixel() -> None:
    for distortion, model in LENSES:
        camera = Intrinsics(500, 500, 320, 240, 640, 480, distortion, model)
        assert np.isnan(project([[0.1, 0.1, -1.0], [0, 0, 0]], camera)).all()


def test_unknown_lens_is_bad_input() -> None:
    with pytest.raises(AffordanceError, match='plumb_bob') as caught:
        rays([[1, 1]], Intrinsics(500, 500, 320, 240, 640, 480, (0.1, 0, 0, 0), 'kannala'))
    assert caught.value.code == Code.BAD_INPUT


def test_resizing_keeps_rays() -> None:
    camera = Intrinsics(600, 600, 319.5, 239.5, 640, 480)
    half = scaled(camera, 320, 240)
    assert (half.width, half.height, half.cx) == (320, 240, 159.5)
    np.testing.assert_allclose(rays([[0.5, 0.5]], camera), rays([[0, 0]], half))
