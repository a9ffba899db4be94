# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter's answers as grammars on its own tokenizer: every recorded form passes, random ones parse unrepaired."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.models.parts.grammar import GuideVocabulary
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer
from affordance_ros.models.robointer_answers import (
    TASKS,
    Coordinates,
    read_choice,
    read_decision,
    read_geometry,
)
from affordance_ros.models.robointer_grammar import answer_grammar

FOLDER = Path(__file__).parents[1] / 'data/parity/robointer/llavaov/checkpoint'
CPU = torch.device('cpu')
GEOMETRY = [task for task in TASKS if task.key]


@pytest.fixture(scope='module')
def tokenizer():
    return QwenTokenizer(FOLDER)


@pytest.fixture(scope='module')
def vocabulary(tokenizer):
    return GuideVocabulary(byte_level_table(tokenizer.fast, tokenizer.eos_ids[0]), len(tokenizer) + 9)


def written(vocabulary, tokenizer, grammar, seed):
    """Return a random text of a grammar and how many of its tokens were forced."""
    generator = np.random.default_rng(seed)
    guide, ids, forced = vocabulary.guide(grammar, CPU), [], 0
    while not ids or ids[-1] != vocabulary.eos_id:
        new = guide.forced()
        forced += len(new)
        new = new or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
        guide.advance(new)
        ids += new
    assert len(ids) <= grammar.longest + 1
    return tokenizer.decode(ids), forced


@pytest.mark.parametrize('task', GEOMETRY, ids=lambda task: task.name)
@pytest.mark.parametrize('shares', [True, False])
def test_random_geometry_parses_without_a_repair(vocabulary, tokenizer, task, shares):
    grammar = answer_grammar(task, shares=shares)
    assert grammar.longest < 256
    scale = (640.0, 480.0) if shares else (1.0, 1.0)
    for seed in range(25):
        text, forced = written(vocabulary, tokenizer, grammar, seed)
        geometry = read_geometry(text, task, Coordinates(scale, (640, 480), shares))
        assert set(geometry.repairs) <= {'corners put in order', 'left the image, cut at its edge'}
        assert 2 <= len(geometry.points) <= (10 if task.kind == 'trace' else 2)
        assert forced >= 5


@pytest.mark.parametrize('task', GEOMETRY, ids=lambda task: task.name)
def test_pixels_stay_within_the_image_that_the_network_saw(vocabulary, tokenizer, task):
    grammar = answer_grammar(task, shares=False, limits=(308, 168))
    for seed in range(25):
        text, _ = written(vocabulary, tokenizer, grammar, seed)
        geometry = read_geometry(text, task, Coordinates((640 / 308, 360 / 168), (640, 360), shares=False))
        assert not geometry.outside
        assert set(geometry.repairs) <= {'corners put in order'}


def test_choices_and_decisions_are_read(vocabulary, tokenizer):
    by_kind = {task.kind: task for task in TASKS}
    letters = {
        read_choice(written(vocabulary, tokenizer, answer_grammar(by_kind['choice'], shares=True), seed)[0])
        for seed in range(20)
    }
    assert letters == set('ABCD')
    said = {
        read_decision(written(vocabulary, tokenizer, answer_grammar(by_kind['decide'], shares=True), seed)[0])
        for seed in range(20)
    }
    assert said == {True, False}
    assert answer_grammar(by_kind['text'], shares=True) is None


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(GEOMETRY),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=10),
    st.sampled_from([', ', ',']),
)
def test_answers_of_the_data_set_pass_and_forced_tokens_are_canonical(tokenizer, vocabulary, task, pairs, comma):
    pairs = pairs if task.kind == 'trace' else pairs[:2]
    shown = comma.join(f'[{x / 100}{comma}{y / 100}]' for x, y in pairs)
    ids = [*tokenizer.encode(f'{{"{task.key}": [{shown}]}}'), vocabulary.eos_id]
    guide, position = vocabulary.guide(answer_grammar(task, shares=True), CPU), 0
    while position < len(ids):
        new = guide.forced()
        if new:
            assert new == ids[position : position + len(new)]
        else:
            new = [ids[position]]
            assert guide.allowed()[new[0]]
        guide.advance(new)
        position += len(new)
