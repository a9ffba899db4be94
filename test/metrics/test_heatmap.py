# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Heatmap metrics: the official ones equal the recorded numbers, ours equal them where those mean something."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from affordance_ros.metrics import heatmap as metrics

EXPECTED = Path(__file__).parents[1] / 'data' / 'parity' / 'glover' / 'expected'
RECORDED = json.loads((EXPECTED / 'metric_cases.json').read_text())
CASES = {case['id']: case for case in RECORDED['cases']}
ORDINARY = [
    name for name, case in CASES.items() if case['kind'] == 'random' or case['kind'].startswith('part: overlap')
]
OFFICIAL = {'kld': metrics.official_kld, 'sim': metrics.official_sim, 'nss': metrics.official_nss}
OURS = {'kld': metrics.kld, 'sim': metrics.sim, 'nss': metrics.nss}
MAPS = hnp.arrays(np.float64, (6, 7), elements=st.floats(0, 1))


@pytest.fixture(scope='module')
def arrays():
    with np.load(EXPECTED / 'metric_cases.npz') as content:
        return dict(content)


def maps(arrays, name):
    prediction = arrays[f'{name}_pred'].astype(CASES[name]['pred_dtype'])
    return prediction, arrays[f'{name}_gt'] / 255.0


@pytest.mark.filterwarnings('ignore:(Mean of empty|Degrees of freedom)')
@pytest.mark.parametrize('metric', OFFICIAL)
@pytest.mark.parametrize('name', CASES)
def test_official_numbers(arrays, name, metric):
    expected = CASES[name][metric]
    if isinstance(expected, str) and expected.startswith('raises'):
        with pytest.raises(ValueError):  # noqa: PT011 - numpy's own sentence
            OFFICIAL[metric](*maps(arrays, name))
        return
    found = OFFICIAL[metric](*maps(arrays, name))
    if expected == 'nan':
        assert math.isnan(found)
    else:
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize('metric', OURS)
@pytest.mark.parametrize('name', ORDINARY)
def test_ours_equal_the_official_ones_on_ordinary_maps(arrays, name, metric):
    assert OURS[metric](*maps(arrays, name)) == pytest.approx(CASES[name][metric], abs=2e-5)


@pytest.mark.parametrize('name', [name for name, case in CASES.items() if 'sim_part' in case])
def test_share_of_the_part(arrays, name):
    case, (prediction, _) = CASES[name], maps(arrays, name)
    part = arrays[f'{name}_part'] / 255.0
    found = metrics.official_sim_part(prediction, part, case['radius'])
    assert found == pytest.approx(case['sim_part'], abs=1e-6)
    if set(np.unique(arrays[f'{name}_part'])) <= {0, 255}:
        assert metrics.part_share(prediction, part > 0, case['radius']) == pytest.approx(case['sim_part'], abs=1e-6)


def test_gaussians(arrays):
    for index, entry in enumerate(RECORDED['gaussians']):
        drawn = metrics.draw_gaussian(np.zeros(entry['hw'], np.float32), tuple(entry['xy']), entry['radius'])
        assert np.abs(drawn - arrays[f'gauss{index}']).max() <= 1e-7
        assert drawn.sum() == pytest.approx(entry['sum'], rel=1e-5)


def test_the_official_mean():
    values = [case['kld'] for case in CASES.values() if case['kind'] == 'random']
    assert len(values) == RECORDED['aggregate']['n']
    assert metrics.official_mean(values) == pytest.approx(RECORDED['aggregate']['mkld'])
    with pytest.raises(ZeroDivisionError):
        metrics.official_mean([])


def test_what_means_nothing_is_nan_and_what_is_chance_is_zero():
    bump = metrics.draw_gaussian(np.zeros((30, 40)), (20, 15), 6)
    flat, zero = np.full((30, 40), 0.5), np.zeros((30, 40))
    assert all(math.isnan(metric(bump, zero)) for metric in OURS.values())
    assert metrics.nss(flat, bump) == 0
    assert metrics.sim(zero, bump) == 0
    assert metrics.kld(zero, bump) == pytest.approx(metrics.kld(flat, bump))
    with pytest.raises(ValueError, match='one size'):
        metrics.kld(bump[:1], bump)
    with pytest.raises(ValueError, match='finite'):
        metrics.sim(bump * np.nan, bump)


@settings(max_examples=500, deadline=None)
@given(prediction=MAPS, truth=MAPS)
def test_limits_and_the_best_value(prediction, truth):
    if truth.max() < 1e-6:
        return
    score = metrics.heatmap_score(prediction, truth)
    assert -1e-9 <= score.sim <= 1 + 1e-9
    assert score.kld > -1e-6
    best = metrics.heatmap_score(truth, truth)
    assert best.sim == pytest.approx(1)
    assert best.kld == pytest.approx(0, abs=1e-6)
    assert math.isnan(best.nss) or best.nss >= 0


def test_summary_counts_what_the_official_mean_hides():
    bump, elsewhere = (metrics.draw_gaussian(np.zeros((30, 40)), (u, 15), 6) for u in (20, 8))
    good, empty = metrics.heatmap_score(bump, bump), metrics.empty_score(bump)
    assert (empty.sim, empty.nss) == (0, 0)
    assert empty.kld == pytest.approx(metrics.kld(np.ones((30, 40)), bump))
    assert empty.kld > metrics.kld(elsewhere + bump, bump)
    flat_truth = metrics.empty_score(np.zeros((30, 40)))
    summary = metrics.summarize([(good, True), (empty, False), (good, True), (flat_truth, True)])
    assert summary.of_answered == good
    assert (summary.answered, summary.unanswered, summary.unscored) == (2, 1, 1)
    assert summary.of_all.sim == pytest.approx(2 / 3)
    assert summary.of_all.kld == pytest.approx((2 * good.kld + empty.kld) / 3)
    assert math.isnan(metrics.summarize([]).of_all.sim)
