# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HandsOnVLM against the outputs of the official code, over the whole recorded set (test/data/parity/handsonvlm)."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from affordance_ros.models import load_model
from affordance_ros.models.handsonvlm_heads import encode_positions, gaussian, split_hands
from affordance_ros.models.handsonvlm_official import (
    official_model_name,
    official_questions,
    official_returned,
    official_template,
    official_training_ids,
)
from affordance_ros.models.handsonvlm_prompts import render, with_image
from affordance_ros.models.handsonvlm_video import CLIP_FRAMES, visual_tokens
from affordance_ros.models.handsonvlm_writing import HandSession
from affordance_ros.models.parts.decoding import DecodeSettings, write
from affordance_ros.models.parts.tokenizer import IMAGE_ID
from affordance_ros.results import Frame, Query

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm'
RECORDS = json.loads((ROOT / 'expected' / 'expected.json').read_text())['cases']
CASES = tuple(RECORDS)
TEXTS = json.loads((ROOT / 'expected' / 'text_cases.json').read_text())
PARSE = json.loads((ROOT / 'expected' / 'parse_cases.json').read_text())
ANSWERS = next(value for value in PARSE.values() if isinstance(value, list))
with np.load(ROOT / 'expected' / 'posenc_cases.npz') as _content:
    ENCODINGS = dict(_content)
CHECKPOINT = next(path.parent for path in sorted(ROOT.glob('checkpoint/*/added_tokens.json')))
FEATURES, HANDS = 1e-4, 5e-5
Z_SCALE = 2.0


@functools.cache
def model(**options):
    return load_model('handsonvlm', checkpoint=CHECKPOINT, **options)


def greedy():
    return model(profile='official', temperature=0.0, z_scale=0.0)


@functools.cache
def arrays(case):
    with np.load(ROOT / 'expected' / f'{case}.npz') as content:
        return dict(content)


@functools.cache
def frames(case):
    """Return the frames of a case as `predict` takes them: a clip, or one still image."""
    paths = sorted((ROOT / RECORDS[case]['input']).glob('*.png'))
    found = tuple(Frame(np.array(Image.open(path).convert('RGB'))) for path in paths)
    return found if len(found) > 1 else found[0]


def rgbs(case):
    given = frames(case)
    return [given.rgb] * CLIP_FRAMES if isinstance(given, Frame) else [frame.rgb for frame in given]


@functools.cache
def prompt_rows(case):
    """Return the embeddings of the recorded prompt with the clip in it."""
    return greedy().network.embed(arrays(case)['input_ids'].tolist(), visual_tokens(greedy().frame_tokens(rgbs(case))))


def recorded(noise, scale=Z_SCALE):
    """Return a latent that replays recorded noise (n, 2, 256)."""
    return lambda index, _: torch.from_numpy(scale * noise[index])


def replay(case, ids, latent):
    """Force `ids` token by token; return the session, hidden states and logits that predict each, last inputs."""
    session = HandSession(greedy().network, prompt_rows(case), latent)
    inputs, seen = [], {'row': prompt_rows(case)[0, -1]}
    push = session.push_embeddings

    def remember(rows):
        seen['row'] = rows[0, -1]
        push(rows)

    session.push_embeddings = remember
    hidden, logits = [], []
    for token in ids:
        logits.append(session.logits.numpy())
        hidden.append(session.hidden.numpy())
        inputs.append(seen['row'].numpy())
        session.push([token])
    return session, np.stack(hidden), np.stack(logits), np.stack(inputs)


def close(got, want, tolerance):
    np.testing.assert_allclose(np.asarray(got), want, atol=tolerance, rtol=0)


def check_stats(logits, wanted):
    """Compare with recorded (max, argmax, mean, logsumexp) over the vocabulary."""
    rows = torch.from_numpy(np.atleast_2d(logits))
    assert rows.argmax(-1).tolist() == wanted[:, 1].astype(int).tolist()
    for index, got in ((0, rows.amax(-1)), (2, rows.mean(-1)), (3, rows.logsumexp(-1))):
        close(got.numpy(), wanted[:, index], FEATURES)


@pytest.mark.parametrize('case', CASES)
def test_pixels_and_tower(case):
    network, want = greedy().network, arrays(case)
    pixels = np.stack([network.pixels(rgb) for rgb in rgbs(case)])
    assert pixels.dtype == np.float32
    close(pixels[:, :, ::8, ::8], want['pixel_values_sub8'], 2e-6)
    close(pixels[0], want['pixel_values_first'], 2e-6)
    if 'pixel_values_last' in want:
        close(pixels[-1], want['pixel_values_last'], 2e-6)
    close(pixels.astype(np.float64).sum((1, 2, 3)), want['pixel_sum'], 0.05)
    close(np.abs(pixels).astype(np.float64).sum((1, 2, 3)), want['pixel_abs_sum'], 0.05)
    features = network.clip_features([rgbs(case)[0], rgbs(case)[-1]]).numpy()
    close(features[0], want['clip_feat_first'], FEATURES)
    if 'clip_feat_last' in want:
        close(features[1], want['clip_feat_last'], FEATURES)


