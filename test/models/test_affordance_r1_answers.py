# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What robots make of an Affordance-R1 answer: real malformed ones, repairs that are named, and any other text."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.affordance_r1_answers import MOST_ITEMS, Status, read_robust, read_strict
from affordance_ros.models.affordance_r1_official import official_parse
from affordance_ros.models.affordance_r1_prompts import PROFILES, SIDE
from affordance_ros.results import Query

TEXTS = json.loads(
    (Path(__file__).parents[1] / 'data' / 'parity' / 'affordance_r1' / 'expected' / 'parse_cases.json').read_text()
)
GOOD = '[{"bbox_2d": [100,100,300,300], "point_2d": [200,200], "affordance": "hold"}]'


def answer(inside, *, before='<think> a. </think> <rethink> b. </rethink> '):
    return f'{before}<answer>{inside}</answer>'


def boxes(text, **options):
    return read_robust(text, SIDE, SIDE, **options).boxes.boxes.tolist()


def test_a_well_formed_answer_is_taken_as_it_stands():
    read = read_robust(answer(GOOD), 1280, 720)
    assert read.status is Status.OK
    assert read.repairs == ()
    assert read.boxes.boxes.tolist() == [[152, 86, 457, 257]]
    assert read.keypoints.points.tolist() == [[305, 171]]
    assert read.boxes.labels == read.keypoints.labels == ('hold',)
    assert read.reasoning == 'a.\n\nb.'
    assert read.prompts.tolist() == [[152, 86, 457, 257, 305, 171]]


# As the real model wrote them, from public logs.
WILD = [
    ('answer>[{"bbox_2d": [180,549,197,576], "point_2d": [188,560], "affretype: open"}]</answer>',
     [[180, 549, 197, 576]], [[188, 560]], ('answer tag mended', 'broken JSON mended')),
    ('<answer>[{"bbox_2d": [ [3,3,689,556], "point_2d": [125,424], "affbox_2d":  [3,527,646,839],,point_2d":  [75,656]'
     '}], "afffordance":  [open"]</answer>', [[3, 3, 689, 556]], [[125, 424]], ('unreadable box dropped',)),
    ('<answer>[{"bbox_2d": [669,234,756,276], "point_2d": [714,254}, {"bbox_2d": [679,337,754,376], "point_2d": '
     '[734,361}}, ', [[669, 234, 756, 276], [679, 337, 754, 376]], [[714, 254], [734, 361]],
     ('answer tag not closed',)),
    ('<answer>[{"bbox_2d": [409,637,455,687], "point_2d": [424,661}, {"bbox_2d": [0,105,105,427], "point_2d": [56,185}}'
     ', {"affordance": "sit"}]</answer>', [[409, 637, 455, 687], [0, 105, 105, 427]], [[424, 661], [56, 185]],
     ('broken JSON mended',)),
]  # fmt: skip


@pytest.mark.parametrize(('text', 'want', 'points', 'repairs'), WILD)
def test_answers_from_public_logs(text, want, points, repairs):
    read = read_robust(text, SIDE, SIDE)
    assert read.boxes.boxes.tolist() == want
    assert read.keypoints.points.tolist() == points
    assert set(repairs) <= set(read.repairs)
    assert read.status is Status.REPAIRED
    assert set(read.boxes.labels) == {''}  # the label of another object is not borrowed
    with pytest.raises(UnparsableAnswer):
        read_strict(text, SIDE, SIDE)


@pytest.mark.parametrize(
    ('inside', 'repair'),
    [
        (f'```json\n{GOOD}\n```', 'code fence removed'),
        (GOOD[1:-1], 'single object read as a list'),
        (f'[{GOOD}]', 'nested list opened'),
        (GOOD.replace('"', "'"), 'broken JSON mended'),
        (GOOD.replace('100,100,300,300', '300,300,100,100'), 'corners put in order'),
        (GOOD.replace('300,300', '300,300,7'), 'extra numbers ignored'),
        (GOOD.replace('100,100,300,300', '"100","100","300","300"'), 'numbers in quotes read'),
        (GOOD[:-1] + ', ' + GOOD[1:], 'duplicate dropped'),
        (GOOD.replace('[200,200]', '[5000,5]'), 'point outside the image: the middle of its box taken'),
        (GOOD.replace('"point_2d": [200,200], ', ''), 'point missing: the middle of its box taken'),
        (GOOD[:-1] + ', {"bbox_2d": [1,1,2,2], "point_2d": [1,1]}]', 'box without area dropped'),
        (GOOD[:-1] + ', {"bbox_2d": [1,1,2000,2], "point_2d": [1,1]}]', 'box outside the image dropped'),
        (GOOD[:-1] + ', {"affordance": "sit"}]', 'item without a readable box dropped'),
    ],
)
def test_repairs_are_named(inside, repair):
    read = read_robust(answer(inside), SIDE, SIDE)
    assert repair in read.repairs
    assert read.boxes.boxes.tolist() == [[100, 100, 300, 300]]
    assert read.keypoints.points.tolist() == [[200, 200]]
    assert read.status is Status.REPAIRED


def test_the_edge_of_the_square_is_the_last_pixel_but_the_segmenter_gets_the_official_value():
    read = read_robust(answer(GOOD.replace('300,300', '840,840')), 640, 480)
    assert read.boxes.boxes.tolist() == [[76, 57, 639, 479]]
    assert read.prompts[0, :4].tolist() == [76, 57, 640, 480]
    assert read.status is Status.OK


