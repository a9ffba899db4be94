# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grammars and their guide: exact masks, canonical forced tokens, bounds that hold, refusals."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.grammar import (
    GuideVocabulary,
    TokenTable,
    Words,
    check_fits,
    corners_in_order,
    digits,
    either,
    grammar_of,
    literal,
    most_repetitions,
    number_up_to,
    repeated,
    sequence,
    whole_number,
)
from affordance_ros.models.parts.point_answers import parse_points, point_list_grammar
from affordance_ros.models.parts.tokenizer import LlamaTokenizer

ROOT = Path(__file__).parents[3]
FOLDERS = {
    'pocket': ROOT / 'affordance_ros' / 'models' / 'pocket' / 'robopoint',
    'vicuna': ROOT / 'test/data/parity/robopoint/checkpoint/robopoint-v1-vicuna-v1.5-tiny',
    'llama2': ROOT / 'test/data/parity/robopoint/checkpoint/robopoint-v1-llama-2-tiny',
}
CPU = torch.device('cpu')
fractions = st.one_of(
    st.integers(0, 999).map(lambda n: f'0.{n:03d}'),
    st.integers(0, 99).map(lambda n: f'0.{n:02d}'),
    st.sampled_from(['0.0', '1.0', '0.5', '1.000']),
)
points = st.tuples(fractions, fractions)
answers = st.lists(points, max_size=12).map(
    lambda items: ' [' + ', '.join(f'({", ".join(item)})' for item in items) + ']'
)


class Loaded:
    """A tokenizer with its guide vocabulary, 16 rows of padding behind it as some heads have."""

    def __init__(self, folder):
        self.tokenizer = LlamaTokenizer.from_folder(folder)
        self.tokens = self.tokenizer.token_bytes()
        self.eos = self.tokenizer.eos_id
        table = TokenTable(self.tokens, self.tokenizer.encode_more, self.eos)
        self.vocabulary = GuideVocabulary(table, len(self.tokenizer) + 16)

    def guide(self, grammar):
        return self.vocabulary.guide(grammar, CPU)


@pytest.fixture(scope='module', params=FOLDERS)
def loaded(request):
    return Loaded(FOLDERS[request.param])


def follow(guide, ids):
    """Write known ids through a guide; return how many of them it forced."""
    written, forced = [], 0
    while len(written) < len(ids):
        new = guide.forced()
        if new:
            assert new == ids[len(written) : len(written) + len(new)], (
                'forced tokens that the tokenizer would not write'
            )
            forced += len(new)
        else:
            new = [ids[len(written)]]
            assert guide.allowed()[new[0]], 'a token of a valid answer is forbidden'
        guide.advance(new)
        written += new
    return forced


@pytest.mark.parametrize('name', FOLDERS)
def test_every_answer_of_the_format_can_be_written_and_forced_tokens_are_canonical(name):
    loaded = Loaded(FOLDERS[name])
    grammar = point_list_grammar(512)

    @settings(max_examples=150, deadline=None)
    @given(answers)
    def check(text):
        ids = [*loaded.tokenizer.encode_more(text), loaded.eos]
        assert loaded.tokenizer.decode(ids).strip() == text.strip()
        follow(loaded.guide(grammar), ids)

    check()


def test_forced_tokens_save_passes(loaded):
    ids = [*loaded.tokenizer.encode_more(' [(0.123, 0.456), (0.789, 0.012), (0.5, 0.25)]'), loaded.eos]
    forced = follow(loaded.guide(point_list_grammar(512)), ids)
    assert forced >= (3 if len(loaded.tokenizer) < 600 else 10)


def test_the_mask_holds_exactly_the_tokens_that_keep_the_text_in_the_format(loaded):
    """At every step of an answer: allowed if and only if the text can go on to a complete answer."""
    grammar = grammar_of(sequence(' [', repeated(sequence('(', digits(1, 2), ')'), 1, 2, ', '), ']'))
    language = {
        f' [{", ".join(f"({number})" for number in numbers)}]'
        for numbers in ([a, *rest] for a in ('4', '7', '42', '77') for rest in ((), ('5',), ('42',)))
    }
    small = grammar_of(either(*sorted(language)))
    prefixes = {text[:end] for text in language for end in range(len(text) + 1)}
    text = ' [(42), (5)]'
    ids = loaded.tokenizer.encode_more(text)
    guide, wide = loaded.guide(small), loaded.guide(grammar)
    for position in range(len(ids) + 1):
        so_far = b''.join(loaded.tokens[i] for i in ids[:position])
        forced = guide.forced()
        if forced:  # then nothing else may come
            rest = [*ids, loaded.eos][position:]
            assert forced == rest[: len(forced)]
            for each in (guide, wide):
                each.advance(ids[position : position + 1])
            continue
        mask = guide.allowed().numpy()
        for token, piece in enumerate(loaded.tokens):
            right = token == loaded.eos if piece is None else (so_far + piece).decode(errors='replace') in prefixes
            if token == loaded.eos:
                right = so_far.decode() in language
            assert mask[token] == right, (so_far, piece)
        assert not mask[len(loaded.tokens) :].any()
        assert (wide.allowed().numpy() >= mask).all()
        for each in (guide, wide):
            each.advance(ids[position : position + 1])


