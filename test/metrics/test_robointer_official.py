# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official scorers of RoboInter on their recorded cases, and their quirks by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from affordance_ros.metrics.robointer import BOX_TASKS, planning_kind
from affordance_ros.metrics.robointer_official import (
    OfficialAnswer,
    official_answer_score,
    official_average,
    official_box_numbers,
    official_file_score,
    official_kind,
    official_numbers,
    official_pixels,
    official_qwen_pred,
    official_smart_resize,
    official_source,
    official_trace_numbers,
)
from affordance_ros.metrics.robointer_official_language import (
    official_bleu,
    official_box_metric,
    official_contact_point_metric,
    official_language_metric,
    official_parse_multi,
    official_parse_single,
    official_planning_answer,
    official_planning_score,
    official_trace_metric,
)
from affordance_ros.metrics.sentences import Bleu

EXPECTED = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer' / 'expected'
CASES = json.loads((EXPECTED / 'metric_cases.json').read_text())
PATHS = np.load(EXPECTED / 'metric_cases.npz')
TEXTS = json.loads((EXPECTED / 'parse_cases.json').read_text())
KEYS = {'current_box': 'current_bbox', 'contact_box': 'contact_bbox', 'final_box': 'final_bbox',
        'gripper_det': 'gripper_det_bbox', 'contact_point': 'contact_point', 'traj': 'future_traj',
        'traj_wo_init_pos': 'future_traj'}  # fmt: skip
PLANNING_IDS = {'choice': 'Scene_Understanding', 'decide': 'Success_Positive_Task', 'plan': 'Planning_Task'}
ERRORS = {'ValueError': ValueError, 'TypeError': TypeError, 'IndexError': IndexError}
LONGEST = 40
CLOSE = {'rel': 1e-9, 'abs': 1e-12}


def record(case):
    size = case.get('image_size')
    return OfficialAnswer(case['id'], case['pred'], case['gt'], tuple(size) if size else None)


