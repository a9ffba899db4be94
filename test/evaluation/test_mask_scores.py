# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ReasonAff, UMD and AGD20K scored from answer lines: recorded official runs, and what each kind of answer counts."""

import json
from pathlib import Path

import numpy as np
import pytest
from mask_data_sets import LEFT, RIGHT, half, png

from affordance_ros.evaluation.agd20k_benchmark import score_agd20k
from affordance_ros.evaluation.labels import encode_mask
from affordance_ros.evaluation.mask_benchmark import mask_rows
from affordance_ros.evaluation.reasonaff_scores import score_reasonaff, write_reasonaff_file
from affordance_ros.evaluation.umd_benchmark import UMD, score_umd

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'affordance_r1' / 'expected'
RECORDS = json.loads((ROOT / 'expected.json').read_text())
CASES = json.loads((ROOT / 'metric_cases.json').read_text())
PLAYBACK = RECORDS['evaluation_playback']
OFFICIAL = {'model': {'name': 'affordance_r1'}}
OTHER = {'model': {'name': 'robopoint'}}
GOOD = '<answer>[{"bbox_2d": [1,2,30,40], "point_2d": [3,4], "affordance": "hold"}]</answer>'
TWISTED = '<answer>[{"bbox_2d": [30,40,1,2], "point_2d": [3,4], "affordance": "hold"}]</answer>'
WHOLE = np.ones_like(half())


def line(truth, mask=None, text=GOOD, **more):
    """Return the line of an answer; without a mask it was unreadable."""
    found = {'key': 'k', 'truth': truth, 'outcome': 'UNPARSABLE_ANSWER', 'message': '', 'text': text, **more}
    shape = half().shape if mask is None else mask.shape
    found.setdefault('size', [shape[1], shape[0]])
    if mask is not None and 'outcome' not in more:
        found |= {'outcome': 'OK', 'mask': encode_mask(mask), 'things': int(mask.any())}
    return found


def reasonaff_truth(mask, name='q', size=None, boxes='[[[1, 2], [30, 40]]]'):
    width, height = size or mask.shape[::-1]
    return {
        'id': name, 'question': '?', 'width': width, 'height': height, 'mask': encode_mask(mask.astype(np.bool_)),
        'value_sum': int(mask.sum()), 'bboxes': boxes,
    }  # fmt: skip


def recorded_mask(sample, record):
    """Return the union of masks that was recorded, or for the one that was not, a mask of the recorded pixels."""
    case = next(case for case in RECORDS['cases'] if case['name'] == sample['image'])
    width, height = case['size']
    answers = [played['answer'] for played in case['playback']]
    if sample['answer'] in answers:
        with np.load(ROOT / f'{sample["image"]}.npz') as content:
            packed = content[f'union_{answers.index(sample["answer"])}']
        return np.unpackbits(packed, count=height * width).reshape(height, width).astype(np.bool_)
    mask = np.zeros(height * width, np.bool_)
    if record and record.get('bboxes'):
        truth = true_mask(sample).ravel()
        mask[np.flatnonzero(truth)[: record['intersection']]] = True
        mask[np.flatnonzero(~truth)[: record['union'] - int(truth.sum())]] = True
    return mask.reshape(height, width)


def true_mask(sample):
    truth = np.zeros(sample['gt_shape'], np.bool_)
    top, left, bottom, right = sample['gt_rect_yxyx']
    truth[top:bottom, left:right] = True
    return truth


def recorded_lines():
    records = {record['image_id']: record for record in PLAYBACK['records']}
    for sample in PLAYBACK['samples']:
        case = next(case for case in RECORDS['cases'] if case['name'] == sample['image'])
        truth = reasonaff_truth(true_mask(sample), sample['id'], case['size'])
        readable = '<answer>[{' in sample['answer'] and sample['answer'].endswith(']</answer>')
        mask = recorded_mask(sample, records.get(sample['id']))
        if readable or sample['answer'] == '<answer>[]</answer>':
            yield line(truth, mask, sample['answer'], size=case['size'])
        else:
            yield line(truth, None, sample['answer'], size=case['size'])


