# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ends of all strips from one sort are those that numpy finds strip by strip."""

import numpy as np
import pytest

from affordance_ros.grasping.ends import ends_by_strip


@pytest.mark.parametrize('count', [1, 4, 7])
def test_the_ends_are_the_quantiles_of_each_strip(count: int) -> None:
    rng = np.random.default_rng(count)
    y, strip = rng.normal(0, 0.02, 300), rng.integers(count, size=300)
    ends, number = ends_by_strip(y, strip, count, 0.03)
    assert number.sum() == 300
    expected = np.stack([np.quantile(y[strip == index], (0.03, 0.97)) for index in range(count)], axis=1)
    np.testing.assert_allclose(ends, expected, atol=1e-12)


def test_an_empty_strip_does_not_disturb_its_neighbours() -> None:
    ends, number = ends_by_strip(np.array([0.01, 0.03, -0.02]), np.array([0, 0, 2]), 4, 0.0)
    assert number.tolist() == [2, 0, 1, 0]
    np.testing.assert_allclose(ends[:, [0, 2]], [(0.01, -0.02), (0.03, -0.02)], atol=1e-12)