@pytest.mark.parametrize('case', CASES)
def test_visual_tokens_and_prompt(case):
    want, record = arrays(case), RECORDS[case]
    prompt = render(official_template(str(CHECKPOINT)), [(with_image(record['question']), None)])
    assert prompt == record['prompt']
    ids = greedy().tokenizer.encode_prompt(prompt)
    assert ids == want['input_ids'].tolist()
    assert ids.index(IMAGE_ID) == int(want['image_token_pos'])
    tokens = visual_tokens(greedy().frame_tokens(rgbs(case)))
    close(tokens.numpy(), want['visual_tokens'], FEATURES)
    assert prompt_rows(case).shape[1] == record['sequence_length']


@pytest.mark.parametrize('case', CASES)
def test_hidden_states_and_logits_of_the_prompt(case):
    want, session = arrays(case), HandSession(greedy().network, prompt_rows(case), gaussian(0.0))
    close(session.new_hidden.numpy(), want['prefill_hidden'], FEATURES)
    logits = session.logits.numpy()
    close(logits[want['logit_ids']], want['prefill_logits_sub'], FEATURES)
    check_stats(logits, want['prefill_logits_stats'])
    if 'prefill_logits_full' in want:
        close(logits, want['prefill_logits_full'], FEATURES)


@pytest.mark.parametrize('case', CASES)
def test_a_forced_answer_token_by_token(case):
    want, record = arrays(case), RECORDS[case]
    ids = want['forced_ids'].tolist()
    tokenizer, network = greedy().tokenizer, greedy().network
    assert [*tokenizer.encode(record['answer_forced']), tokenizer.eos_id] == ids
    assert tokenizer.decode(ids).strip() == record['forced']['text']
    session, hidden, logits, inputs = replay(case, ids, gaussian(0.0))
    at = want['hand_steps']
    assert [index for index, token in enumerate(ids) if token == network.hand_id] == at.tolist()
    close(hidden, want['forced_hidden'], FEATURES)
    close(logits[:, want['logit_ids']], want['forced_logits_sub'], FEATURES)
    check_stats(logits, want['forced_logits_stats'])
    close(inputs, want['forced_input_embeds'], FEATURES)
    close(inputs[at + 1], want['hand_token_embeds'], FEATURES)
    close(np.stack([split_hands(torch.from_numpy(hidden[step])).numpy() for step in at]), want['z0_cond'], HANDS)
    positions = session.positions.numpy()
    close(positions, want['z0_hands'], HANDS)
    close(official_returned(positions), want['z0_returned'], HANDS)


@pytest.mark.parametrize('case', CASES)
def test_a_forced_answer_with_recorded_noise(case):
    want = arrays(case)
    session, hidden, logits, inputs = replay(case, want['forced_ids'].tolist(), recorded(want['zn_noise']))
    close(hidden, want['zn_hidden'], FEATURES)
    close(logits[:, want['logit_ids']], want['zn_logits_sub'], FEATURES)
    close(inputs[want['hand_steps'] + 1], want['zn_hand_token_embeds'], FEATURES)
    conditions = [split_hands(torch.from_numpy(hidden[step])).numpy() for step in want['hand_steps']]
    close(np.stack(conditions), want['zn_cond'], HANDS)
    close(session.positions.numpy(), want['zn_hands'], HANDS)


@pytest.mark.parametrize('case', CASES)
def test_one_pass_over_prompt_and_answer_equals_the_loop(case):
    want, network = arrays(case), greedy().network
    ids = want['forced_ids'].tolist()
    fed = HandSession(network, prompt_rows(case), gaussian(0.0)).embed(ids[:-1]).clone()
    hands = torch.from_numpy(want['zn_hands']).transpose(0, 1)  # (n, 2, xy)
    fed[0, want['hand_steps']] += encode_positions(hands, network.size)
    with torch.inference_mode():
        states = network.llm.model(inputs_embeds=torch.cat([prompt_rows(case), fed], dim=1)).last_hidden_state[0]
    close(states[-len(ids) :].numpy(), want['teacher_hidden'], FEATURES)


@pytest.mark.parametrize('case', CASES)
def test_greedy_answers_through_predict(case):
    want, record = arrays(case), RECORDS[case]['greedy']
    written = HandSession(greedy().network, prompt_rows(case), gaussian(0.0))
    ids = write(written, (greedy().tokenizer.eos_id,), DecodeSettings(max_new_tokens=100)).ids
    assert ids == want['greedy_ids'].tolist() == record['ids']
    _, hidden, logits, _ = replay(case, ids, gaussian(0.0))
    close(hidden, want['greedy_hidden'], FEATURES)
    top = np.sort(logits, axis=1)[:, -2:]
    close(top[:, 1] - top[:, 0], want['greedy_margin'], 2 * FEATURES)

    prediction = greedy().predict(frames(case), Query(RECORDS[case]['question']))
    assert prediction.text == record['text']
    size = np.array(RECORDS[case]['frame_size_wh'])
    steps = want['greedy_hands'].shape[1]
    assert [hand.side for hand in prediction.hands] == (['right', 'left'] if steps else [])
    for hand, positions in zip(prediction.hands, want['greedy_hands'][: 2 if steps else 0], strict=True):
        close(hand.points / size, positions[-4:], HANDS)
        assert hand.times_s.tolist() == [0.25 * (index + 1) for index in range(len(positions[-4:]))]
    close(official_returned(written.positions.numpy()), want['greedy_returned'], HANDS)


