# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter against the recorded outputs of the official code: tiles, features, logits, answers, token counts."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from PIL import Image  # noqa: E402

from affordance_ros.errors import UnparsableAnswer  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings, Prompt, Session, write  # noqa: E402
from affordance_ros.models.parts.qwen_tokenizer import chatml  # noqa: E402
from affordance_ros.models.robointer_prompts import with_images  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

SET = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer'
EXPECTED = json.loads((SET / 'llavaov' / 'expected' / 'expected.json').read_text())
CASES = EXPECTED['cases']
ASKED = [name for name, case in CASES.items() if case['mode'] != 'features_only']
TASKS = json.loads((SET / 'llavaov' / 'inputs' / 'cases.json').read_text())


@pytest.fixture(scope='module')
def model():
    return load_model(
        'robointer', SET / 'llavaov' / 'checkpoint', siglip=str(SET / 'llavaov' / 'siglip-tiny-patch14-384'),
        profile='eval', max_new_tokens=32,
    )  # fmt: skip


def image(name):
    return np.array(Image.open(SET / 'images' / f'{name}.png').convert('RGB'))


def wanted(case):
    return np.load(SET / 'llavaov' / 'expected' / f'{case}.npz')


def tiles_of(model, case, name):
    anyres = model.network.anyres
    return anyres.squared(image(name)) if CASES[case]['mode'] == 'train_pad' else anyres.tiles(image(name))


def features(model, case):
    return [
        model.network.image_features(tiles_of(model, case, name), image(name).shape[1::-1])
        for name in CASES[case]['images']
    ]


@pytest.mark.parametrize('case', CASES)
def test_tiles_are_those_of_the_official_code(model, case):
    want = wanted(case)
    for index, name in enumerate(CASES[case]['images']):
        tiles = tiles_of(model, case, name)
        if f'tiles_u8_{index}' in want:
            np.testing.assert_array_equal(tiles, want[f'tiles_u8_{index}'])
        else:
            hashes = [value for key, value in CASES[case].items() if 'sha' in key]
            assert hashes == [hashlib.sha256(tiles.tobytes()).hexdigest()]


@pytest.mark.parametrize('case', CASES)
def test_features(model, case):
    want = wanted(case)
    for index, got in enumerate(features(model, case)):
        rows = got[want[f'feature_rows_{index}']]
        np.testing.assert_allclose(rows.numpy(), want[f'features_{index}'], atol=5e-5, rtol=0)
        assert len(got) == CASES[case]['visual_tokens'][index]


@pytest.mark.parametrize('case', ASKED)
def test_prompt_logits_and_greedy_answers(model, case):
    want, record = wanted(case), CASES[case]
    prompt = chatml(with_images(record['question'].replace('<image>\n', ''), len(record['images'])))
    assert prompt == record['prompt_text']
    ids = model.tokenizer.encode_prompt(prompt)
    assert ids == want['prompt_ids'].tolist()
    embeddings = model.network.embed(ids, features(model, case))
    assert embeddings.shape[1] == record['sequence_len']
    llm = model.network.llm
    session = Session(llm.model, llm.lm_head, Prompt(embeddings))
    np.testing.assert_allclose(session.logits.numpy(), want['last_logits'], atol=1e-4, rtol=0)
    forced = want['forced_ids'].tolist()
    session.push(forced[:-1])
    with torch.inference_mode():
        forced_logits = llm.lm_head(session.new_hidden)
    np.testing.assert_allclose(forced_logits.numpy(), want['forced_logits'][1:], atol=1e-4, rtol=0)
    for penalty, key in ((1.05, 'greedy_ids'), (1.0, 'greedy_ids_no_penalty')):
        session = Session(llm.model, llm.lm_head, Prompt(embeddings))
        settings = DecodeSettings(max_new_tokens=32, repetition_penalty=penalty)
        assert write(session, model.tokenizer.eos_ids, settings).ids == want[key].tolist()


@pytest.mark.parametrize('case', ASKED)
def test_predict_writes_the_official_text(case):
    """The text of the tiny random model means nothing, so it arrives as that of an unreadable answer, or as a plan."""
    record = CASES[case]
    model = load_model(
        'robointer', SET / 'llavaov' / 'checkpoint', siglip=str(SET / 'llavaov' / 'siglip-tiny-patch14-384'),
        profile='eval', max_new_tokens=32,
        multi_image='train_pad' if record['mode'] == 'train_pad' else 'official_eval_anyres',
    )  # fmt: skip
    frames = [Frame(image(name)) for name in record['images']]
    task = TASKS['two' if case.startswith('two') else case]['task']
    query = Query(record['question'].replace('<image>\n', ''), task=task)
    official = record['greedy_official']['text'].strip()
    if task == 'planning':
        assert model.predict(frames, query).text == official
        return
    with pytest.raises(UnparsableAnswer) as caught:
        model.predict(frames, query)
    assert caught.value.text == official


def test_token_counts_of_the_official_code(model):
    for record in json.loads((SET / 'llavaov' / 'expected' / 'token_counts.json').read_text()):
        assert model.network.anyres.token_count(record['w'], record['h']) == record['tokens'], record
        assert list(model.network.anyres.canvas(record['w'], record['h'])) == record['canvas'], record
