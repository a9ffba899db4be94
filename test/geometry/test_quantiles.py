# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The quick quantiles are those of numpy."""

import numpy as np
import pytest

from affordance_ros.geometry.quantiles import quantiles


@pytest.mark.parametrize('count', [1, 2, 3, 10, 499, 500, 501, 502, 5000])
def test_quantiles_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    points = (0.0, 0.01, 0.25, 0.5, 0.97, 1.0)
    np.testing.assert_allclose(quantiles(values, *points), np.quantile(values, points), rtol=1e-12, atol=1e-15)
