# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Point scores: known values, and the official scorer on its recorded cases."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affordance_ros.metrics.points import official_where2place_score, point_accuracy, where2place_score
from affordance_ros.models.robopoint_official import official_parse_points, official_points_or_none
from affordance_ros.results import Keypoints

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'robopoint'
CASES = json.loads((PARITY / 'expected' / 'metric_cases.json').read_text())
VALUES = np.load(PARITY / 'expected' / 'metric_cases.npz')


@pytest.mark.parametrize('index', range(len(CASES['cases'])), ids=lambda i: CASES['cases'][i]['name'])
def test_official_score_equals_the_recorded_one(index):
    case = CASES['cases'][index]
    mask, status = VALUES[f'mask__{case["mask"]}'], VALUES['status'][index]
    if status == 2:
        error = {'IndexError': IndexError, 'ValueError': ValueError}[case['official']['exception']]
        with pytest.raises(error):
            official_where2place_score([official_parse_points(case['text'])], [mask])
        return
    score = official_where2place_score(official_points_or_none([case['text']]), [mask])
    assert score.skipped == ((0,) if status == 1 else ())
    if status == 0:
        assert score.accuracies == (pytest.approx(VALUES['accuracy'][index], abs=1e-12),)


def test_official_score_of_all_questions_together():
    by_name = {case['name']: case for case in CASES['cases']}
    order = [by_name[name] for name in CASES['combined']['order']]
    masks = [VALUES[f'mask__{case["mask"]}'] for case in order]
    score = official_where2place_score(official_points_or_none([case['text'] for case in order]), masks)
    want = CASES['combined']['official']
    assert list(score.skipped) == want['skipped_questions']
    assert score.accuracies == pytest.approx(want['accuracy_list'], abs=1e-12)
    assert f'Accuracy: {score.mean}' == want['printed']


@pytest.mark.parametrize('variant', ['vicuna_full', 'llama2_full'])
def test_official_score_of_the_recorded_answer_files(variant):
    lines = (PARITY / 'expected' / variant / 'vqa_answers.jsonl').read_text().splitlines()
    texts = [json.loads(line)['text'] for line in lines]
    folder = PARITY / 'inputs' / 'where2place_mini' / 'masks'
    masks = [np.asarray(Image.open(folder / f'{index:02d}.jpg')) for index in range(len(texts))]
    want = json.loads((PARITY / 'expected' / variant / 'vqa_score.json').read_text())
    assert official_where2place_score(official_points_or_none(texts), masks).accuracies == pytest.approx(
        want['accuracy_list']
    )


def test_our_score_counts_unreadable_answers_as_wrong():
    mask = np.zeros((10, 10), bool)
    mask[2, 3] = True
    hit = Keypoints([[3.2, 1.9], [9, 9]])
    assert point_accuracy(hit, mask) == 0.5
    score = where2place_score([hit, None, Keypoints(np.zeros((0, 2)))], [mask] * 3)
    assert score.accuracies == (0.5, 0.0, 0.0)
    assert score.unreadable == 1
    assert score.mean == pytest.approx(0.5 / 3)
    assert score.mean_points == 1.0


def test_points_outside_the_mask_are_wrong_not_wrapped():
    mask = np.ones((4, 4), bool)
    assert point_accuracy(Keypoints([[-1, 0], [4, 0], [3, 3]]), mask) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match='bool'):
        point_accuracy(Keypoints([[0, 0]]), np.ones((4, 4)))
