# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1 against the outputs of the official code, over the whole recorded set (test/data/parity)."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_qwen_vl import writes

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.affordance_r1_answers import read_strict
from affordance_ros.models.affordance_r1_official import official_infer_parse, official_parse
from affordance_ros.models.affordance_r1_prompts import PROFILES, SIDE
from affordance_ros.models.parts.decoding import DecodeSettings, write
from affordance_ros.models.parts.qwen_vl_image import stretch
from affordance_ros.models.parts.segmenting import MaskPrompts, best_candidate, union
from affordance_ros.results import Frame, Query

PARITY = Path(__file__).parents[1] / 'data' / 'parity'
ROOT = PARITY / 'affordance_r1'
RECORDS = json.loads((ROOT / 'expected' / 'expected.json').read_text())
CASES = {case['name']: case for case in RECORDS['cases']}
TEXTS = json.loads((ROOT / 'expected' / 'parse_cases.json').read_text())
OFFICIAL = ('train', 'infer', 'eval', 'zeroshot')
PIXELS, VALUES, SCORES, MASK_PIXELS = 1e-5, 1e-4, 1e-4, 20


def sam2():
    own = sorted((ROOT / 'checkpoint').glob('sam2_pkg/*.pt'))
    return str((own or sorted((PARITY / 'sam2' / 'sam2_pkg').glob('*.pt')))[0])


@functools.cache
def model(**options):
    options.setdefault('max_new_tokens', RECORDS['n_new'])
    return load_model('affordance_r1', checkpoint=ROOT / 'checkpoint' / 'affordance-r1', **options)


@functools.cache
def arrays(case):
    with np.load(ROOT / 'expected' / f'{case}.npz') as content:
        return dict(content)


@functools.cache
def rgb(case):
    return np.array(Image.open(ROOT / 'inputs' / f'{case}.png').convert('RGB'))


def prompt_of(case, profile):
    """Return the prompt of a case on the network, image and all."""
    asker = model().asker
    chosen = PROFILES[profile]
    text = chosen.prompt(chosen.question(Query(CASES[case]['question'])))
    return text, asker.prompt(text, [asker.look(stretch(rgb(case), SIDE))])


def close(got, want, tolerance):
    np.testing.assert_allclose(np.asarray(got), want, atol=tolerance, rtol=0)


@pytest.mark.parametrize('case', CASES)
def test_the_square_and_its_features(case):
    want, asker = arrays(case), model().asker
    square = stretch(rgb(case), SIDE)
    assert np.array_equal(square, np.array(Image.open(ROOT / 'expected' / f'{case}.resized840.png').convert('RGB')))
    patches = asker.network.pixels(square)
    assert [[1, *patches.grid]] == want['image_grid_thw'].tolist()
    close(patches.values[want['pv_rows']], want['pixel_values_rows'], PIXELS)
    close(patches.values.mean(1), want['pv_row_mean'], PIXELS)
    close(np.abs(patches.values).mean(1), want['pv_row_absmean'], PIXELS)
    features = asker.look(square).features
    close(features[::10], want['image_features_every10'], VALUES)
    close(features.mean(0), want['image_features_mean'], VALUES)


@pytest.mark.parametrize('profile', OFFICIAL)
@pytest.mark.parametrize('case', CASES)
def test_prompt_positions_and_logits(case, profile):
    want, asker = arrays(case), model().asker
    text, prompt = prompt_of(case, profile)
    assert text == CASES[case]['profiles'][profile]['rendered_prompt_one_pad']
    assert list(prompt.penalized) == want[f'ids_{profile}'].tolist()
    assert prompt.next_position - len(prompt) == int(want[f'rope_delta_{profile}'][0])
    if f'position_ids_{profile}' in want:
        assert np.array_equal(prompt.positions[:, 0], want[f'position_ids_{profile}'])
    close(asker.session(prompt).logits, want[f'last_logits_{profile}'], VALUES)


@pytest.mark.parametrize('profile', OFFICIAL)
@pytest.mark.parametrize('case', CASES)
def test_greedy_answers_through_predict(case, profile):
    want, record = arrays(case), CASES[case]['profiles'][profile]
    penalty = RECORDS['rep_override']
    for key, name, options in (
        ('greedy', 'greedy_text', {}),
        ('greedy_rep', 'greedy_text_rep_override', {'repetition_penalty': penalty}),
    ):
        if f'{key}_{profile}' not in want:
            continue
        loaded = model(profile=profile, **options)
        with pytest.raises(UnparsableAnswer) as caught:
            loaded.predict(Frame(rgb(case)), Query(CASES[case]['question']))
        assert caught.value.text == record[name]
        _, prompt = prompt_of(case, profile)
        settings = DecodeSettings(RECORDS['n_new'], repetition_penalty=options.get('repetition_penalty', 1.0))
        ids = write(loaded.asker.session(prompt), loaded.asker.generation.eos_ids, settings).ids
        assert ids == want[f'{key}_{profile}'].tolist()


@pytest.mark.parametrize('case', CASES)
def test_a_played_back_answer_token_by_token(case):
    want, asker = arrays(case), model().asker
    ids = want['tf_ids_eval'].tolist()
    assert asker.tokenizer.encode(CASES[case]['playback'][0]['answer'])[: len(ids)] == ids
    session = asker.session(prompt_of(case, 'eval')[1])
    rows = []
    for token in ids:
        rows.append(session.logits.clone())
        session.push([token])
    logits = torch.stack(rows)
    close(logits, want['tf_logits_eval'], VALUES)
    close(logits.log_softmax(-1)[range(len(ids)), ids], want['tf_logprobs_eval'], VALUES)