def as_recorded(value):
    """Write a value as the recorded cases have it: what JSON lacks as text, long lists by length and first items."""
    if isinstance(value, dict):
        return {key: as_recorded(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [as_recorded(item) for item in value]
        return items if len(items) <= LONGEST else {'length': len(items), 'first': items[:8]}
    return value if not isinstance(value, float) or np.isfinite(value) else str(value)


def bleu_dict(bleu):
    return {'score': bleu.mean} | {f'bleu{order + 1}': value for order, value in enumerate(bleu.orders)}


@pytest.mark.parametrize('case', CASES['box'], ids=lambda case: case['note'] or case['id'])
def test_box_score_equals_the_recorded_one(case):
    assert record(case).size == (case['w'], case['h'])
    assert official_answer_score(record(case), 'box', case['source']) == pytest.approx(case['official_iou'], **CLOSE)


@pytest.mark.parametrize('case', CASES['traj'], ids=lambda case: case['note'] or case['id'])
def test_trace_score_equals_the_recorded_one(case):
    assert official_answer_score(record(case), 'traj', case['source']) == pytest.approx(case['official_dtw'], **CLOSE)


@pytest.mark.parametrize('case', TEXTS['geometry'], ids=lambda case: f'{case["task"]}-{case["text"][:30]}')
def test_numbers_are_read_as_the_official_code_reads_them(case):
    wanted, key = case['official'], KEYS[case['task']]
    numbers = (official_trace_numbers if key == 'future_traj' else official_box_numbers)(case['text'])
    assert as_recorded(official_numbers(case['text'])) == wanted['extract_number']
    assert numbers == wanted['extract']
    pixels = official_pixels(numbers, case['variant'], (case['w'], case['h']))
    np.testing.assert_allclose(pixels, np.reshape(wanted['pixels'], (-1, 2)), rtol=1e-9)
    assert as_recorded(official_parse_single(case['text'], key)) == wanted['parse_output_single']
    assert as_recorded(official_parse_multi(case['text'])) == wanted['parse_output_multi']


@pytest.mark.parametrize('case', TEXTS['language'], ids=lambda case: f'{case["task"]}-{case["text"][:30]}')
def test_language_scores_equal_the_recorded_ones(case):
    for truth, wanted in case['official_score_by_gt'].items():
        answer = OfficialAnswer(PLANNING_IDS[case['task']], case['text'], truth)
        assert official_answer_score(answer, 'decide', 'llava') == wanted['scorer_generation']
        score = official_planning_answer(answer)
        found = score if isinstance(score, int) else bleu_dict(score)
        assert found == pytest.approx(wanted['scorer_planning'][0], **CLOSE)


@pytest.mark.parametrize('case', CASES['bleu'], ids=lambda case: f'{case["pred"]}-{case["gt"]}')
def test_bleu_equals_the_recorded_one(case):
    assert bleu_dict(official_bleu(case['pred'], case['gt'])) == pytest.approx(
        case['official_planning_smoothed'], **CLOSE
    )
    plain = {name: values[0] for name, values in case['official_metric_utils_unsmoothed'].items()}
    # Down to 1e-235: without an absolute tolerance, so that the smallest figures count too.
    assert bleu_dict(official_language_metric(case['pred'], case['gt'])) == pytest.approx(plain, rel=1e-6, abs=0)


@pytest.mark.parametrize('case', CASES['planning'], ids=lambda case: f'{case["id"]}-{case["pred"]}')
def test_planning_score_equals_the_recorded_one(case):
    answer = OfficialAnswer(case['id'], case['pred'], case['gt'])
    if isinstance(case['category'], dict):
        for function in (planning_kind, lambda _: official_planning_answer(answer)):
            with pytest.raises(ValueError, match='names no planning task'):
                function(case['id'])
        return
    assert planning_kind(case['id']) == case['category']
    score = official_planning_answer(answer)
    found = score if isinstance(score, int) else bleu_dict(score)
    assert found == pytest.approx(case['official'][0], **CLOSE)


def test_planning_figures_of_all_records():
    known = [case for case in CASES['planning'] if isinstance(case['category'], str)]
    wanted = CASES['aggregate']['planning']
    assert len(known) == wanted['n']
    score = official_planning_score([OfficialAnswer(case['id'], case['pred'], case['gt']) for case in known])
    assert (score.choice, score.decide) == pytest.approx((wanted['official']['choice'], wanted['official']['decide']))
    assert bleu_dict(Bleu(score.bleu)) == pytest.approx(wanted['official']['planning'], **CLOSE)
    assert score.planning == pytest.approx(wanted['official']['planning']['score'], **CLOSE)
    assert np.isnan(official_planning_score([]).choice)


@pytest.mark.parametrize('source', ['llava', 'qwen'])
def test_figures_of_whole_files(source):
    wanted = CASES['aggregate'][source]['official']
    assert official_source(CASES['aggregate'][source]['model_name']) == wanted['source'] == source
    choices = [
        OfficialAnswer('x', pred, gt) for pred, gt in (('A', 'A'), ('B', 'A'), ('', 'C'), ('D.', 'D'), ('E', 'E'))
    ]
    scores = {
        task: official_file_score(answers, official_kind(task), source)
        for task, answers in (
            ('current_box', [record(case) for case in CASES['box'] if case['source'] == source]),
            ('traj', [record(case) for case in CASES['traj'] if case['source'] == source]),
            ('grounding_choice', choices),
        )
    }
    for task, score in scores.items():
        assert score.value == pytest.approx(wanted['final_res'][f'eval_details_{task}.json'], **CLOSE)
    accuracy = float(wanted['printed'][0].rpartition(' ')[2])
    assert scores['current_box'].accuracy == pytest.approx(accuracy, **CLOSE)
    assert official_average(scores) == pytest.approx(wanted['average'], **CLOSE)


def test_a_file_of_perfect_traces_cannot_be_scored():
    assert CASES['aggregate']['one_perfect_trace_only'] == {'exception': 'ZeroDivisionError'}
    with pytest.raises(ZeroDivisionError):
        official_file_score(
            [OfficialAnswer('x', '[[0.1, 0.2], [0.3, 0.4]]', '[[0.1, 0.2], [0.3, 0.4]]')], 'traj', 'llava'
        )


def test_the_source_comes_from_the_folders_name():
    for name, source in CASES['aggregate']['source_by_model_name'].items():
        assert official_source(name) == source


@pytest.mark.parametrize('case', CASES['smart_resize'], ids=lambda case: f'{case["w"]}x{case["h"]}')
def test_the_scorers_own_resizing_rule(case):
    wanted = case['official_eval_script']
    if isinstance(wanted, dict):
        with pytest.raises(ERRORS[wanted['exception']]):
            official_smart_resize(case['h'], case['w'])
    else:
        assert official_smart_resize(case['h'], case['w']) == tuple(wanted)


def values_of(case):
    if 'pred_value' in case:
        return [(case['pred_value'], case['gt_value'], case['official'])]
    pred, gt = PATHS[case['pred']].tolist(), PATHS[case['gt']].tolist()
    return [(pred, gt, case['official']), ({'future_traj': pred}, gt, case['official_dict_form'])]


@pytest.mark.parametrize('case', CASES['traj_utils'], ids=lambda case: str(case.get('pred', case.get('pred_value'))))
def test_trace_metric_of_the_library(case):
    for pred, gt, wanted in values_of(case):
        if 'exception' in wanted:
            with pytest.raises(ERRORS[wanted['exception']]):
                official_trace_metric(pred, gt)
        else:
            assert official_trace_metric(pred, gt) == pytest.approx(wanted, **CLOSE)


@pytest.mark.parametrize(
    ('function', 'name', 'case'),
    [(official_contact_point_metric, 'point', case) for case in CASES['point_utils']]
    + [(official_box_metric, 'iou', case) for case in CASES['seg_utils']],
    ids=lambda value: str(value.get('pred')) if isinstance(value, dict) else getattr(value, '__name__', value),
)
def test_point_and_box_metrics_of_the_library(function, name, case):
    if 'exception' in case['official']:
        with pytest.raises(ERRORS[case['official']['exception']]):
            function(case['pred'], case['gt'])
    else:
        assert function(case['pred'], case['gt']) == pytest.approx(case['official'][name], **CLOSE)


def test_predictions_of_other_conventions():
    truth = json.dumps({'current_bbox': [[69, 95], [184, 167]]})
    thousandths = OfficialAnswer('droid', '[100, 100, 300, 300]', '[100, 100, 300, 300]')
    assert official_answer_score(thousandths, 'box', 'intern') == 1.0
    # 'api' takes the answer as pixels of the original image, the truth still as pixels of the resized one.
    pixels = [69 * 320 / 308, 95 * 180 / 168, 184 * 320 / 308, 167 * 180 / 168]
    answer = OfficialAnswer('droid', str(pixels), truth)
    assert official_answer_score(answer, 'box', 'api') == pytest.approx(1)
    with pytest.raises(ValueError, match='source must be one of'):
        official_pixels([0, 1], 'gemini', (320, 180))


def test_every_file_of_the_program_has_a_kind():
    assert {official_kind(task) for task in BOX_TASKS} == {'box'}
    assert official_kind('traj_wo_init_pos') == 'traj'
    assert official_kind('contact_decide') == official_kind('grasppose_choice') == 'decide'
    with pytest.raises(ValueError, match='contact_point'):
        official_kind('contact_point')


def test_the_official_qwen_scripts_store_the_question_too():
    folder = EXPECTED.parent / 'qwen'
    asked = json.loads((folder / 'inputs' / 'cases.json').read_text())
    cases = json.loads((folder / 'expected' / 'expected.json').read_text())['cases']
    recorded = [(name, case) for name, case in cases.items() if name.endswith('__eval') and name[:-6] in asked]
    assert len(recorded) == 4
    for name, case in recorded:
        question = asked[name[:-6]]
        pred = case['greedy_official']['raw_pred_with_prompt']
        answer = pred.rpartition('assistant\n')[2]
        assert official_qwen_pred(question['image_prefix'] + question['question'], answer) == pred
