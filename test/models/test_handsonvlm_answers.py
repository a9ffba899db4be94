# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever positions and sentences come: a path in the right pixels, an empty answer or a refusal."""

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

from affordance_ros.errors import AffordanceError, UnparsableAnswer  # noqa: E402
from affordance_ros.models.handsonvlm_answers import FARTHEST, NO_HANDS, View, read_hands  # noqa: E402
from affordance_ros.models.handsonvlm_heads import encode_positions, gaussian, split_hands  # noqa: E402
from affordance_ros.models.handsonvlm_prompts import (  # noqa: E402
    EXPLICIT_QUESTIONS,
    HAND_TOKEN,
    build_question,
    clean_text,
    forced_answer,
    narration_of,
)
from affordance_ros.models.handsonvlm_video import Crop, choose_crop  # noqa: E402
from affordance_ros.models.parts.added_tokens import AddedTokenTokenizer  # noqa: E402
from affordance_ros.results import Query  # noqa: E402

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm'
VIEW = View(Crop(0, 0, 100, 50), 100, 50)
MARKUP = ('<image>', '<hand_traj>', '<t5>', '</s>', '<s>', '<unk>', '###')


def steps(*points):
    """Return positions (2, n, 2) whose left hand is the right one moved by 0.1."""
    right = np.array(points, np.float64).reshape(-1, 2)
    return np.stack([right, right + 0.1])


def test_positions_become_pixels_with_their_times():
    answer = read_hands([steps((0, 0), (0.5, 0.5), (0.25, 0.8), (0.99, 0.1))], VIEW)
    right, left = answer.hands
    assert (right.side, left.side) == ('right', 'left')
    assert right.points.tolist() == [[0, 0], [50, 25], [25, 40], [99, 5]]
    np.testing.assert_allclose(left.points - right.points, [[10, 5]] * 4)
    assert right.times_s.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert np.isnan(np.asarray(right.spread_px)).all()
    assert answer.repairs == ()


def test_a_cut_image_maps_back_to_the_original_pixels():
    view = View(choose_crop(640, 480, 'aspect', 'bottom'), 640, 480)
    (right, _) = read_hands([steps((0.5, 0.0), (0.5, 0.9999))], view).hands
    np.testing.assert_allclose(right.points, [[320, 121], [320, 121 + 0.9999 * 359]])


def test_what_the_model_cannot_know_is_said():
    (right, left) = read_hands([steps((0.5, 0.5), (1.5, 0.5))], VIEW, notes=('still image',)).hands
    assert right.present is None
    assert left.present is None
    text = ' '.join(right.caveats)
    assert 'not judged' in text
    assert 'depth' in text
    assert 'still image' in text
    assert 'outside the image that was asked about at step 2 of 2' in text


def test_no_hand_token_is_no_path_and_never_zeros():
    answer = read_hands([steps()], VIEW)
    assert answer.hands == ()
    assert NO_HANDS in answer.repairs
    assert 'NO_ANSWER_TOKEN' in NO_HANDS


@pytest.mark.parametrize(('count', 'kept', 'words'), [(2, [0, 1], 'not sure'), (6, [2, 3, 4, 5], 'last 4')])
def test_another_number_of_steps_is_told(count, kept, words):
    answer = read_hands([steps(*((0.1 * index, 0.2) for index in range(count)))], VIEW)
    np.testing.assert_allclose(answer.hands[0].points[:, 0], [10.0 * index for index in kept], atol=1e-9)
    assert words in answer.repairs[0]


def test_one_hand_may_be_asked_for():
    answer = read_hands([steps((0.2, 0.2))], VIEW, sides=('left',))
    assert [hand.side for hand in answer.hands] == ['left']
    np.testing.assert_allclose(answer.hands[0].points, [[30, 15]])


def test_samples_give_their_mean_and_how_far_they_scatter():
    answer = read_hands([steps((0.2, 0.2)), steps((0.4, 0.2)), steps((0.3, 0.2), (0.9, 0.9))], VIEW)
    assert answer.hands[0].points.tolist() == [[pytest.approx(30), pytest.approx(10)]]
    assert float(answer.hands[0].spread_px[0]) == pytest.approx(10.0)
    assert '1 of 3 samples' in answer.repairs[0]


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf, 1e308, -101.0])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(UnparsableAnswer, match='hand positions'):
        read_hands([steps((0.5, 0.5), (bad, 0.5))], VIEW)


any_positions = st.integers(0, 7).flatmap(
    lambda count: hnp.arrays(np.float64, (2, count, 2), elements=st.floats(-10, 10) | st.floats(width=32))
)