@pytest.mark.parametrize('case', CASES)
def test_forced_answers_through_predict(case):
    want, record = arrays(case), RECORDS[case]
    forcing = model(profile='official', decode='constrained', z_scale=0.0, answer=record['answer_forced'])
    stages = []
    prediction = forcing.predict(
        frames(case), Query(record['question']), progress=lambda step: stages.append(step.stage)
    )
    assert prediction.text == record['forced']['text']
    size = np.array(record['frame_size_wh'])
    close(np.stack([hand.points / size for hand in prediction.hands]), want['z0_hands'], HANDS)
    assert stages.count('generate') == 5  # one per hand token, and the rest of the text in one go


@pytest.mark.parametrize('case', CASES)
def test_sampled_answers_with_the_recorded_seed(case):
    want, record = arrays(case), RECORDS[case]['sampled']
    sampling = model(profile='official', seed=record['torch_manual_seed'])
    prediction = sampling.predict(frames(case), Query(RECORDS[case]['question']))
    assert prediction.text == record['text']
    positions = replay(case, want['sampled_ids'].tolist(), recorded(want['sampled_noise']))[0].positions.numpy()
    close(positions, want['sampled_hands'], HANDS)
    close(official_returned(positions), want['sampled_returned'], HANDS)
    size = np.array(RECORDS[case]['frame_size_wh'])
    if want['sampled_hands'].shape[1]:
        close(np.stack([hand.points / size for hand in prediction.hands]), want['sampled_hands'][:, -4:], HANDS)
    else:
        assert prediction.hands == ()


@pytest.mark.parametrize('index', range(len(ANSWERS)), ids=lambda index: ANSWERS[index]['name'])
def test_answers_of_every_form(index):
    case, record = ANSWERS[index], PARSE['case']
    tokenizer = greedy().tokenizer
    assert tokenizer.encode(case['raw_answer']) == case['answer_token_ids']
    emitted = case['emitted_ids']
    assert tokenizer.decode(emitted).strip() == case['official_text']
    session = HandSession(greedy().network, prompt_rows(record), gaussian(0.0))
    session.push(emitted)
    positions = session.positions.numpy()
    assert positions.shape == (2, case['n_hand_tokens'], 2)
    if case['predicted_hands'] != 'omitted':
        close(positions, np.reshape(case['predicted_hands'], (2, -1, 2)), HANDS)
    close(official_returned(positions), case['returned_hands'], HANDS)


@pytest.mark.parametrize('name', [name for name in ENCODINGS if name.startswith('enc_')])
def test_position_encodings(name):
    dtype, tolerance = (torch.float16, 2e-3) if name.endswith('fp16') else (torch.float32, 1e-6)
    wanted = ENCODINGS[name].astype(np.float32)
    got = encode_positions(torch.from_numpy(ENCODINGS['positions']).to(dtype), wanted.shape[-1], dtype)
    assert got.dtype == dtype
    close(got.float().numpy(), wanted, tolerance)


@pytest.mark.parametrize('index', range(len(TEXTS['prompts'])))
def test_prompts_and_ids(index):
    case = TEXTS['prompts'][index]
    for name, want in case['templates'].items():
        prompt = render(name, [(with_image(case['question']), None)])
        assert prompt == want['prompt']
        assert greedy().tokenizer.encode_prompt(prompt) == want['ids']


def test_tokens_of_texts_and_texts_of_tokens():
    tokenizer = greedy().tokenizer
    for case in TEXTS['tokenize']:
        assert tokenizer.encode(case['text']) == case['ids']
        assert tokenizer.decode(case['ids']) == case['decoded']
    for case in TEXTS['decode']:
        assert tokenizer.decode(case['ids']) == case['decoded']
    talk = TEXTS['multi_turn']
    assert tokenizer.encode_prompt(talk['prompt']) == talk['ids']


def test_training_ids_and_labels():
    for case in TEXTS['train_text_vicuna_v1']:
        said = [text for _, text in case['turns']]
        ids, labels = official_training_ids(list(zip(said[::2], said[1::2], strict=True)), greedy().tokenizer)
        assert ids == case['input_ids']
        assert labels == case['labels']


def test_names_and_questions_of_the_official_programs():
    for case in TEXTS['model_name_from_path']:
        assert official_model_name(case['path']) == case['name']
    for case in TEXTS['extract_questions']:
        assert official_questions(case['value']) == case['questions']
