# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""BLEU of one sentence: worked examples, and where ours differs from the official counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affordance_ros.metrics.robointer_official_language import official_bleu
from affordance_ros.metrics.sentences import no_smoothing, sentence_bleu, sentence_score, weighted_bleu

WORDS = st.lists(st.sampled_from(['pick', 'up', 'the', 'red', 'cup']), min_size=1, max_size=8)


def test_a_worked_example():
    # 4 of 5 words, 2 of 4 pairs, 0 of 3 triples (a tenth of one), 0 of 2 fours; 5 words each, so no brevity penalty.
    bleu = sentence_bleu('pick up a red cup', 'pick up the red cup')
    one, two, three, four = 4 / 5, 2 / 4, 0.1 / 3, 0.1 / 2
    assert bleu.orders == pytest.approx(
        (one, math.sqrt(one * two), (one * two * three) ** (1 / 3), (one * two * three * four) ** 0.25)
    )
    assert bleu.mean == pytest.approx(sum(bleu.orders) / 4)


def test_short_answers_pay_and_short_references_use_their_longest_order():
    assert sentence_bleu('open', 'open the drawer').orders[0] == pytest.approx(math.exp(1 - 3))
    assert sentence_bleu('open drawer', 'open drawer').orders == (1, 1, 1, 1)
    assert sentence_bleu('', 'open drawer').mean == 0
    assert weighted_bleu(['a', 'b'], ['b', 'a'], [0.5, 0.5], no_smoothing) < 1e-100


def test_case_and_double_spaces_do_not_matter_as_they_do_officially():
    assert sentence_bleu('Pick  up\nthe cup', 'pick up the cup').mean == 1
    assert official_bleu('pick  up the cup', 'pick up the cup').mean == pytest.approx(0.5581288191)
    assert official_bleu('Pick up', 'pick up').mean < 0.5


@given(WORDS, WORDS)
def test_bleu_is_a_share(candidate, reference):
    for value in sentence_bleu(' '.join(candidate), ' '.join(reference)).orders:
        assert 0 <= value <= 1 + 1e-12


def test_an_empty_reference_is_refused():
    with pytest.raises(ValueError, match='reference'):
        sentence_bleu('open', '  ')


def test_unreadable_answers_count_as_zero():
    score = sentence_score(['open the drawer', None], ['open the drawer'] * 2)
    assert score.mean == 0.5
    assert score.unreadable == 1
    assert np.isnan(sentence_score([], []).mean)