@given(st.lists(any_positions, max_size=5), st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=1000, deadline=None)
def test_whatever_positions_come_the_path_is_theirs_or_refused(samples, width, height):
    view = View(choose_crop(width, height, 'aspect', 'center'), width, height)
    usable = [bool((np.abs(sample[:, -4:]) <= FARTHEST).all()) for sample in samples]
    answer = None
    try:
        answer = read_hands(samples, view)
    except UnparsableAnswer:
        assert not all(usable)
    if answer is None:
        return
    if not answer.hands:
        counts = [sample.shape[1] for sample in samples]
        assert not samples or 0 in counts
        return
    crop, right = view.crop, answer.hands[0]
    assert 1 <= len(right) <= 4
    kept = [s[:, -4:] for s, good in zip(samples, usable, strict=True) if good and min(s.shape[1], 4) == len(right)]
    back = (np.asarray(right.points) - (crop.left, crop.top)) / (crop.width, crop.height)
    low, high = (edge([sample[0] for sample in kept], axis=0) for edge in (np.min, np.max))
    slack = 1e-6 * (1 + np.abs(low) + np.abs(high))
    assert ((back >= low - slack) & (back <= high + slack)).all()


@given(
    hnp.arrays(np.float32, (2, 2), elements=st.floats(-2, 2, width=32)),
    st.sampled_from([8, 16, 32, 4096, 5120]),
)
@settings(max_examples=500, deadline=None)
def test_encoded_positions_can_be_read_back(positions, size):
    encoded = encode_positions(torch.from_numpy(positions), size)
    assert encoded.shape == (size,)
    for hand, channels in zip(positions, split_hands(encoded), strict=True):  # the same interleaving both ways
        x, y = (float(value) for value in hand)
        assert float(channels[0]) == pytest.approx(math.sin(x), abs=1e-5)
        assert float(channels[size // 8]) == pytest.approx(math.cos(y), abs=1e-5)
        assert torch.equal(channels[: size // 4], channels[size // 4 :])


def test_bfloat16_keeps_its_frequencies_apart():
    positions = torch.tensor([[0.7, 0.2], [0.4, 0.9]])
    exact = encode_positions(positions, 4096)
    rounded = encode_positions(positions.bfloat16(), 4096, torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - exact).abs().max()) < 0.01


def test_the_latent_is_seeded_and_scaled():
    draws = [gaussian(scale)(0, torch.Generator().manual_seed(5)) for scale in (1.0, 1.0, 2.0, 0.0)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[2], 2 * draws[0])
    assert not draws[3].any()
    assert draws[0].shape == (2, 256)


def test_actions_become_the_trained_question_and_questions_stay():
    assert build_question(Query('Open the drawer.')) == EXPLICIT_QUESTIONS[0].format('Open the drawer')
    assert build_question(Query('Where is my hand going?')) == 'Where is my hand going?'
    assert build_question(Query(object='oven', action='open')) == EXPLICIT_QUESTIONS[0].format('open oven')
    assert build_question(Query(object='oven')) == EXPLICIT_QUESTIONS[0].format('reach oven')
    assert forced_answer(narration_of(Query('open it'))).startswith('Certainly! The hand trajectory for open it is')
    assert forced_answer(narration_of(Query('Where?'))).count(HAND_TOKEN) == 4
    with pytest.raises(AffordanceError, match='own tokens'):
        build_question(Query('<hand_traj></s>'))


@given(st.lists(st.sampled_from((*MARKUP, 'a', ' ', '<', 'hand_traj>', 'im', 'age>', '#', '?')), max_size=20))
@settings(max_examples=500, deadline=None)
def test_no_sentence_smuggles_a_token_in(parts):
    cleaned = clean_text(''.join(parts))
    assert not any(token in cleaned for token in MARKUP)


@pytest.fixture(scope='module')
def tokenizer():
    return AddedTokenTokenizer.from_folder(next(path.parent for path in ROOT.glob('checkpoint/*/added_tokens.json')))


@given(st.text(max_size=60))
@settings(max_examples=500, deadline=None)
def test_every_text_has_ids_and_every_text_of_letters_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert all(isinstance(number, int) for number in ids)
    decoded = tokenizer.decode(ids)
    if not any(mark in text for mark in ('<', '\u2581')):
        assert decoded == text


@given(st.lists(st.integers(0, 32100), max_size=40))
@settings(max_examples=500, deadline=None)
def test_every_list_of_ids_has_a_text_with_its_hand_tokens(tokenizer, ids):
    assert tokenizer.decode(ids).count(HAND_TOKEN) == ids.count(32100)
