# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers in every dialect: golden texts, numbers that must not be believed, and whatever else a model may write."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.parts.answer_dialects import COORDINATES, DIALECTS, FORMS
from affordance_ros.models.parts.dialect_answers import read_places, split_thought, unit_of

SIZE, SEEN = (640, 480), (644, 476)


def read(name, text, size=SIZE, seen=SEEN):
    dialect = DIALECTS[name]
    return read_places(text, dialect.form, unit_of(dialect.coordinates, size, seen))


GOLDEN = [
    # Qwen2.5-VL: pixels of the resized image in a fenced JSON list
    ('qwen2_5_vl', '```json\n[\n\t{"point_2d": [322, 238], "label": "mug handle"}\n]\n```',
     [[320, 240]], [], ('mug handle',)),
    ('qwen2_5_vl', '```json\n[{"bbox_2d": [0, 0, 644, 476], "label": "table"}, {"point_2d": [161, 119]}]\n```',
     [[160, 120]], [[0, 0, 639, 479]], ('',)),
    ('qwen2_5_vl', 'Here it is: {"bbox_2d": [161, 119, 322, 238], "label": "cup"}', [], [[160, 120, 320, 240]], ()),
    # Qwen3-VL: thousandths of each side
    ('qwen3_vl', '[{"point_2d": [500, 250], "label": "handle"}, {"point_2d": [1000, 0], "label": "corner"}]',
     [[320, 120], [639, 0]], [], ('handle', 'corner')),
    ('qwen3_vl', '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]\n```', [], [[64, 96, 192, 192]], ()),
    # Embodied-R1: thought, answer and point tags
    ('embodied_r1', '<think>The block is red.</think><answer><point>[[322, 238], [161, 119]]</point></answer>',
     [[320, 240], [160, 120]], [], ('', '')),
    ('embodied_r1', '<think>x</think>\n<answer><point>[[322.0, 238.0]]</point></answer>.', [[320, 240]], [], ('',)),
    # RoboBrain 2: tuples for points, a bare list for a box, lists for a trace
    ('robobrain2', '<think>It is left.</think>\n<answer>[(322, 238), (161, 119)]</answer>',
     [[320, 240], [160, 120]], [], ('', '')),
    ('robobrain2', '<think></think><answer>[161, 119, 322, 238]</answer>', [], [[160, 120, 320, 240]], ()),
    ('robobrain2', '<think>a</think>[[322, 238], [161, 119]]', [[320, 240], [160, 120]], [], ('', '')),
    # a thinking checkpoint whose prompt opened the thought: places in it are none of the answer
    ('qwen3_vl', 'At {"point_2d": [9, 9]}?</think>\n\n[{"point_2d": [500, 250], "label": "a"}]',
     [[320, 120]], [], ('a',)),
    # the 3B of the family answers at once
    ('robobrain2_3b', '[(322, 238)]', [[320, 240]], [], ('',)),
    ('robobrain2_3b', '[161, 119, 322, 238]', [], [[160, 120, 320, 240]], ()),
    # shares of the sides
    ('unit_points', '[(0.5, 0.25), (1.0, 0.0)]', [[320, 120], [639, 0]], [], ('', '')),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'text', 'points', 'boxes', 'labels'), GOLDEN)
def test_golden_answers(name, text, points, boxes, labels):
    places = read(name, text)
    np.testing.assert_allclose(places.points.points, np.reshape(points, (-1, 2)), atol=1e-9)
    np.testing.assert_allclose(places.boxes.boxes, np.reshape(boxes, (-1, 4)), atol=1e-9)
    assert places.points.labels == labels
    assert places.repairs == ()