def test_random_text_within_the_mask_always_parses(loaded):
    generator = np.random.default_rng(0)
    grammar = point_list_grammar(64)
    lengths = set()
    for _ in range(60):
        guide, ids = loaded.guide(grammar), []
        while not ids or ids[-1] != loaded.eos:
            new = guide.forced() or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
            guide.advance(new)
            ids += new
        assert len(ids) <= 64
        lengths.add(len(ids))
        text = loaded.tokenizer.decode(ids).strip()
        answer = parse_points(text, 640, 480)
        assert 'unfinished last tuple dropped' not in answer.repairs
        assert all(repair.startswith(('duplicate', 'coordinate')) for repair in answer.repairs)
    assert len(lengths) > 5


@pytest.mark.parametrize('most', [1, 2, 5])
def test_max_points_is_respected(loaded, most):
    grammar = point_list_grammar(512, max_points=most)
    guide = loaded.guide(grammar)
    tuples = ', '.join(['(0.111, 0.222)'] * most)
    ids = loaded.tokenizer.encode_more(f' [{tuples}')
    guide.advance(ids)
    assert guide.forced()[:1] == loaded.tokenizer.encode_more(']')[:1] or guide.allowed().sum() == 1
    assert grammar.longest < point_list_grammar(512).longest


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 1024))
def test_the_longest_answer_fits_into_max_new_tokens(tokens):
    grammar = point_list_grammar(tokens)
    assert grammar.longest + 1 <= tokens
    check_fits(grammar, tokens, 'model')
    assert grammar.longest + len(', (0.123, 0.123)') + 1 > tokens or tokens < 20


def test_too_little_room_is_refused_with_the_number():
    with pytest.raises(AffordanceError, match='at least 4') as caught:
        check_fits(point_list_grammar(3), 3, 'robopoint')
    assert caught.value.code == Code.BAD_INPUT


def test_free_words_are_bounded_in_tokens(loaded):
    grammar = grammar_of(' a', Words(6), '</a>')
    assert grammar.longest == len(' a') + 6 + len('</a>')
    generator = np.random.default_rng(1)
    for _ in range(20):
        guide, ids = loaded.guide(grammar), []
        while not ids or ids[-1] != loaded.eos:
            new = guide.forced() or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
            guide.advance(new)
            ids += new
        assert len(ids) <= grammar.longest + 1
        text = b''.join(loaded.tokens[i] for i in ids[:-1])
        assert text.startswith(b' a')
        assert text.endswith(b'</a>')
        assert text.count(b'<') == 1


def test_patterns_count_their_longest_text():
    assert literal('[{"x": ').longest == 7
    assert either('yes', 'no').longest == 3
    assert sequence('(', digits(1, 4), ')').longest == 6
    assert whole_number(3).longest == 3
    assert repeated(literal('ab'), 0, 3, ', ').longest == 3 * 2 + 2 * 2
    assert most_repetitions(20, 2, literal('ab'), ', ') == 5
    assert most_repetitions(3, 2, literal('ab'), ', ') == 0


@pytest.mark.parametrize('limit', [5, 9, 10, 99, 308, 640, 840, 1000, 1024, 1920])
def test_numbers_up_to_a_limit_and_no_others(limit):
    pattern = number_up_to(limit)
    numbers = [number for number in range(3000) if re.fullmatch(pattern.regex, str(number))]
    assert numbers == list(range(limit + 1))
    assert not re.fullmatch(pattern.regex, '01')
    assert pattern.longest == len(str(limit))


def test_text_outside_the_grammar_is_a_defect_that_is_told(loaded):
    guide = loaded.guide(point_list_grammar(64))
    with pytest.raises(AffordanceError) as caught:
        guide.advance(loaded.tokenizer.encode_more(' hello'))
    assert caught.value.code == Code.INTERNAL


def test_a_missing_library_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, 'llguidance', None)
    with pytest.raises(AffordanceError, match='pip install') as caught:
        Loaded(FOLDERS['pocket'])
    assert caught.value.code == Code.BAD_INPUT


@settings(max_examples=300, deadline=None)
@given(st.tuples(*[st.integers(0, 848)] * 4), st.integers(0, 30))
def test_corners_in_order_knows_what_can_still_become_a_box(numbers, cut):
    """Against the definition: some completion of the cut text is a box whose corners are in order."""
    possible = corners_in_order('box [', (848, 848))
    text = 'box [' + ','.join(map(str, numbers)) + ']'
    x0, y0, x1, y1 = numbers
    assert possible(text) == (x1 >= x0 + 2 and y1 >= y0 + 2)
    begun = text[: len('box [') + min(cut, len(text) - len('box [') - 1)]
    written = begun.removeprefix('box [').split(',')
    if len(written) == 3 and x0 <= 846 and y0 <= 846:
        reach = [number for number in range(x0 + 2, 849) if str(number).startswith(written[2])]
        assert possible(begun) == bool(reach)


def test_a_box_never_leads_into_a_dead_end(loaded):
    number = whole_number(3)
    box = sequence('box [', number, ',', number, ',', number, ',', number, ']')
    grammar = replace(grammar_of(box), possible=corners_in_order('box [', (840, 840)))
    generator = np.random.default_rng(5)
    for _ in range(60):
        guide, ids = loaded.guide(grammar), []
        while not ids or ids[-1] != loaded.eos:
            new = guide.forced() or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
            guide.advance(new)
            ids += new
        text = b''.join(loaded.tokens[i] for i in ids[:-1]).decode()
        x0, y0, x1, y1 = map(int, text.removeprefix('box [').removesuffix(']').split(','))
        assert 0 <= x0 <= x1 - 2 <= 838
        assert 0 <= y0 <= y1 - 2 <= 838
