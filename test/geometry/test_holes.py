# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small holes of one surface are filled and marked, never across an edge; flying pixels are found."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.geometry.holes import fill_holes, flying

SIGMA, PIXEL = 0.001, 0.001


def slope(width: int = 30) -> np.ndarray:
    return np.tile(0.6 + 0.001 * np.arange(width), (20, 1))


def test_a_small_hole_is_filled_with_what_was_there() -> None:
    true = slope()
    holed = true.copy()
    holed[5:9, 10:14] = np.nan
    filled, where = fill_holes(holed, SIGMA, PIXEL)
    assert where.sum() == 16
    assert where[5:9, 10:14].all()
    np.testing.assert_allclose(filled, true, atol=1e-9)


def test_a_large_hole_stays() -> None:
    holed = slope()
    holed[4:16, 8:22] = np.nan
    filled, where = fill_holes(holed, SIGMA, PIXEL)
    assert not where.any()
    assert np.isnan(filled[4:16, 8:22]).all()


def test_nothing_is_filled_across_an_edge() -> None:
    step = np.full((20, 30), 0.8)
    step[:, :15] = 0.6
    step[:, 13:17] = np.nan
    filled, where = fill_holes(step, SIGMA, PIXEL)
    assert not where.any()
    assert np.isnan(filled[:, 13:17]).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.7), st.integers(5, 25))
def test_filled_values_lie_between_what_was_measured_and_on_one_side(seed: int, share: float, edge: int) -> None:
    rng = np.random.default_rng(seed)
    depth = np.full((20, 30), 0.9)
    depth[:, :edge] = 0.5
    depth[rng.random(depth.shape) < share] = np.nan
    filled, where = fill_holes(depth, SIGMA, PIXEL)
    measured = np.isfinite(depth)
    np.testing.assert_array_equal(filled[measured], depth[measured])
    assert not (where & measured).any()
    # A hole of one column may be bridged along the edge, never over it.
    assert np.isin(filled[where].round(6), (0.5, 0.9)).all()


def test_a_pixel_between_two_surfaces_flies_and_a_thin_part_does_not() -> None:
    depth = np.full((9, 12), 0.8)
    depth[:, :5] = 0.6
    depth[4, 5] = 0.7
    found = flying(depth, 0.01)
    assert found[4, 5]
    assert found.sum() == 1
    stick = np.full((9, 12), 0.8)
    stick[:, 5] = 0.6
    assert not flying(stick, 0.01).any()
    assert not flying(slope(), 0.01).any()