@pytest.mark.parametrize(
    ('name', 'text', 'count', 'repair'),
    [
        ('qwen2_5_vl', '[{"point_2d": [10, 20]}, {"point_2d": [30, 4', 1, 'unfinished last object dropped'),
        ('qwen2_5_vl', '[{"point_2d": [10, 20]}, {"point_2d": [0.5, 0.2]}]', 1, 'place in shares of the image dropped'),
        ('qwen2_5_vl', '[{"point_2d": [10, 20]}, {"point_2d": [900, 25]}]', 1, 'place outside the image dropped'),
        ('qwen2_5_vl', '[{"point_2d": [10, 20]}, {"label": "cup"}]', 1, 'object without point_2d or bbox_2d ignored'),
        ('qwen2_5_vl', '[{"point_2d": [10, 20]}, {"point_2d": ["1", 2]}]', 1,
         'place with other than plain numbers dropped'),
        ('qwen2_5_vl', '[{"point_2d": [10, 20]},, {"point_2d": [1 2]}]', 1, 'broken object dropped'),
        ('qwen3_vl', '[{"bbox_2d": [300, 400, 100, 200]}]', 1, 'corners put in order'),
        ('qwen3_vl', '[{"point_2d": [5, 5]}, {"bbox_2d": [7, 7, 7, 9]}]', 1, 'box without area dropped'),
        ('embodied_r1', '<answer><point>[[10, 20], [30, 4', 1, 'unfinished last place dropped'),
        ('embodied_r1', '<answer>[[10, 20]]</answer>', 1, 'point tags missing'),
        ('robobrain2', '[(10, 20), (1, 2, 3)]', 1, '3 numbers in brackets ignored'),
        ('robobrain2', '[(10, 20), (30, 4', 1, 'unfinished last place dropped'),
        ('unit_points', '[(0.5, 0.25), (320, 240)]', 1, 'place outside the image dropped'),
        ('unit_points', '[(0.5, 0.25), (1.015, 0.2)]', 2, 'place pulled to the border'),
    ],
)  # fmt: skip
def test_what_is_left_out_is_told(name, text, count, repair):
    places = read(name, text)
    assert len(places.points) + len(places.boxes) == count
    assert repair in places.repairs


@pytest.mark.parametrize('name', DIALECTS)
def test_an_empty_list_is_an_empty_result(name):
    for text in ('[]', '<think>There is none.</think><answer>[ ]</answer>', '```json\n[]\n```'):
        places = read(name, text)
        assert (len(places.points), len(places.boxes), places.repairs) == (0, 0, ())


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('qwen2_5_vl', ''), ('qwen2_5_vl', 'I see no cup.'), ('qwen2_5_vl', '{"point_2d": [0.5, 0.5]}'),
        ('qwen2_5_vl', '[{"point_2d": [1e400, 3]}]'), ('qwen2_5_vl', '[{"point_2d": [NaN, 3]}]'),
        ('qwen3_vl', '[{"point_2d": [2000, 3]}]'), ('embodied_r1', '<think>still thinking about [(10, 20)]'),
        ('robobrain2', '<think>It is at (10, 20)'), ('unit_points', '[(10, 20)]'), ('robobrain2', '[(10, 2'),
        ('qwen2_5_vl', '[{"point_2d": [' + '9' * 5000 + ', 3]}]'), ('qwen2_5_vl', '[' * 10000),
    ],
)  # fmt: skip
def test_text_without_a_usable_place_is_no_answer(name, text):
    with pytest.raises(UnparsableAnswer) as caught:
        read(name, text)
    assert caught.value.text == text


@pytest.mark.parametrize(
    ('text', 'thought', 'answer'),
    [
        ('<think> a </think><answer> [1] </answer>', 'a', '[1]'),
        ('<think>a</think> [1]', 'a', '[1]'),
        ('<think>a<answer>[1]', 'a', '[1]'),
        ('<think>a', 'a', ''),
        ('[1]', '', '[1]'),
        ('a [2]</think>\n[1]', 'a [2]', '[1]'),
        ('a</think><answer>[1]</answer>', 'a', '[1]'),
        ('<THINK>a</THINK><ANSWER>b</ANSWER>', 'a', 'b'),
    ],
)
def test_thought_and_answer_are_kept_apart(text, thought, answer):
    assert split_thought(text) == (thought, answer)


def test_pixels_of_the_original_image_are_taken_as_they_are():
    places = read_places('[(100, 200)]', 'list', unit_of('original', SIZE, SEEN))
    assert places.points.points.tolist() == [[100, 200]]


