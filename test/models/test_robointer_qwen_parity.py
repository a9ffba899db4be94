# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter's Qwen2.5-VL variant against the outputs of the official code (test/data/parity/robointer/qwen)."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from affordance_ros.errors import AffordanceError, UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.parts.decoding import DecodeSettings, write
from affordance_ros.models.parts.qwen_tokenizer import chatml
from affordance_ros.models.parts.qwen_vl_image import Preparation
from affordance_ros.models.robointer_answers import read_text
from affordance_ros.models.robointer_prompts import with_images
from affordance_ros.models.robointer_qwen import place_images
from affordance_ros.results import Frame, Query

SET = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer'
ROOT = SET / 'qwen'
RECORDS = json.loads((ROOT / 'expected' / 'expected.json').read_text())['cases']
INPUTS = json.loads((ROOT / 'inputs' / 'cases.json').read_text())
CASES = tuple(name for name, record in RECORDS.items() if 'form' in record)
RESIZES = json.loads((SET / 'expected' / 'metric_cases.json').read_text())['smart_resize']
PIXELS, FEATURES, LOGITS, NEW = 1e-6, 1e-4, 2e-4, 24
# A plan is free text, which always parses; the geometry of gibberish does not.
FREE = {'planning'}


@functools.cache
def model(form, **options):
    options.setdefault('max_new_tokens', NEW)
    return load_model('robointer_qwen', checkpoint=ROOT / 'checkpoint', profile=form, **options)


@functools.cache
def arrays(case):
    with np.load(ROOT / 'expected' / f'{case}.npz') as content:
        return dict(content)


def rgbs(case):
    return [np.array(Image.open(SET / 'images' / f'{name}.png').convert('RGB')) for name in RECORDS[case]['images']]


def prompt_of(case):
    record, asker = RECORDS[case], model(RECORDS[case]['form']).asker
    count = len(record['images'])
    message = with_images(INPUTS[record['case']]['question'], count)
    text = chatml(place_images(message, count, record['form']))
    return text, asker.prompt(text, [asker.look(rgb) for rgb in rgbs(case)])


def close(got, want, tolerance):
    np.testing.assert_allclose(np.asarray(got), want, atol=tolerance, rtol=0)


@pytest.mark.parametrize('case', CASES)
def test_pixels_and_features(case):
    want, asker = arrays(case), model(RECORDS[case]['form']).asker
    patches = [asker.network.pixels(rgb) for rgb in rgbs(case)]
    assert [list(each.size) for each in patches] == RECORDS[case]['resized_wh']
    assert [[1, *each.grid] for each in patches] == want['image_grid_thw'].tolist()
    if 'pixel_rows' not in want:
        return
    values = np.concatenate([each.values for each in patches])
    close(values[want['pixel_rows']], want['pixel_values'], PIXELS)
    sums = values.astype(np.float64).sum(), np.abs(values.astype(np.float64)).sum()
    np.testing.assert_allclose(sums, want['pixel_sum'], rtol=1e-7, atol=1e-2)
    close(torch.cat([asker.look(rgb).features for rgb in rgbs(case)]), want['image_features'], FEATURES)


@pytest.mark.parametrize('case', CASES)
def test_prompt_positions_and_logits(case):
    want, record = arrays(case), RECORDS[case]
    text, prompt = prompt_of(case)
    assert text == record['prompt_text']
    assert list(prompt.penalized) == want['input_ids'].tolist()
    assert np.array_equal(prompt.positions[:, 0], want['position_ids'])
    assert prompt.next_position - len(prompt) == record['rope_delta'] == int(want['rope_delta'][0])
    session = model(record['form']).asker.session(prompt)
    close(session.logits, want['last_logits'], LOGITS)
    assert np.abs(session.logits.numpy() - want['last_logits_1d_positions_WRONG']).max() > 1
    for token, logits in zip(want.get('forced_ids', []), want.get('forced_logits', []), strict=True):
        close(session.logits, logits, LOGITS)
        session.push([int(token)])


@pytest.mark.parametrize('case', CASES)
def test_greedy_answers_through_predict(case):
    want, record = arrays(case), RECORDS[case]
    task = INPUTS[record['case']]['task']
    frames = [Frame(rgb) for rgb in rgbs(case)]
    query = Query(INPUTS[record['case']]['question'], task=task)
    for name, options in (('greedy_official', {}), ('greedy_no_penalty', {'repetition_penalty': 1.0})):
        loaded = model(record['form'], **options)
        try:
            text = loaded.predict(frames, query).text
        except UnparsableAnswer as error:
            text = error.text
        expected = loaded.asker.tokenizer.decode(record[name]['ids'])
        assert text == (read_text(expected) if task in FREE else expected)
        key = 'greedy_ids' if name == 'greedy_official' else 'greedy_ids_no_penalty'
        settings = DecodeSettings(NEW, repetition_penalty=1.05 if key == 'greedy_ids' else 1.0)
        ids = write(loaded.asker.session(prompt_of(case)[1]), loaded.asker.generation.eos_ids, settings).ids
        assert ids == want[key].tolist() == record[name]['ids']


def test_the_recorded_batch_through_predict_batch():
    record = RECORDS['batch__eval']
    cases = [f'{case}__eval' for case in record['cases']]
    queries = [Query(INPUTS[RECORDS[case]['case']]['question'], task='planning') for case in cases]  # words parse
    loaded = model('eval')
    with np.load(ROOT / 'expected' / 'batch__eval.npz') as content:
        greedy = content['greedy_ids']
    frames = [Frame(rgbs(case)[0]) for case in cases]
    for answer, ids in zip(loaded.predict_batch(list(zip(frames, queries, strict=True))), greedy, strict=True):
        assert answer.text == loaded.asker.tokenizer.decode(ids.tolist())
        assert answer.result.text == read_text(answer.text)


def test_a_padded_batch_gives_what_single_questions_give():
    record = RECORDS['batch__eval']
    with np.load(ROOT / 'expected' / 'batch__eval.npz') as content:
        batch = dict(content)
    for row, case in enumerate(record['cases']):
        prompt = prompt_of(f'{case}__eval')[1]
        real = batch['attention_mask'][row].astype(bool)
        assert list(prompt.penalized) == batch['input_ids'][row][real].tolist()
        assert np.array_equal(prompt.positions[:, 0], batch['position_ids'][:, row][:, real])
        session = model('eval').asker.session(prompt)
        close(session.logits, batch['last_logits'][row], LOGITS)
        ids = write(session, model('eval').asker.generation.eos_ids, DecodeSettings(NEW, repetition_penalty=1.05)).ids
        assert ids == batch['greedy_ids'][row].tolist()


def test_the_checkpoint_states_its_penalty():
    assert model('eval').asker.generation.repetition_penalty == 1.05
    assert '1.05 (generation_config.json)' in model('eval').describe().settings['repetition_penalty']


@pytest.mark.parametrize('index', range(len(RESIZES)))
def test_sizes(index):
    case = RESIZES[index]
    for limit, key in ((12845056, 'model_limits'), (1003520, 'official_eval_script')):
        preparation = Preparation(max_pixels=limit)
        if isinstance(case[key], dict):
            with pytest.raises(AffordanceError, match='each side must be at least 28 pixels'):
                preparation.resized(case['w'], case['h'])
        else:
            width, height = preparation.resized(case['w'], case['h'])
            assert [height, width] == case[key]
