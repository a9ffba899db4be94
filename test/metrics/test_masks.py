# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mask metrics: right ones by hand-made cases and where they agree with recorded ones, official ones to the digit."""

import json
from pathlib import Path

import numpy as np
import pytest

from affordance_ros.metrics.boxes import box_iou
from affordance_ros.metrics.heatmap import official_kld, official_sim
from affordance_ros.metrics.masks import Overlap, mask_score, overlap, union_of
from affordance_ros.metrics.masks_official import (
    official_map_nss,
    official_map_overlap,
    official_overlap,
    official_penalty,
    official_rank_map,
    official_reasonaff_score,
    official_zero_shot_score,
)

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'affordance_r1' / 'expected'
CASES = json.loads((ROOT / 'metric_cases.json').read_text())
PLAYBACK = json.loads((ROOT / 'expected.json').read_text())['evaluation_playback']
CLOSE = 1e-6
EXACT = 1e-12


@pytest.fixture(scope='module')
def arrays():
    with np.load(ROOT / 'metric_cases.npz') as content:
        return dict(content)


def assert_score(score, giou, ciou, p50, p50_95):
    found = (score.giou, score.ciou, score.p50, score.p50_95)
    assert found == pytest.approx((giou, ciou, p50, p50_95), abs=EXACT)


@pytest.mark.parametrize('case', CASES['mask_iou'], ids=lambda case: case['name'])
def test_pixels_of_two_masks(case, arrays):
    answer, truth = (arrays[f'mask_{side}_{case["i"]}'] for side in ('pred', 'gt'))
    official = official_overlap(answer, truth)
    if 'exception' in case or case['returns_scalar_zero']:
        assert official is None
    else:
        assert official == Overlap(case['intersection'], case['union'])
    if answer.shape == truth.shape:
        assert overlap(answer, truth) == Overlap(case['intersection'], case['union'])
    else:
        with pytest.raises(ValueError, match='of one size'):
            overlap(answer, truth)


@pytest.mark.parametrize('case', CASES['aggregate'], ids=range(len(CASES['aggregate'])))
def test_figures_of_a_data_set(case):
    overlaps = [Overlap(*pair) for pair in zip(case['I'], case['U'], strict=True)]
    wanted = [case[name] for name in ('gIoU', 'cIoU', 'P50', 'P50_95')]
    assert_score(official_reasonaff_score(overlaps), *wanted)
    if any(case['U']):
        # IoUs that lie on a threshold are the only place where the two could differ, and in these cases do not.
        assert_score(mask_score(overlaps), *wanted)


@pytest.mark.parametrize('case', CASES['box_iou'], ids=range(len(CASES['box_iou'])))
def test_overlap_of_boxes(case):
    boxes = (case['a'], case['b'])
    if all(box[2] >= box[0] and box[3] >= box[1] for box in boxes):
        assert box_iou(*boxes) == pytest.approx(case['iou'], abs=EXACT)
    else:  # officially a product of two negative sides, here no box
        with pytest.raises(ValueError, match='a box must be'):
            box_iou(*boxes)


def test_figures_of_the_recorded_evaluation():
    records = PLAYBACK['records']
    overlaps = [Overlap(record['intersection'], record['union']) for record in records]
    wanted = [PLAYBACK[name] for name in ('gIoU', 'cIoU', 'P50', 'P50_95')]
    assert_score(official_reasonaff_score(overlaps), *wanted)


def test_an_iou_on_a_threshold_is_not_above_it():
    on = [Overlap(percent, 100) for percent in range(50, 100, 5)]
    above = [Overlap(percent + 1, 100) for percent in range(50, 100, 5)]
    assert_score(mask_score(on), 0.725, 0.725, 0.9, 0.45)
    assert_score(mask_score(above), 0.735, 0.735, 1.0, 0.55)


