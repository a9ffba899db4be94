# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth encodings, invalid values and units."""

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import NOISE_PRESETS, NoiseModel, metres_from_raw


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
def test_millimetres(encoding: str) -> None:
    raw = np.full((8, 8), 1500, np.uint16)
    raw[0, 0], raw[1, 1] = 0, 65535
    metres = metres_from_raw(raw, encoding)
    assert metres.dtype == np.float32
    assert metres[4, 4] == pytest.approx(1.5)
    assert np.isnan(metres[[0, 1], [0, 1]]).all()


def test_metres_and_scale() -> None:
    raw = np.full((8, 8), 0.7, np.float32)
    raw[0, :4] = [np.nan, np.inf, -np.inf, -0.5]
    metres = metres_from_raw(raw, '32FC1')
    assert np.isnan(metres[0, :4]).all()
    assert np.isfinite(metres[1:]).all()
    assert metres_from_raw(np.full((8, 8), 7000, np.uint16), '16UC1', 0.0001)[4, 4] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ('raw', 'encoding'),
    [
        (np.ones((4, 4), np.float32), 'rgb8'),
        (np.ones((4, 4), np.float32), '16UC1'),
        (np.ones((4, 4), np.uint16), '32FC1'),
        (np.ones((4, 4, 1), np.float32), '32FC1'),
    ],
)
def test_bad_encoding(raw: np.ndarray, encoding: str) -> None:
    with pytest.raises(AffordanceError) as caught:
        metres_from_raw(raw, encoding)
    assert caught.value.code == Code.BAD_ENCODING


def test_wrong_units_are_refused_but_no_depth_is_not() -> None:
    for raw, encoding in ((np.full((8, 8), 700, np.float32), '32FC1'), (np.full((8, 8), 7, np.uint16), '16UC1')):
        with pytest.raises(AffordanceError) as caught:
            metres_from_raw(raw, encoding)
        assert caught.value.code == Code.UNITS
    assert np.isnan(metres_from_raw(np.zeros((8, 8), np.uint16), '16UC1')).all()


def test_noise_grows_with_distance() -> None:
    assert NoiseModel(0.001, 0.002).sigma(2.0) == pytest.approx(0.009)
    assert all(model.sigma(2) > model.sigma(0.5) > 0 for model in NOISE_PRESETS.values())