FRAGMENTS = st.sampled_from([
    '<think>', '</think>', '<answer>', '</answer>', '<point>', '</point>', '[', ']', '(', ')', '{', '}', ', ', ':', ' ',
    '"point_2d"', '"bbox_2d"', '"label"', '"cup"', '```json\n', '```', '\n', '12', '600', '0.5', '1e3', '-3', 'NaN',
    '1e999', '[10, 20]', '(30, 40)', '[1, 2, 3, 4]', '{"point_2d": [5, 6], "label": "x"}', 'null', 'é', '\x00',
])  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(FRAGMENTS, max_size=24).map(''.join))
SIZES = st.tuples(st.integers(28, 4000), st.integers(28, 4000))


@pytest.mark.parametrize('form', FORMS)
@settings(max_examples=500, deadline=None)
@given(TEXTS, st.sampled_from(COORDINATES), SIZES)
def test_any_text_gives_places_inside_the_image_or_no_answer(form, text, coordinates, size):
    try:
        places = read_places(text, form, unit_of(coordinates, size, SEEN))
    except UnparsableAnswer as error:
        unread = error.text
    else:
        unread = None
    if unread is not None:
        assert unread == text
        return
    for corners in (places.points.points, np.reshape(places.boxes.boxes, (-1, 2))):
        assert (corners >= 0).all()
        assert (corners <= np.array(size) - 1).all()


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=8),
    st.sampled_from(sorted(DIALECTS)),
    st.integers(0, 60),
)
def test_a_cut_answer_never_gives_a_number_that_was_not_written(points, name, cut):
    """Every place of a text that was cut anywhere is one of the whole text, in its order."""
    dialect = DIALECTS[name]
    size = (1000, 1000)
    shown = [(x / 1000, y / 1000) for x, y in points] if dialect.coordinates == 'unit' else points
    text = {
        'json': json.dumps([{'point_2d': list(point), 'label': 'cup'} for point in shown]),
        'point_tag': f'<answer><point>{[list(point) for point in shown]}</point></answer>',
        'list': str([tuple(point) for point in shown]),
    }[dialect.form]
    unit = unit_of(dialect.coordinates, size, size)
    whole = read_places(text, dialect.form, unit).points.points
    np.testing.assert_allclose(whole, points, atol=1e-6)
    try:
        part = read_places(text[: max(len(text) - cut, 0)], dialect.form, unit).points.points
    except UnparsableAnswer:
        return
    np.testing.assert_allclose(part, whole[: len(part)])


WRAPPERS = (
    '{}',
    '```json\n{}\n```',
    'Here you are: {} I hope it helps.',
    '<think>at 7, 8?</think>\n<answer>{}</answer>',
)
BOXES = st.tuples(st.integers(2, 500), st.integers(2, 500), st.integers(50, 490), st.integers(50, 490), st.booleans())


@settings(max_examples=500, deadline=None)
@given(
    BOXES,
    st.sampled_from([name for name, dialect in DIALECTS.items() if dialect.form != 'point_tag']),
    st.sampled_from(WRAPPERS),
    SIZES,
)
def test_a_box_is_read_as_it_was_written_whatever_stands_around_it(box, name, wrapper, size):
    """In every unit, in prose, fences and tags; corners in the wrong order are told."""
    x, y, width, height, swapped = box
    dialect, thousandths = DIALECTS[name], [x, y, x + width, y + height]
    written = thousandths[2:] + thousandths[:2] if swapped else thousandths
    if dialect.coordinates == 'unit':
        written = [value / 1000 for value in written]
    text = json.dumps([{'bbox_2d': written, 'label': 'cup'}]) if dialect.form == 'json' else str(written)
    places = read_places(wrapper.replace('{}', text), dialect.form, unit_of(dialect.coordinates, size, (1000, 1000)))
    np.testing.assert_allclose(places.boxes.boxes, [np.array(thousandths) * (size * 2) / 1000], atol=1e-6)
    assert places.repairs == (('corners put in order',) if swapped else ())
    assert len(places.points) == 0
