# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every question of every dialect: random texts of its grammar are read without a repair, within the room given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from affordance_ros.models.parts.answer_dialects import DIALECTS
from affordance_ros.models.parts.dialect_answers import read_places, unit_of
from affordance_ros.models.parts.dialect_grammar import MOST_PLACES, dialect_grammar
from affordance_ros.models.parts.grammar import GuideVocabulary, check_fits
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer

FOLDER = Path(__file__).parents[2] / 'data/parity/robointer/llavaov/checkpoint'  # a byte-level tokenizer of the family
SIZE, SEEN = (640, 480), (644, 476)
LIMITS = {'resized': SEEN, 'original': SIZE, 'thousand': (1000, 1000), 'unit': None}
CASES = [
    (dialect, name)
    for plain in DIALECTS.values()
    for dialect in (plain, *([replace(plain, begun=plain.quick, thinks=False)] if plain.quick is not None else []))
    for name, ask in dialect.asks.items()
    if ask.result != 'text'
]


@pytest.fixture(scope='module')
def tokenizer():
    return QwenTokenizer(FOLDER)


@pytest.fixture(scope='module')
def vocabulary(tokenizer):
    return GuideVocabulary(byte_level_table(tokenizer.fast, tokenizer.eos_ids[0]), len(tokenizer))


def random_ids(vocabulary, grammar, seed):
    generator = np.random.default_rng(seed)
    guide, ids = vocabulary.guide(grammar, torch.device('cpu')), []
    while not ids or ids[-1] != vocabulary.eos_id:
        new = guide.forced() or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
        guide.advance(new)
        ids += new
    return ids


@pytest.mark.parametrize(
    ('dialect', 'name'), CASES, ids=lambda value: value if isinstance(value, str) else value.name + value.begun
)
def test_random_answers_are_read_without_a_repair(vocabulary, tokenizer, dialect, name):
    room = 400
    grammar = dialect_grammar(dialect, dialect.asks[name], LIMITS[dialect.coordinates], room)
    check_fits(grammar, room, dialect.name)
    found = 0
    for seed in range(12):
        ids = random_ids(vocabulary, grammar, seed)
        assert len(ids) <= room
        text = dialect.begun + tokenizer.decode(ids)
        places = read_places(text, dialect.form, unit_of(dialect.coordinates, SIZE, SEEN))
        assert not [note for note in places.repairs if 'pulled' not in note], text
        assert len(places.points) + len(places.boxes) <= MOST_PLACES
        found += len(places.boxes if dialect.asks[name].field == 'box' else places.points)
        assert text.startswith('<think>') == (dialect.thinks or dialect.begun.startswith('<think>'))
    assert found


def test_words_have_no_grammar():
    dialect = DIALECTS['qwen2_5_vl']
    assert dialect_grammar(dialect, dialect.asks['text'], SEEN, 400) is None


def test_labels_and_places_of_a_json_answer_are_the_ones_written(vocabulary, tokenizer):
    dialect = DIALECTS['qwen2_5_vl']
    grammar = dialect_grammar(dialect, dialect.asks['boxes'], SEEN, 400)
    text = '[{"bbox_2d": [10, 20, 300, 400], "label": "red mug"}, {"bbox_2d": [5,6,70,80], "label": "cup"}]'
    ids = [*tokenizer.encode(text), vocabulary.eos_id]
    guide, position = vocabulary.guide(grammar, torch.device('cpu')), 0
    while position < len(ids):
        new = guide.forced()
        if new:
            assert new == ids[position : position + len(new)]
        else:
            new = [ids[position]]
            assert guide.allowed()[new[0]]
        guide.advance(new)
        position += len(new)
    assert read_places(text, 'json', unit_of('resized', SIZE, SEEN)).boxes.labels == ('red mug', 'cup')
