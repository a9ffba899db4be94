# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of RoboInter: the recorded cases, and that no text whatever gives a crash or a silently wrong number."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.robointer_answers import (
    BY_NAME,
    TASKS,
    Coordinates,
    read_choice,
    read_decision,
    read_geometry,
    read_text,
)

CASES = json.loads(
    (Path(__file__).parents[1] / 'data' / 'parity' / 'robointer' / 'expected' / 'parse_cases.json').read_text()
)
# Where the contract leaves it open and ours reads more, or less, than the recorded reading.
OURS = {'x1=0.1 y1=0.2 x2=0.3 y2=0.4', '{"bbox_2d": [10, 20, 110, 220]}', 'A/B/C/D', 'Yes and no',
        'A robot arm is visible, so B'}  # fmt: skip


def smart_size(width, height):
    return round(width / 28) * 28, round(height / 28) * 28


def coordinates(variant, width, height):
    if variant == 'llava':
        return Coordinates((width, height), (width, height), shares=True)
    new_width, new_height = smart_size(width, height)
    return Coordinates((width / new_width, height / new_height), (width, height), shares=False)


def read(text, task, variant, width, height):
    return read_geometry(text, task, coordinates(variant, width, height))


@pytest.mark.parametrize(
    'case', CASES['geometry'], ids=lambda case: f'{case["task"]}-{case["variant"]}-{case["text"][:30]}'
)
def test_recorded_geometry(case):
    task, wanted = BY_NAME[case['task']], case['strict']
    if case['text'] in OURS:
        assert not case['strict_binding']
        return
    if wanted['status'] == 'failed':
        with pytest.raises(UnparsableAnswer) as caught:
            read(case['text'], task, case['variant'], case['w'], case['h'])
        assert caught.value.text == case['text']
        return
    answer = read(case['text'], task, case['variant'], case['w'], case['h'])
    np.testing.assert_allclose(answer.points, wanted['value'], atol=1e-4)
    status = 'out_of_range' if answer.outside else 'repaired' if answer.repairs else 'ok'
    assert status == wanted['status']


READERS = {'choice': read_choice, 'decide': read_decision, 'plan': read_text}


@pytest.mark.parametrize('case', CASES['language'], ids=lambda case: f'{case["task"]}-{case["text"][:30]}')
def test_recorded_language(case):
    reader = READERS[case['task']]
    if case['text'] in OURS:
        assert not case['strict_binding']
        return
    if case['strict']['status'] == 'failed':
        with pytest.raises(UnparsableAnswer):
            reader(case['text'])
    else:
        assert reader(case['text']) == case['strict']['value']


def test_doubtful_words_are_no_answer():
    for text in ('A/B/C/D', 'A | B'):
        with pytest.raises(UnparsableAnswer):
            read_choice(text)
    assert read_choice('A robot arm is visible, so B') == 'B'
    with pytest.raises(UnparsableAnswer):
        read_decision('Yes and no')


def test_a_cut_answer_loses_the_number_that_may_lack_digits():
    box = BY_NAME['current_box']
    text = '0.1, 0.2, 0.3, 0.4'
    assert len(read(text, box, 'llava', 100, 100).points) == 2
    with pytest.raises(UnparsableAnswer):
        read_geometry(text, box, coordinates('llava', 100, 100), whole=False)
    with pytest.raises(UnparsableAnswer):
        read('{"current_bbox": [[0.1, 0.2], [0.3, 0.4', box, 'llava', 640, 480)
    trace = read('{"future_traj": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6', BY_NAME['trace'], 'llava', 100, 100)
    np.testing.assert_allclose(trace.points, [[10, 20], [30, 40]])


NUMBERS = (
    st.floats(allow_nan=True, allow_infinity=True).map(str) | st.integers().map(str) | st.from_regex(r'0\.\d{1,3}')
)
PIECES = st.sampled_from(
    ['{', '}', '[', ']', ',', ':', '"', ' ', '\n', *(f'"{task.key}"' for task in TASKS if task.key)]
)
TEXTS = st.text() | st.lists(NUMBERS | PIECES, max_size=40).map(''.join)


@settings(max_examples=1000)
@given(TEXTS, st.sampled_from([task for task in TASKS if task.key]), st.sampled_from(['llava', 'qwen']))
def test_any_text_is_read_or_refused(text, task, variant):
    answer = refusal = None
    try:
        answer = read(text, task, variant, 640, 480)
    except UnparsableAnswer as error:
        refusal = error.text
    if answer is None:
        assert refusal == text
        return
    assert np.isfinite(answer.points).all()
    assert ((answer.points >= 0) & (answer.points <= (640, 480))).all()
    assert len(answer.points) == 2 or task.kind == 'trace'
    assert task.kind != 'box' or (answer.points[1] >= answer.points[0]).all()


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=20))
def test_a_written_trace_comes_back(points):
    text = json.dumps({'future_traj': [[u / 100, v / 100] for u, v in points]})
    answer = read(text, BY_NAME['trace'], 'llava', 100, 100)
    np.testing.assert_allclose(answer.points, points, atol=1e-9)
    assert not answer.repairs


@settings(max_examples=500)
@given(st.text())
def test_any_words_are_read_or_refused(text):
    for reader, kind in ((read_choice, str), (read_decision, bool), (read_text, str)):
        result = None
        try:
            result = reader(text)
        except UnparsableAnswer as error:
            result = kind(error.text)
        assert isinstance(result, kind)
