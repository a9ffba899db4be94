# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1's answers as a grammar: always whole, always JSON, within the room that is given."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from affordance_ros.errors import AffordanceError
from affordance_ros.models.affordance_r1_grammar import MOST_ITEMS, answer_grammar
from affordance_ros.models.parts.grammar import GuideVocabulary, check_fits
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer

FOLDER = Path(__file__).parents[1] / 'data/parity/robointer/llavaov/checkpoint'  # a byte-level tokenizer of the family
ANSWERS = Path(__file__).parents[1] / 'data/parity/affordance_r1/expected/parse_cases.json'
CPU = torch.device('cpu')
OFFICIAL = (
    '<think> The mug has a handle. </think><rethink> It is made to be grasped. </rethink><answer>'
    '[{"bbox_2d": [10,100,200,210], "point_2d": [30,110], "affordance": "hold"}, '
    '{"bbox_2d": [225,296,706,786], "point_2d": [302,840], "affordance": "wrap-grasp"}]</answer>'
)


@pytest.fixture(scope='module')
def tokenizer():
    return QwenTokenizer(FOLDER)


@pytest.fixture(scope='module')
def vocabulary(tokenizer):
    return GuideVocabulary(byte_level_table(tokenizer.fast, tokenizer.eos_ids[0]), len(tokenizer))


def random_text(vocabulary, grammar, seed):
    generator = np.random.default_rng(seed)
    guide, ids = vocabulary.guide(grammar, CPU), []
    while not ids or ids[-1] != vocabulary.eos_id:
        new = guide.forced() or [int(generator.choice(np.flatnonzero(guide.allowed().numpy())))]
        guide.advance(new)
        ids += new
    return ids


WHOLE = r'<think>[^<]*</think>[,\s]{0,3}<rethink>[^<]*</rethink>[,\s]{0,3}<answer>(.*)</answer>'


@pytest.mark.parametrize('room', [260, 400, 1024])
def test_random_answers_are_whole_json_within_the_room(vocabulary, tokenizer, room):
    grammar = answer_grammar(room)
    check_fits(grammar, room, 'affordance_r1')
    for seed in range(12):
        ids = random_text(vocabulary, grammar, seed)
        assert len(ids) <= room
        text = tokenizer.decode(ids)
        match = re.fullmatch(WHOLE, text, re.DOTALL)
        items = json.loads(match[1])
        assert len(items) <= MOST_ITEMS
        for item in items:
            values = item['bbox_2d'] + item['point_2d']
            assert len(values) == 6
            assert all(0 <= value <= 840 for value in values)
            assert item['affordance']
            x0, y0, x1, y1 = item['bbox_2d']
            assert x1 >= x0 + 2
            assert y1 >= y0 + 2


def recorded():
    """Return the answers of the real model that the official repository shows, where they have all their tags."""
    texts = (record['raw'] for record in json.loads(ANSWERS.read_text()) if record['name'].startswith('recorded'))
    return [match[0] for text in texts if (match := re.search(r'<think>[^<]*</think>.*</answer>', text, re.DOTALL))
            and re.fullmatch(WHOLE, match[0], re.DOTALL)]  # fmt: skip


@pytest.mark.parametrize('text', [OFFICIAL, OFFICIAL.replace('><', '>,<'), *recorded()])
def test_the_formats_of_prompts_and_recorded_answers_pass_and_forced_tokens_are_their_own(tokenizer, vocabulary, text):
    ids = [*tokenizer.encode(text), vocabulary.eos_id]
    guide, position, forced = vocabulary.guide(answer_grammar(1024), CPU), 0, 0
    while position < len(ids):
        new = guide.forced()
        forced += len(new)
        if new:
            assert new == ids[position : position + len(new)]
        else:
            new = [ids[position]]
            assert guide.allowed()[new[0]]
        guide.advance(new)
        position += len(new)
    assert forced > 15


def test_thoughts_may_talk_about_boxes(tokenizer, vocabulary):
    guide = vocabulary.guide(answer_grammar(1024), CPU)
    for piece in (
        '<think> Maybe "bbox_2d": [700, x, 20',
        ', 10], no.</think><rethink>b</rethink><answer>[{"bbox_2d": [7',
    ):
        guide.advance(tokenizer.encode(piece))
        assert guide.allowed().any()
    assert guide.allowed()[tokenizer.encode('0')[0]]


def test_without_thoughts_only_the_list_is_written(vocabulary, tokenizer):
    for seed in range(8):
        text = tokenizer.decode(random_text(vocabulary, answer_grammar(300, thinking=False), seed))
        assert text.endswith(']</answer>')
        json.loads('[' + text.removesuffix('</answer>'))


def test_coordinates_reach_840_and_no_farther(tokenizer, vocabulary):
    for value, allowed in (
        ('0', True),
        ('9', True),
        ('79', True),
        ('839', True),
        ('840', True),
        ('841', False),
        ('900', False),
    ):
        guide = vocabulary.guide(answer_grammar(300, thinking=False), CPU)
        text = f'{{"bbox_2d": [{value},'
        try:
            guide.advance(tokenizer.encode(text))
        except AffordanceError:
            assert not allowed, value
        else:
            assert allowed, value
