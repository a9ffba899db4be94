# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of hand paths: the recorded official numbers, quirks included, and ours under their right names."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from affordance_ros.metrics.trajectory import (
    EvaluatedClip,
    average_error,
    farthest_corners,
    final_error,
    official_ade,
    official_evaluation,
    official_fde,
    official_trajectory_score,
    official_wde,
    trajectory_score,
    weighted_error,
)

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm' / 'expected'
GOLDEN = json.loads((ROOT / 'metric_cases.json').read_text())
CASES = [case for case in GOLDEN['cases'] if not case['torch_inputs']]  # the official function fails on tensors
ERRORS = {error.__name__: error for error in (AssertionError, ValueError, IndexError)}


@pytest.fixture(scope='module')
def arrays():
    with np.load(ROOT / 'metric_cases.npz') as content:
        return dict(content)


def given(arrays, case):
    return tuple(arrays[f'{case["key"]}.{name}'] for name in ('pred', 'gt', 'valid'))


def number(value):
    return float(value)  # 'nan' and 'inf' are text in the file


def near(value):
    return pytest.approx(number(value), abs=1e-6, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize('case', CASES, ids=lambda case: case['key'])
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_the_official_score_of_a_data_set(arrays, case):
    want = case['evaluate_traj_stochastic']
    if 'exception' in want:
        with pytest.raises(ERRORS[want['exception']]):
            official_trajectory_score(*given(arrays, case))
        return
    got = official_trajectory_score(*given(arrays, case))
    assert [got.ade, got.fde, got.wde] == [near(value) for value in want['returned_in_order']]
    assert list(got.std) == [near(want['printed_std'][name]) for name in ('ade', 'fde', 'wde')]


@pytest.mark.parametrize('case', CASES, ids=lambda case: case['key'])
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_the_official_error_functions(arrays, case):
    if 'compute_ade' not in case:
        return
    predicted, true, valid = given(arrays, case)
    for name, function in (('compute_ade', official_ade), ('compute_fde', official_fde), ('compute_wde', official_wde)):
        want, per_hand = case[name], case[f'{name}_per_hand']
        if 'exception' in want:
            with pytest.raises(ERRORS[want['exception']]):
                function(predicted[:, 0], true, valid)
            continue
        got = function(predicted[:, 0], true, valid)
        assert got.value == near(want['value'])
        assert got.valid == pytest.approx(want['n_valid'])
        wanted = np.array([[number(value) for value in row] for row in per_hand]).reshape(got.per_hand.shape)
        np.testing.assert_allclose(got.per_hand, wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize('case', GOLDEN['wrapper_cases'], ids=lambda case: case['key'])
def test_the_official_evaluation_pools_clips(arrays, case):
    clips = []
    for index, valid in enumerate(case['pred_trajectory_is_valid']):
        parts = [f'{case["key"]}.{index}.{name}' for name in ('pred_hand_trajectory', 'future_hands', 'future_valid')]
        clips.append(EvaluatedClip(*(arrays[part] for part in parts)) if valid else None)
    if case['error'] is not None:
        with pytest.raises(ERRORS[case['error']['exception']]):
            official_evaluation(clips)
        return
    got, want = official_evaluation(clips), case['metrics_computed']
    assert (got.ade, got.fde, got.wde) == tuple(near(want[f'official_{name}']) for name in ('ade', 'fde', 'wde'))


@pytest.mark.parametrize('case', [c for c in CASES if 'returned_in_order' in c['evaluate_traj_stochastic']],
                         ids=lambda case: case['key'])  # fmt: skip
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_our_names_are_the_right_ones(arrays, case):
    """What the official evaluation calls ade is our fde and the other way round; our wde knows valid hands only."""
    predicted, true, valid = given(arrays, case)
    ours, official = trajectory_score(predicted, true, valid), official_trajectory_score(predicted, true, valid)
    assert (ours.fde, ours.ade) == (near(official.ade), near(official.fde))
    share = (np.asarray(valid) > 0).mean()
    assert ours.wde * share == near(official.wde)


def test_known_numbers():
    steps = np.arange(1, 5)[:, None] * (0.03, 0.04)
    true = np.array([
        [[(0.5, 0.9), (0.5, 0.8), (0.5, 0.7), (0.5, 0.6)], [(0.25, 1.5)] * 4],
        [[(0.6, 1.1), (0.6, 0.9), (0.6, 0.8), (0.6, 0.7)], [(0.2, 0.8), (0.3, 0.7), (0.4, 0.6), (0.5, 0.5)]],
    ])  # fmt: skip
    predicted, valid = (true + steps)[:, None], np.array([[1, 0], [1, 1]])
    ours = trajectory_score(predicted, true, valid)
    assert (ours.ade, ours.fde, ours.wde) == (
        pytest.approx(0.1208333), pytest.approx(0.2), pytest.approx(0.1027778)
    )  # fmt: skip
    assert ours.hands == 3
    official = official_trajectory_score(predicted, true, valid)
    assert (official.ade, official.fde, official.wde) == (
        pytest.approx(0.2), pytest.approx(0.1208333), pytest.approx(0.0770833)
    )  # fmt: skip


def test_a_hand_that_is_not_valid_plays_no_part():
    true = np.full((1, 2, 4, 2), 0.5)
    predicted = np.full((1, 1, 2, 4, 2), 0.5)
    predicted[:, :, 1] = np.nan
    score = trajectory_score(predicted, true, np.array([[1.0, 0.0]]))
    assert (score.ade, score.fde, score.wde, score.hands) == (0.0, 0.0, 0.0, 1)
    nobody = trajectory_score(predicted, true, np.zeros((1, 2)))
    assert math.isnan(nobody.ade)
    assert nobody.hands == 0


def test_any_number_of_steps_is_scored():
    true = np.full((6, 2), 0.5)
    predicted = true + np.array([[0.1, 0.0]]) * np.arange(6)[:, None]
    assert average_error(predicted, true) == pytest.approx(0.25)
    assert final_error(predicted, true) == pytest.approx(0.5)
    assert weighted_error(predicted, true) == pytest.approx(sum((t / 6) * 0.1 * (t - 1) for t in range(1, 7)) / 6)


@pytest.mark.parametrize(
    'shapes',
    [
        ((2, 1, 2, 4, 2), (2, 2, 3, 2), (2, 2)),
        ((2, 0, 2, 4, 2), (2, 2, 4, 2), (2, 2)),
        ((2, 1, 2, 4, 2), (2, 2, 4, 2), (2, 2, 4)),
        ((2, 2, 4, 2), (2, 2, 4, 2), (2, 2)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match='must be'):
        trajectory_score(*(np.zeros(shape) for shape in shapes))


def test_no_answer_is_as_bad_as_the_farthest_corner():
    true = np.array([[[0.25, 0.5], [0.9, 0.9], [0.75, 1.5]]])
    corners = farthest_corners(true)
    assert corners.tolist() == [[[1, 0], [0, 0], [0, 0]]]
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 11)), -1).reshape(-1, 1, 2)
    assert (average_error(np.tile(grid, (1, 3, 1)), true) <= average_error(corners, true) + 1e-12).all()