def test_two_questions_of_a_batch_are_answered_as_one_by_one():
    with np.load(ROOT / 'expected' / 'batch2_eval.npz') as content:
        ids, mask, greedy = content['ids'], content['mask'].astype(bool), content['greedy']
    for row, (question, image) in enumerate(
        zip(RECORDS['batch2']['questions'], RECORDS['batch2']['images'], strict=True)
    ):
        asker, chosen = model().asker, PROFILES['eval']
        prompt = asker.prompt(chosen.prompt(chosen.question(Query(question))), [asker.look(stretch(rgb(image), SIDE))])
        assert list(prompt.penalized) == ids[row][mask[row]].tolist()
        new = write(asker.session(prompt), asker.generation.eos_ids, DecodeSettings(RECORDS['n_new'])).ids
        assert new == greedy[row].tolist()
        with pytest.raises(UnparsableAnswer) as caught:
            model(profile='eval').predict(Frame(rgb(image)), Query(question))
        assert caught.value.text == RECORDS['batch2']['text'][row]


@pytest.mark.parametrize('case', CASES)
def test_masks_of_played_back_answers(case):
    """What `predict` does behind the text: strict reading, then SAM 2, one prompt of box and point per item."""
    want, segmenter = arrays(case), model(sam2=sam2()).segmenter
    height, width = rgb(case).shape[:2]
    for number, record in enumerate(CASES[case]['playback']):
        answer = read_strict(record['answer'], width, height)
        assert answer.prompts[:, :4].tolist() == record['boxes']
        assert answer.prompts[:, 4:].tolist() == record['points']
        assert (answer.think, answer.rethink) == (record['think'], record['rethink'])
        if not record['items']:
            continue
        prompts = MaskPrompts(answer.prompts[:, :4], answer.prompts[:, 4:])
        scores = segmenter.logits(rgb(case), prompts).scores.numpy()
        masks = segmenter.segment(rgb(case), prompts)
        for index, item in enumerate(record['items']):
            close(scores[index], want[f'sam_scores_{number}_{index}'], SCORES)
            assert best_candidate(scores)[index] == item['chosen']
            recorded = np.unpackbits(want[f'sam_mask_best_{number}_{index}'], count=height * width)
            assert (masks.masks[index].ravel() != recorded.astype(bool)).sum() <= MASK_PIXELS
            assert abs(masks.masks[index].sum() - item['areas'][item['chosen']]) <= MASK_PIXELS
        whole = union(masks, height, width)
        recorded = np.unpackbits(want[f'union_{number}'], count=height * width).astype(bool)
        assert (whole.ravel() != recorded).sum() <= MASK_PIXELS
        assert abs(int(whole.sum()) - record['union_area']) <= MASK_PIXELS


@pytest.mark.parametrize('case', CASES)
def test_played_back_answers_through_predict(case):
    """The whole way of the demo program: what it was given to read, the model is made to write."""
    want, frame = arrays(case), Frame(rgb(case))
    for number, record in enumerate(CASES[case]['playback']):
        playing = load_model(
            'affordance_r1', ROOT / 'checkpoint' / 'affordance-r1', profile='infer', sam2=sam2(), max_new_tokens=1000
        )
        prediction = writes(playing, record['answer']).predict(frame, Query(CASES[case]['question']))
        assert prediction.text == record['answer']
        assert prediction.boxes.boxes.tolist() == record['boxes']
        assert prediction.keypoints.points.tolist() == record['points']
        assert prediction.reasoning == '\n\n'.join(text for text in (record['think'], record['rethink']) if text)
        assert len(prediction.masks) == len(record['items'])
        for index, item in enumerate(record['items']):
            assert prediction.masks.scores[index] == pytest.approx(item['scores'][item['chosen']], abs=SCORES)
        whole = union(prediction.masks, frame.height, frame.width)
        recorded = np.unpackbits(want[f'union_{number}'], count=whole.size).astype(bool)
        assert (whole.ravel() != recorded).sum() <= MASK_PIXELS


def outcome(parse, text, width, height):
    try:
        read = parse(text, width / SIDE, height / SIDE)
    except (ValueError, TypeError, LookupError, OverflowError, UnboundLocalError) as error:
        return {'exception': type(error).__name__}
    return {'boxes': [list(box) for box in read.boxes], 'points': [list(point) for point in read.points]}


@pytest.mark.parametrize('index', range(len(TEXTS)), ids=lambda index: TEXTS[index]['name'])
def test_official_parsers(index):
    record = TEXTS[index]
    for size, want in record['by_size'].items():
        width, height = (int(side) for side in size.split('x'))
        assert outcome(official_parse, record['raw'], width, height) == want
    if 'exception' not in record['eval']:
        read = official_parse(record['raw'], 1.0, 1.0)
        assert (read.think, read.rethink) == (record['eval']['think'], record['eval']['rethink'])
        assert len(read.boxes) == record['eval']['n']
    got = outcome(official_infer_parse, record['raw'], SIDE, SIDE)
    want = outcome(official_parse, record['raw'], SIDE, SIDE) if 'same_as_eval' in record['infer'] else record['infer']
    assert got == want
