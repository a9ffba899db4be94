# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter's answers read by the strict parser and scored right: the recorded figures, and our own rules."""

import json
from pathlib import Path

import numpy as np
import pytest

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.metrics.boxes import box_score
from affordance_ros.metrics.choices import choice_score
from affordance_ros.metrics.robointer import (
    CHOICE_TASKS,
    THRESHOLDS,
    contact_point_error,
    contact_point_score,
    first_decision,
    planning_kind,
    task_kind,
)
from affordance_ros.metrics.robointer_official import OfficialAnswer, official_file_score, official_smart_resize
from affordance_ros.metrics.traces import trace_score
from affordance_ros.models.robointer_answers import (
    BY_NAME,
    Coordinates,
    read_choice,
    read_geometry,
)
from affordance_ros.results import Boxes, Keypoints, Trace

EXPECTED = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer' / 'expected'
CASES = json.loads((EXPECTED / 'metric_cases.json').read_text())
TEXTS = json.loads((EXPECTED / 'parse_cases.json').read_text())
PLANNING = [case for case in CASES['planning'] if case['category'] in ('choice', 'decide')]


def points_of(text, task, case):
    """Return pixels (N, 2) of a text, or None where it cannot be read."""
    width, height = case['w'], case['h']
    scale = (width, height)
    if case['source'] == 'qwen':
        rows, columns = official_smart_resize(height, width)  # below 1 megapixel as the model's own rule
        scale = (width / columns, height / rows)
    try:
        answer = read_geometry(text, BY_NAME[task], Coordinates(scale, (width, height), case['source'] == 'llava'))
    except UnparsableAnswer:
        return None
    return answer.points


def boxes_of(cases):
    found = [
        (points_of(case['pred'], 'current_box', case), points_of(case['gt'], 'current_box', case)) for case in cases
    ]
    answers = [None if points is None else Boxes(points.reshape(1, 4)) for points, _ in found]
    return box_score(answers, [truth.reshape(4) for _, truth in found])


def traces_of(cases):
    found = [(points_of(case['pred'], 'traj', case), points_of(case['gt'], 'traj', case)) for case in cases]
    answers = [None if points is None else Trace(points) for points, _ in found]
    return trace_score(answers, [truth for _, truth in found], [(case['w'], case['h']) for case in cases])


@pytest.mark.parametrize('case', CASES['box'], ids=lambda case: case['note'] or case['id'])
def test_recorded_box(case):
    score = boxes_of([case])
    assert score.unreadable == (case['strict_status'] == 'failed')
    assert score.mean_iou == pytest.approx(case['strict_iou'], abs=1e-5)


@pytest.mark.parametrize('case', CASES['traj'], ids=lambda case: case['note'] or case['id'])
def test_recorded_trace(case):
    score, wanted = traces_of([case]), case['strict']
    assert score.unreadable == (case['strict_status'] == 'failed')
    if wanted is None:
        assert score.errors == score.normalised == (None,)
        return
    for errors, figures, close in (
        (score.errors[0], wanted, 1e-3),
        (score.normalised[0], wanted['resampled10_normalised'], 1e-6),
    ):
        rmse = np.nan if figures['rmse'] is None else figures['rmse']
        assert (errors.dtw, errors.frechet, errors.hausdorff) == pytest.approx(
            (figures['dtw'], figures['dfd'], figures['hd']), abs=close
        )
        assert errors.rmse == pytest.approx(rmse, abs=close, nan_ok=True)


@pytest.mark.parametrize('source', ['llava', 'qwen'])
def test_recorded_figures_of_whole_files(source):
    wanted = CASES['aggregate'][source]['strict']
    boxes = boxes_of([case for case in CASES['box'] if case['source'] == source])
    assert (len(boxes.ious), boxes.unreadable) == (wanted['box']['n'], wanted['box']['failed'])
    assert boxes.mean_iou == pytest.approx(wanted['box']['mean_iou'], abs=1e-6)
    figures = wanted['box']['acc_0_1'], wanted['box']['acc_0_5']
    assert tuple(boxes.accuracy(threshold) for threshold in THRESHOLDS) == pytest.approx(figures)
    traces = traces_of([case for case in CASES['traj'] if case['source'] == source])
    assert (len(traces.errors), traces.unreadable) == (wanted['traj']['n'], wanted['traj']['failed'])
    assert traces.mean.dtw == pytest.approx(wanted['traj']['mean_dtw_of_parsed'], abs=1e-3)


def letter(text):
    try:
        return read_choice(text)
    except UnparsableAnswer:
        return None


@pytest.mark.parametrize('case', PLANNING, ids=lambda case: f'{case["id"]}-{case["pred"]}')
def test_recorded_choices_and_decisions(case):
    reader = letter if planning_kind(case['id']) == 'choice' else first_decision
    answer, truth = reader(case['pred']), reader(case['gt'])
    score = choice_score([answer], [case['gt'] if truth is None else truth])
    assert score.accuracy == case['strict']
    assert score.unreadable == (answer is None)


@pytest.mark.parametrize(
    'case', [case for case in TEXTS['language'] if case['task'] == 'decide'], ids=lambda case: case['text'][:30]
)
def test_the_first_word_decides(case):
    assert first_decision(case['text']) == case['strict']['value']


def test_an_unreadable_answer_cannot_help():
    score = choice_score(['A', None, 'B'], ['A', 'B', 'A'])
    assert score.correct == (True, False, False)
    assert score.unreadable == 1
    assert score.accuracy == pytest.approx(1 / 3)
    assert np.isnan(choice_score([], []).accuracy)
    # The official figure of an empty choice is the best there is.
    assert official_file_score([OfficialAnswer('x', '', 'B')], 'decide', 'llava').value == 1


def test_contact_points_in_either_order():
    truth = [[10, 10], [20, 10]]
    assert contact_point_error([[20, 13], [10, 13]], truth) == 3
    score = contact_point_score([Keypoints(truth), None, Keypoints(truth[:1])], [truth] * 3)
    assert score.errors == (0, None, None)
    assert (score.unreadable, score.mean) == (2, 0)
    assert np.isnan(contact_point_score([None], [truth]).mean)
    with pytest.raises(ValueError, match='contact points must be'):
        contact_point_error([[0, 0]], truth)


def test_tasks_of_the_benchmark():
    assert task_kind('gripper_det') == 'box'
    assert task_kind('contact_point') == 'points'
    assert task_kind('traj_wo_init_pos') == 'trace'
    assert task_kind('contact_decide') == 'decide'
    assert {task_kind(task) for task in CHOICE_TASKS} == {'choice'}
    with pytest.raises(ValueError, match='known: contact_box'):
        task_kind('drive')