def test_the_recorded_evaluation_of_reasonaff_is_reproduced(tmp_path):
    lines = list(recorded_lines())
    score = score_reasonaff(lines, OFFICIAL)['all']
    for name, recorded in (('giou', 'gIoU'), ('ciou', 'cIoU'), ('p50', 'P50'), ('p50_95', 'P50_95')):
        assert score[f'official_{name}'] == pytest.approx(PLAYBACK[recorded], abs=1e-6)
    assert (score['official_left_out'], score['official_unreadable']) == (len(PLAYBACK['skipped_ids']), 2)
    (path,) = write_reasonaff_file(lines, OFFICIAL, tmp_path / 'official')
    written = json.loads(path.read_text())
    # The recorder's truth box is the same for every record, and so is ours.
    assert written == PLAYBACK['records']
    # Two truths are empty and one is of another size than its image; the other seven questions are all scored.
    assert (score['questions'], score['without_truth'], score['unreadable']) == (10, 3, 2)
    ious = [record['intersection'] / record['union'] for record in PLAYBACK['records'] if record['image_id'] != 'p6']
    assert score['giou'] == pytest.approx(np.mean(ious), abs=1e-6)


def test_what_each_answer_to_reasonaff_counts():
    truth = reasonaff_truth(half(LEFT))
    lines = [
        line(truth, half(LEFT)),
        line(truth, WHOLE),
        line(truth, np.zeros_like(WHOLE), '<answer>[]</answer>'),
        line(truth, None, 'nothing to read'),
        line(truth, None, '<answer>[{</answer>'),
        line(truth, None, TWISTED),
        line(truth, None, None, outcome='NO_IMAGE'),
    ]
    score = score_reasonaff(lines, OFFICIAL)['all']
    assert (score['questions'], score['unreadable'], score['without_truth']) == (7, 3, 0)
    # Every failure is a zero here; officially two of them are in no sum.
    assert score['giou'] == pytest.approx(1.5 / 7)
    assert score['ciou'] == pytest.approx(2 / (1 + 2 + 1 + 1 + 1 + 1 + 1))
    assert (score['p50'], score['p50_95']) == (pytest.approx(1 / 7), pytest.approx(1 / 7))
    assert (score['official_left_out'], score['official_unreadable']) == (2, 2)
    assert score['official_giou'] == pytest.approx(1.5 / 5)
    # A mask stored as 0 and 255 weighs 255 times as much in the official penalty.
    heavy = reasonaff_truth(half(LEFT, np.uint8(255)))
    official = score_reasonaff([lines[0], line(heavy, None, '<answer>[{</answer>')], OFFICIAL)['all']
    assert official['official_ciou'] == pytest.approx(1 / 256)
    assert official['ciou'] == pytest.approx(0.5)


def test_other_models_are_not_read_as_affordance_r1():
    truth = reasonaff_truth(half(LEFT))
    score = score_reasonaff([line(truth, half(LEFT), '[(0.1, 0.2)]')], OTHER)['all']
    assert score['official_giou'] == score['giou'] == 1
    score = score_umd([line(umd_truth(), half(RIGHT), '[(0.1, 0.2)]')], OTHER)['all']
    assert score['official_giou'] == score['giou'] == 1


def test_without_true_boxes_the_official_program_stops():
    score = score_reasonaff([line(reasonaff_truth(half(), boxes=None), half())], OFFICIAL)['all']
    assert score['official_stops_with'] == 'ValueError'
    assert 'official_giou' not in score
    assert score['giou'] == 1


def umd_truth(official=RIGHT, action='cut'):
    return {
        'id': 'knife_01/knife_01_00000001', 'tool': 'knife', 'action': action, 'question': '?',
        'mask': encode_mask(half(RIGHT)), 'official_mask': encode_mask(half(official)),
    }  # fmt: skip