def test_no_answer_covers_nothing():
    truth = np.zeros((4, 5), np.bool_)
    truth[1:3, 1:4] = True
    assert overlap(None, truth) == Overlap(0, 6)
    assert overlap(None, truth).iou == 0
    assert_score(mask_score([overlap(None, truth), overlap(truth, truth)]), 0.5, 0.5, 0.5, 0.5)
    assert np.isnan(mask_score([]).giou)
    assert np.isnan(mask_score([Overlap(0, 0)]).ciou)
    with pytest.raises(ValueError, match='intersection <= union'):
        Overlap(3, 2)


def test_the_union_of_masks():
    masks = np.zeros((2, 3, 3), np.bool_)
    masks[0, 0, 0] = masks[1, 2, 2] = True
    assert union_of(masks).sum() == 2
    assert union_of(masks[:0]).shape == (3, 3)
    assert not union_of(masks[:0]).any()


def test_the_penalty_is_the_sum_of_the_values():
    truth = np.zeros((3, 3), np.uint8)
    truth[0] = 255
    assert official_penalty(truth > 0) == Overlap(0, 3)
    assert official_penalty(truth) == Overlap(0, 765)


def value_of(compute, *arguments):
    try:
        return compute(*arguments)
    except ValueError:
        return {'exception': 'ValueError'}


@pytest.mark.parametrize('case', CASES['heatmap'], ids=lambda case: case['name'])
def test_a_mask_against_a_map(case, arrays):
    answer, truth = (arrays[f'heat_{side}_{case["i"]}'] for side in ('pred', 'gt'))
    found = value_of(official_map_overlap, answer, truth)
    if 'exception' in case['iou']:
        assert found == case['iou']
    else:
        iou, pixels = found
        assert iou == pytest.approx(case['iou']['value'], abs=EXACT)
        assert pixels == Overlap(case['iou']['intersection'], case['iou']['union'])
    for name, compute in (('kld', official_kld), ('sim', official_sim), ('nss', official_map_nss)):
        value = value_of(compute, answer, truth)
        assert value == (case[name] if isinstance(case[name], dict) else pytest.approx(case[name], abs=CLOSE)), name


def test_the_recorded_run_over_agd20k(arrays):
    with_truth = [index for index, sample in enumerate(CASES['agd_run']['samples']) if sample['has_gt']]
    found = [official_map_overlap(arrays[f'agd_pred_{index}'], arrays[f'agd_gt_{index}']) for index in with_truth]
    stats = CASES['agd_run']['stats']
    assert_score(official_zero_shot_score(found), *(stats[name] for name in ('giou', 'ciou', 'p_at_50', 'p_at_50_95')))


def test_the_recorded_run_over_umd(arrays):
    order = ('grasp', 'cut', 'scoop', 'contain', 'pound', 'support', 'wrap-grasp')
    found = []
    for record in CASES['umd_run']['records']:
        action = record['query'].split(' in order to ')[1].removesuffix(' it?')
        truth = official_rank_map(arrays[f'umd_label_{record["i"]}'], order.index(action))
        assert (truth == arrays[f'umd_gt255_{record["i"]}']).all()
        found.append(official_map_overlap(arrays[f'umd_pred_{record["i"]}'], truth))
        assert found[-1][0] == pytest.approx(record['iou'], abs=EXACT)
        assert found[-1][1] == Overlap(record['intersection'], record['union'])
    stats = CASES['umd_run']['stats']
    assert_score(official_zero_shot_score(found), *(stats[name] for name in ('giou', 'ciou', 'p_at_50', 'p_at_50_95')))


@pytest.mark.parametrize(('highest', 'true_ranks'), [(1, []), (2, []), (3, [1]), (4, [1]), (5, [1, 2])])
def test_what_is_true_officially_hangs_on_the_highest_rank(highest, true_ranks):
    ranks = np.zeros((1, highest + 1, 7), np.uint8)
    ranks[0, :, 0] = np.arange(highest + 1)
    marked = official_rank_map(ranks, 0)[0] / 255 > 0.5
    assert np.flatnonzero(marked).tolist() == true_ranks
    assert not official_rank_map(np.zeros_like(ranks), 0).any()


def test_nothing_to_score():
    assert np.isnan(official_reasonaff_score([]).giou)
    assert np.isnan(official_zero_shot_score([]).p50_95)
