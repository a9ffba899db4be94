# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds, comparisons and labels read from files, and the refusals of each."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.gates import compare, judge, read_gates
from affordance_ros.evaluation.labels import decode_mask, encode_mask, read_labels
from affordance_ros.evaluation.prompts import read_prompts


def test_gates_from_yaml(tmp_path):
    file = tmp_path / 'gates.yaml'
    file.write_text('answered_ratio: {min: 0.5}\nseconds.total.p90: {max: 2, min: 0}\n')
    verdicts = judge(read_gates(file), {'answered_ratio': 0.4, 'seconds': {'total': {'p90': 1.0}}})
    assert [item.passed for item in verdicts] == [False, True]
    assert verdicts[0].sentence == 'answered_ratio is 0.4, not at least 0.5'


def test_compare_knows_the_figures_of_benchmarks():
    first = {'scores': {'all': {'of_all': {'kld': 2.0, 'sim': 0.2, 'nss': 1.0, 'sim_part': 0.3, 'hands': 4}}}}
    second = {'scores': {'all': {'of_all': {'kld': 1.0, 'sim': 0.4, 'nss': 0.5, 'sim_part': 0.6, 'hands': 8}}}}
    rest = {'mean_accuracy': 0.5, 'mean_bleu': 0.1, 'p50': 0.2}, {'mean_accuracy': 0.9, 'mean_bleu': 0.2, 'p50': 0.4}
    first['scores']['other'], second['scores']['other'] = rest
    first['throughput'], second['throughput'] = (
        {'per_second': 1.0, 'seconds': 10.0},
        {'per_second': 2.0, 'seconds': 5.0},
    )
    better = {change.name.rpartition('.')[2]: change.better for change in compare(first, second, 0.05)}
    assert better.pop('hands') is None
    assert better.pop('nss') is False
    assert set(better.values()) == {True}


@pytest.mark.parametrize('text', ['', '- 3', 'a: 3', 'a: {least: 3}', 'a: {min: x}', 'a: {', 'a: {}'])
def test_bad_gates_are_refused(tmp_path, text):
    (tmp_path / 'gates.yaml').write_text(text)
    with pytest.raises(AffordanceError) as caught:
        read_gates(tmp_path / 'gates.yaml')
    assert caught.value.code == Code.BAD_INPUT


def test_compare_knows_which_way_is_better():
    first = {'answered_ratio': 0.8, 'seconds': {'total': {'p50': 1.0}}, 'scores': {'box_iou': {'mean': 0.5}}, 'x': None}
    second = {'answered_ratio': 0.6, 'seconds': {'total': {'p50': 0.5}}, 'scores': {'box_iou': {'mean': 0.51}}, 'x': 1}
    better = {change.name: change.better for change in compare(first, second, 0.05)}
    assert better == {'answered_ratio': False, 'seconds.total.p50': True, 'scores.box_iou.mean': None, 'x': None}
    first = {'questions': 3, 'scores': {'heatmap_kld': {'mean': 2.0, 'count': 3}, 'heatmap_sim': {'mean': 0.2}}}
    second = {'questions': 6, 'scores': {'heatmap_kld': {'mean': 1.0, 'count': 6}, 'heatmap_sim': {'mean': 0.1}}}
    first['scores']['calibration'] = {'confidence': {'ece': 0.1}}
    second['scores']['calibration'] = {'confidence': {'ece': 0.3}}
    better = {change.name: change.better for change in compare(first, second, 0.05)}
    assert better == {
        'questions': None,
        'scores.heatmap_kld.mean': True,
        'scores.heatmap_kld.count': None,
        'scores.heatmap_sim.mean': False,
        'scores.calibration.confidence.ece': False,
    }


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans()))
def test_masks_survive_their_code(mask):
    code = encode_mask(mask)
    assert code['size'] == list(mask.shape)
    np.testing.assert_array_equal(decode_mask(json.loads(json.dumps(code))), mask)


def test_the_most_special_label_counts(tmp_path):
    entries = [
        {'points_uv_px': [[1, 1]]},
        {'stamp_ns': 5, 'points_uv_px': [[2, 2]]},
        {'prompt': 'a', 'points_uv_px': [[3, 3]]},
        {'stamp_ns': 5, 'prompt': 'a', 'points_uv_px': [[4, 4]], 'present': False},
    ]
    (tmp_path / 'labels.json').write_text(json.dumps({'labels': entries}))
    labels = read_labels(tmp_path / 'labels.json')
    found = [labels.of(*key).points[0, 0] for key in ((6, 'b'), (5, 'b'), (6, 'a'), (5, 'a'))]
    assert found == [1, 2, 3, 4]
    assert not labels.of(5, 'a').present


@pytest.mark.parametrize(
    'text',
    ['', '[]', '{"labels": 3}', '{"labels": [{"point": 1}]}', '{"labels": [{"points_uv_px": [[1, 2, 3]]}]}',
     '{"labels": [{"points_m": [["a", 1, 2]]}]}', '{"labels": [{"masks": [{"size": [2, 2], "counts": [3]}]}]}',
     '{"labels": [{"heatmap": "absent.png"}]}'],
)  # fmt: skip
def test_bad_labels_are_refused(tmp_path, text):
    (tmp_path / 'labels.json').write_text(text)
    with pytest.raises(AffordanceError, match='labels') as caught:
        read_labels(tmp_path / 'labels.json')
    assert caught.value.code == Code.BAD_INPUT


def test_prompts(tmp_path):
    assert read_prompts('grasp the mug')[0].text == 'grasp the mug'
    (tmp_path / 'p.txt').write_text('# two\ngrasp the mug\n\ngrasp the pan\n')
    assert [query.sentence for query in read_prompts(str(tmp_path / 'p.txt'))] == ['grasp the mug', 'grasp the pan']
    entries = '- grasp the mug\n- {object: pan, action: lift}\n- {text: which, options: [a, b]}\n'
    (tmp_path / 'p.yaml').write_text(entries)
    queries = read_prompts(str(tmp_path / 'p.yaml'))
    assert [query.sentence for query in queries] == ['grasp the mug', 'lift the pan', 'which']
    assert queries[2].options == ('a', 'b')


@pytest.mark.parametrize('text', ['', 'a: b', '- {what: 3}', '- {foo: bar}', '- {text: a, options: b}', '- ""', '- [1'])
def test_bad_prompts_are_refused(tmp_path, text):
    (tmp_path / 'p.yaml').write_text(text)
    with pytest.raises(AffordanceError) as caught:
        read_prompts(str(tmp_path / 'p.yaml'))
    assert caught.value.code == Code.BAD_INPUT