def test_an_empty_list_is_an_empty_result_and_nothing_readable_is_no_answer():
    for inside in ('[]', '{}'):
        assert read_robust(answer(inside), SIDE, SIDE).status is Status.EMPTY
        assert read_strict(answer(inside), SIDE, SIDE).status is Status.EMPTY
    for text in ('', '<think> a </think>', answer(''), answer('null'), answer('[[1,2,3,4]]'),
                 answer('[{"bbox_2d": [39,57 '), answer('[{"bbox_2d": [NaN,1,2,3], "point_2d": [1,2]}]')):  # fmt: skip
        with pytest.raises(UnparsableAnswer) as caught:
            read_robust(text, SIDE, SIDE)
        assert caught.value.text == text


def test_a_text_that_was_cut_off_is_told_and_half_numbers_do_not_count():
    text = f'<answer>{GOOD[:-1]}, {{"bbox_2d": [1,2,300,40'
    read = read_robust(text, SIDE, SIDE, whole=False)
    assert read.status is Status.TRUNCATED
    assert any('cut off' in note for note in read.repairs)
    assert read.boxes.boxes.tolist() == [[100, 100, 300, 300]]


def test_items_are_capped():
    items = [{'bbox_2d': [i * 20, 0, i * 20 + 19, 40], 'point_2d': [i * 20 + 5, 5]} for i in range(MOST_ITEMS + 5)]
    read = read_robust(answer(json.dumps(items)), SIDE, SIDE)
    assert len(read.boxes) == MOST_ITEMS
    assert any('the rest dropped' in repair for repair in read.repairs)


def test_strict_reading_gives_what_the_official_code_gives_or_no_answer():
    for record in TEXTS:
        try:
            read = read_strict(record['raw'], 640, 480)
        except UnparsableAnswer:
            continue
        want = official_parse(record['raw'], 640 / SIDE, 480 / SIDE)
        assert read.boxes.boxes.tolist() == [list(box) for box in want.boxes]
        assert read.keypoints.points.tolist() == [list(point) for point in want.points]
        assert read.repairs == ()


def test_robust_and_strict_agree_where_nothing_was_mended():
    agreed = 0
    for record in TEXTS:
        try:
            robust, strict = (reader(record['raw'], 1280, 720) for reader in (read_robust, read_strict))
        except UnparsableAnswer:
            continue
        if robust.status is Status.OK:
            assert robust.prompts.tolist() == strict.prompts.tolist()
            assert robust.boxes.labels == strict.boxes.labels
            agreed += 1
    assert agreed > 10


@pytest.mark.parametrize('profile', PROFILES)
def test_questions_are_normalised_as_the_programs_do(profile):
    chosen = PROFILES[profile]
    asked = chosen.question(Query('  Where should I HOLD it?. '))
    assert asked == ('where should i hold it' if profile == 'eval' else 'where should i hold it?')
    named = chosen.question(Query(object='mug', action='lift'))
    assert named.startswith('what part of the mug should we interact with in order to lift it')
    assert f'"{asked}"' in chosen.prompt(asked)
    assert chosen.prompt('{example} {question}').count('{question}') == 1  # braces of a user are no slots
    assert ('<|vision_end|>\n' in chosen.prompt(asked)) == (profile in ('robot', 'fast', 'train'))


FRAGMENTS = st.sampled_from([
    '<think>', '</think>', '<rethink>', '</rethink>', '<answer>', '</answer>', 'answer>', '[', ']', '{', '}', ',', ':',
    '"bbox_2d"', '"point_2d"', 'bbox_2d": ', '"affordance": "hold"', '[1,2,300,400]', '[100,200]', '"', ' ', '```',
    '840', '1e999', 'NaN', '-5', '0.5', '9' * 400, 'null', 'true', GOOD, 'é', '\n', '\x00',
])  # fmt: skip
ANY = st.one_of(st.text(max_size=80), st.lists(FRAGMENTS, max_size=24).map(''.join))


@settings(max_examples=700, deadline=None)
@given(ANY, st.integers(1, 5000), st.integers(1, 5000), st.booleans())
def test_any_text_gives_places_inside_the_image_or_no_answer(text, width, height, whole):
    limit = np.array([width, height]) - 1
    for reader in (functools.partial(read_robust, whole=whole), read_strict):
        try:
            read, unread = reader(text, width, height), text
        except UnparsableAnswer as error:
            read, unread = None, error.text
        assert unread == text
        if read is None:
            continue
        assert np.isfinite(read.prompts).all()
        assert len(read.boxes) == len(read.keypoints) == len(read.prompts)
        if reader is not read_strict:
            assert len(read.boxes) <= MOST_ITEMS
            for corners in (read.keypoints.points, np.reshape(read.boxes.boxes, (-1, 2))):
                assert (corners >= 0).all()
                assert (corners <= limit).all()


COORDINATE = st.integers(0, SIDE)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE, COORDINATE, COORDINATE), max_size=4),
       st.integers(0, 150))  # fmt: skip
def test_a_cut_answer_never_gives_a_box_that_was_not_written(rows, cut):
    items = [{'bbox_2d': list(row[:4]), 'point_2d': list(row[4:]), 'affordance': 'hold'} for row in rows]
    text = answer(json.dumps(items))
    try:
        part = read_robust(text[: len(text) - cut], SIDE, SIDE, whole=False)
    except UnparsableAnswer:
        return
    written = {(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d, _, _ in rows}
    centres = {((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in written}
    points = {row[4:] for row in rows}
    for box, point in zip(part.prompts[:, :4].tolist(), part.prompts[:, 4:].tolist(), strict=True):
        assert tuple(box) in written
        near = any(abs(point[0] - x) <= 0.5 and abs(point[1] - y) <= 0.5 for x, y in centres)
        assert tuple(point) in points or near
