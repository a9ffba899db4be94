# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tolerant point parser: known answers, and that nothing at all can break it."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from affordance_ros.errors import Code, UnparsableAnswer
from affordance_ros.models.parts.point_answers import parse_points


@pytest.mark.parametrize(
    ('text', 'points'),
    [
        ('[(0.5, 0.25)]', [[320, 120]]),
        ('[(0.461, 0.527), (0.1, 0.2)]', [[295.04, 252.96], [64, 96]]),
        ('( 0.5 , .5 )', [[320, 240]]),
        ('(5e-1, 0.5)', [[320, 240]]),
        ('[[0.5, 0.5], [0.25, 0.25]]', [[320, 240], [160, 120]]),
        ('[0.5, 0.5]', [[320, 240]]),
        ('(1.0, 0.5)', [[639, 240]]),
        ('(320, 240)', [[320, 240]]),
        ('[(0.5, 0.5), (0.5, 0.5)]', [[320, 240]]),
        ('[(0.5, 0.5), (0.7, 0.', [[320, 240]]),
        ('[(0.5, 0.5), (1, 2, 3)]', [[320, 240]]),
        ('[(0.5, 0.5), (nan, 0.5), (inf, 1)]', [[320, 240]]),
        ('(1.01, -0.01)', [[639, 0]]),
        ('The place is (0.5, 0.5) (see the table).', [[320, 240]]),
        ('[(0.5, 0.5,)]', [[320, 240]]),
        ('[(0.5, 0.5), (0.4, 240.0), (5000, 3), (-0.4, 0.5)]', [[320, 240]]),
        ('[]', []),
        ('Nothing fits: [ ].', []),
    ],
)
def test_known_answers(text, points):
    answer = parse_points(text, 640, 480)
    np.testing.assert_allclose(answer.keypoints.points, np.reshape(points, (-1, 2)), atol=1e-9)
    assert len(answer.boxes) == 0


@pytest.mark.parametrize(
    ('text', 'boxes'),
    [
        ('(0.1, 0.2, 0.3, 0.4)', [[64, 96, 192, 192]]),
        ('[10, 20, 30, 40]', [[10, 20, 30, 40]]),
        ('(0, 0, 1, 1)', [[0, 0, 639, 479]]),
        ('[(0.5, 0.5, 0.9, 0.9), (0.6, 0.6, 0.2, 0.2)]', [[320, 240, 576, 432]]),
    ],
)
def test_boxes(text, boxes):
    np.testing.assert_allclose(parse_points(text, 640, 480).boxes.boxes, boxes, atol=1e-9)


@pytest.mark.parametrize(
    'text', ['', 'no free space', '(0.5', '(nan, nan)', '[(7.5, 9.25)]', '(0.6, 0.6, 0.2, 0.2)', '[(', '(1, 2, 3)']
)
def test_unreadable_answers_carry_their_text(text):
    with pytest.raises(UnparsableAnswer) as caught:
        parse_points(text, 640, 480)
    assert caught.value.code == Code.UNPARSABLE_ANSWER
    assert caught.value.text == text


def test_repairs_are_told():
    repairs = parse_points('[(0.5, 0.5), (0.5, 0.5), (9.5, 0.2), (1, 2, 3), (0.1, ', 640, 480).repairs
    assert len(repairs) == 4
    assert parse_points('[(0.5, 0.5)]', 640, 480).repairs == ()


_NUMBERS = st.one_of(
    st.floats(-2, 2).map(lambda value: f'{value:.3f}'),
    st.floats(allow_nan=True).map(str), st.integers(-10**30, 10**30).map(str),
    st.sampled_from(['', ' ', '.5', '1.', '1e-1', '1e999', '-inf', 'nan', '\u0661', '0x1', '+0.2']),
)  # fmt: skip
_TUPLES = st.lists(_NUMBERS, max_size=6).flatmap(
    lambda words: st.sampled_from(['()', '[]', '(', '[', '(]', '']).map(
        lambda pair: pair[:1] + ', '.join(words) + pair[1:]
    )
)
_ANSWERS = st.one_of(
    st.text(max_size=80), st.lists(_TUPLES, max_size=8).map(lambda parts: '[' + ', '.join(parts) + ']')
)


@settings(max_examples=800, deadline=None)
@given(text=_ANSWERS, width=st.integers(1, 4000), height=st.integers(1, 4000))
@example(text='(' * 5000, width=1, height=1)
@example(text='[(' + '9' * 6000 + ', 1)]', width=640, height=480)
def test_every_text_is_read_or_refused(text, width, height):
    try:
        answer = parse_points(text, width, height)
    except UnparsableAnswer:
        return
    points, boxes = answer.keypoints.points, answer.boxes.boxes
    assert ((points >= 0) & (points <= (width - 1, height - 1))).all()
    assert ((boxes >= 0) & (boxes <= (width - 1, height - 1) * 2)).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert len(points) + len(boxes) or re.search(r'\[\s*\]|\(\s*\)', text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=9, unique=True))
def test_what_the_model_was_trained_to_write_is_read_back_exactly(thousandths):
    text = '[' + ', '.join(f'({x / 1000:.3f}, {y / 1000:.3f})' for x, y in thousandths) + ']'
    answer = parse_points(text, 1000, 1000)
    assert np.rint(answer.keypoints.points).astype(int).tolist() == [list(pair) for pair in thousandths]
    assert answer.repairs == ()