def test_the_zero_shot_program_stops_where_nothing_is_answered(tmp_path):
    lines = [
        line(umd_truth(), half(RIGHT)),
        line(umd_truth(LEFT), half(RIGHT)),
        line(umd_truth(), np.zeros_like(WHOLE), '<answer>[]</answer>'),
        line(umd_truth(), None, '<answer>[{</answer>'),
        line(umd_truth(), None, 'no answer'),
        line(umd_truth(), None, TWISTED),
        line(umd_truth(action='grasp'), half(RIGHT)),
    ]
    scores = score_umd(lines, OFFICIAL)
    assert list(scores) == ['all', 'grasp', 'cut']
    score = scores['all']
    assert score['giou'] == pytest.approx(3 / 7)
    assert (score['official_stops_with'], score['official_stops_at']) == ('UnboundLocalError', 3)
    assert (score['unreadable'], score['official_unreadable'], score['official_left_out']) == (3, 2, 4)
    assert score['official_giou'] == pytest.approx(2 / 3)
    assert 'official_stops_with' not in scores['grasp']
    (path,) = UMD.files(lines, OFFICIAL, tmp_path)
    assert json.loads(path.read_text())['giou'] == pytest.approx(2 / 3)
    rows = mask_rows(scores, UMD.published)
    assert (rows[0].task, rows[0].name, rows[0].ours) == ('all', 'giou', pytest.approx(300 / 7))
    assert rows[0].published == {'Affordance-R1': 49.85}
    assert (rows[0].left_out, rows[4].published) == (4, {})


def agd_truth(tmp_path, array, name='truth.png'):
    path = tmp_path / name
    path.write_bytes(png(array))
    return {'id': name, 'action': 'hold', 'object': 'cup', 'question': '?', 'map': {'attachment': str(path)}}


def test_the_recorded_run_over_agd20k_is_reproduced(tmp_path):
    with np.load(ROOT / 'metric_cases.npz') as content:
        arrays = dict(content)
    lines = [
        line(agd_truth(tmp_path, arrays[f'agd_gt_{index}'], f'{index}.png'), arrays[f'agd_pred_{index}'])
        for index, sample in enumerate(CASES['agd_run']['samples'])
        if sample['has_gt']
    ]
    for answer in lines:
        answer['things'] = 1
    score = score_agd20k(lines, OFFICIAL)['all']
    for name, recorded in (('giou', 'giou'), ('ciou', 'ciou'), ('p50', 'p_at_50'), ('p50_95', 'p_at_50_95')):
        assert score[f'official_{name}'] == pytest.approx(CASES['agd_run']['stats'][recorded], abs=1e-6)


def test_maps_of_agd20k_right_and_officially(tmp_path):
    heat = half(LEFT, np.uint8(255))
    truth = agd_truth(tmp_path, heat)
    lines = [line(truth, half(LEFT)), line(truth, half(RIGHT)), line(truth, None, 'nothing')]
    score = score_agd20k(lines, OFFICIAL)['all']
    assert (score['sim'], score['official_sim']) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert score['nss'] == pytest.approx(0)
    # One perfect, one that misses everything, one that says nothing (log 2): the epsilon rules the second.
    assert score['kld'] == pytest.approx((0 + np.log(2 / half().size / 1e-12) + np.log(2)) / 3, rel=1e-6)
    assert score['official_kld'] == pytest.approx(np.log(2 / half().size / 1e-12) / 2, rel=1e-6)
    colour = agd_truth(tmp_path, np.repeat(heat[..., None], 3, 2), 'colour.png')
    coloured = score_agd20k([line(colour, half(LEFT))], OFFICIAL)['all']
    assert (coloured['giou'], coloured['official_stops_with']) == (1, 'ValueError')
    small = score_agd20k([line(agd_truth(tmp_path, heat[:4, :4], 'small.png'), half(LEFT))], OFFICIAL)['all']
    assert (small['without_truth'], small['official_stops_with']) == (1, 'ValueError')
    cold = score_agd20k([line(agd_truth(tmp_path, heat // 3, 'cold.png'), np.zeros_like(WHOLE))], OTHER)['all']
    assert cold['without_truth'] == 1
