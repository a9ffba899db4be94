# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distances between paths: known values, the recorded ones, and what must hold for any two paths."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affordance_ros.metrics.traces import (
    axis_rmse,
    discrete_frechet,
    dtw,
    hausdorff,
    normalised_trace_errors,
    resampled,
    trace_errors,
    trace_score,
)
from affordance_ros.results import Trace

EXPECTED = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer' / 'expected'
CASES = json.loads((EXPECTED / 'metric_cases.json').read_text())['traj_utils']
ARRAYS = np.load(EXPECTED / 'metric_cases.npz')
PATHS = st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1, max_size=12).map(np.array)


@pytest.mark.parametrize('case', [case for case in CASES if 'strict' in case], ids=lambda case: case['pred'])
def test_distances_equal_the_recorded_ones(case):
    errors, wanted = trace_errors(ARRAYS[case['pred']], ARRAYS[case['gt']]), case['strict']
    assert (errors.dtw, errors.frechet, errors.hausdorff) == pytest.approx(
        (wanted['dtw'], wanted['dfd'], wanted['hd']), abs=1e-9
    )
    rmse = np.nan if wanted['rmse'] is None else wanted['rmse']
    assert errors.rmse == pytest.approx(rmse, abs=1e-9, nan_ok=True)


def test_known_distances():
    line, shifted = [[0, 0], [1, 0], [2, 0]], [[0, 3], [1, 3], [2, 3]]
    assert dtw(line, shifted) == 9
    assert discrete_frechet(line, shifted) == 3
    assert hausdorff(line, shifted) == 3
    assert axis_rmse(line, shifted) == 1.5
    # Backwards it is the same set of points, but another path.
    assert hausdorff(line, line[::-1]) == 0
    assert discrete_frechet(line, line[::-1]) == 2
    assert dtw(line, line[::-1]) == 4
    # A path that waits is as near as one that does not, for all but the pointwise one.
    waiting = [[0, 0], [0, 0], [1, 0], [2, 0]]
    assert dtw(line, waiting) == discrete_frechet(line, waiting) == 0
    assert np.isnan(axis_rmse(line, waiting))


@given(PATHS, PATHS)
def test_what_holds_for_any_two_paths(first, second):
    errors, back = trace_errors(first, second), trace_errors(second, first)
    assert astuple(errors) == pytest.approx(astuple(back), nan_ok=True)
    assert errors.dtw >= errors.frechet - 1e-9
    assert errors.frechet >= errors.hausdorff - 1e-9
    assert dtw(first, first) == 0


def test_resampling_keeps_the_ends_and_counts_points_not_lengths():
    np.testing.assert_allclose(resampled([[0, 0], [2, 0], [10, 0]], 5), [[0, 0], [1, 0], [2, 0], [6, 0], [10, 0]])
    np.testing.assert_allclose(resampled([[3, 4]], 3), [[3, 4]] * 3)


def test_normalised_distances_do_not_depend_on_the_size_of_the_image():
    answer, truth = np.array([[0.0, 0], [10, 10]]), np.array([[0.0, 5], [5, 10], [10, 12]])
    small = normalised_trace_errors(answer, truth, (30, 40))
    large = normalised_trace_errors(4 * answer, 4 * truth, (120, 160))
    assert (small.dtw, small.frechet, small.hausdorff, small.rmse) == pytest.approx(
        (large.dtw, large.frechet, large.hausdorff, large.rmse)
    )
    with pytest.raises(ValueError, match='size must be'):
        normalised_trace_errors(answer, truth, (0, 0))


@pytest.mark.parametrize('points', [np.zeros((0, 2)), [[0, np.nan]], [0, 1], [[0, 1, 2]]])
def test_what_is_no_path_is_refused(points):
    with pytest.raises(ValueError, match='a path must be'):
        dtw(points, [[0, 0]])


def test_perfect_traces_count_and_unreadable_ones_are_told():
    truth = np.array([[0.0, 0], [10, 0]])
    score = trace_score([Trace(truth), None, Trace(truth + [0, 4])], [truth] * 3, [(40, 30)] * 3)
    assert score.unreadable == 1
    assert score.mean.dtw == pytest.approx((0 + 8) / 2)
    assert score.normalised_mean.frechet == pytest.approx(4 / 50 / 2)
    assert score.mean.rmse == pytest.approx((0 + 2) / 2)
    nothing = trace_score([None], [truth], [(40, 30)])
    assert np.isnan(nothing.mean.dtw)
    # Another number of points has no pointwise distance; the mean is over those that have one.
    mixed = trace_score([Trace(truth), Trace(truth[:1])], [truth] * 2, [(40, 30)] * 2)
    assert mixed.mean.rmse == 0
    assert mixed.mean.dtw == 5
