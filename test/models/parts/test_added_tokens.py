# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens beside the vocabulary: the rules of transformers 4.31, and that nothing a user types breaks them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.added_tokens import SPECIAL, AddedTokenTokenizer
from affordance_ros.models.parts.tokenizer import IMAGE_ID

PARITY = Path(__file__).parents[2] / 'data' / 'parity' / 'glover'
TOKENIZERS = {
    legacy: AddedTokenTokenizer.from_folder(PARITY / name / 'checkpoint')
    for legacy, name in ((False, 'glover'), (True, 'glover_plus'))
}
SEG = 520
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(['[SEG]', '<im_start>', '<im_end>', '</s>', '<s>', '<unk>', ' ', '\n', '\u2581', 'mug', '[SE']),
    ),
    max_size=8,
).map(''.join)


@pytest.mark.parametrize('legacy', [False, True])
def test_reads_the_mode_from_the_checkpoint(legacy):
    tokenizer = TOKENIZERS[legacy]
    assert tokenizer.legacy is legacy
    assert tokenizer.id_of('[SEG]') == SEG


def test_blanks_beside_an_added_token_vanish_and_beside_a_special_token_stay():
    for tokenizer in TOKENIZERS.values():
        assert tokenizer.encode('mug \t[SEG]\n mug') == tokenizer.encode('mug[SEG]mug')
        assert tokenizer.encode('mug </s>') != tokenizer.encode('mug</s>')


def test_the_modes_differ_in_the_text_after_a_token():
    blank = TOKENIZERS[True].encode('[SEG]mug')
    assert blank[1:] == TOKENIZERS[True].encode('mug')
    assert TOKENIZERS[False].encode('[SEG]mug')[1:] != TOKENIZERS[False].encode('mug')


def test_an_image_marker_starts_a_new_text():
    tokenizer = TOKENIZERS[False]
    assert tokenizer.encode_prompt('a<image>b') == [
        tokenizer.bos_id, *tokenizer.encode('a'), IMAGE_ID, *tokenizer.encode('b')
    ]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(text=TEXTS, legacy=st.booleans())
def test_any_text_gives_known_ids_and_counts_its_tokens(text, legacy):
    tokenizer = TOKENIZERS[legacy]
    ids = tokenizer.encode(text)
    assert all(0 <= number < SEG + 3 for number in ids)
    assert ids.count(SEG) == text.count('[SEG]')
    assert ids.count(tokenizer.eos_id) == text.count('</s>')


@settings(max_examples=600, deadline=None)
@given(ids=st.lists(st.integers(0, SEG + 40), max_size=30), legacy=st.booleans())
def test_any_ids_can_be_shown(ids, legacy):
    text = TOKENIZERS[legacy].decode(ids)
    assert text.count('[SEG]') >= ids.count(SEG)
    assert text.count('</s>') >= ids.count(TOKENIZERS[legacy].eos_id)


@settings(max_examples=500, deadline=None)
@given(words=st.lists(st.text('abcdefgh ', min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=5))
def test_plain_words_come_back(words):
    text = ' '.join(' '.join(words).split())
    for tokenizer in TOKENIZERS.values():
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_reads_the_list_of_newer_releases(tmp_path):
    (tmp_path / 'tokenizer.model').write_bytes((PARITY / 'glover' / 'checkpoint' / 'tokenizer.model').read_bytes())
    listed = {'0': {'content': '<unk>'}, '520': {'content': '[SEG]'}, '521': {'content': '<im_start>'}}
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps({'added_tokens_decoder': listed, 'legacy': False}))
    tokenizer = AddedTokenTokenizer.from_folder(tmp_path)
    assert tokenizer.added == {'[SEG]': 520, '<im_start>': 521}
    assert tokenizer.encode('mug [SEG] mug') == TOKENIZERS[False].encode('mug [SEG] mug')


def test_says_what_is_missing(tmp_path):
    with pytest.raises(AffordanceError, match='tokenizer.model') as caught:
        AddedTokenTokenizer.from_folder(tmp_path)
    assert caught.value.code == Code.MISSING_WEIGHTS
    (tmp_path / 'tokenizer.model').write_bytes((PARITY / 'glover' / 'checkpoint' / 'tokenizer.model').read_bytes())
    (tmp_path / 'added_tokens.json').write_text(json.dumps({'<im_start>': 520}))
    tokenizer = AddedTokenTokenizer.from_folder(tmp_path)
    assert tokenizer.legacy  # a folder that does not say is an old one
    with pytest.raises(AffordanceError, match=r'\[SEG\].*<im_start>') as caught:
        tokenizer.id_of('[SEG]')
    assert caught.value.code == Code.BAD_CHECKPOINT
    assert SPECIAL == ('<unk>', '<s>', '</s>')
