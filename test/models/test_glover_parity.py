# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GLOVER and GLOVER++ against recorded outputs of the official code on tiny checkpoints (test/data/parity/glover)."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model
from affordance_ros.models.glover_official import official_overlay, official_text
from affordance_ros.models.glover_prompts import TRAINING_ANSWER, build_prompt, build_question
from affordance_ros.models.parts.sam import prepare, resize_rgb
from affordance_ros.results import Frame, Query

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'glover'
VARIANTS = ('glover', 'glover_plus')
IMAGES = ('img0', 'img1', 'img2')
TOLERANCE = {
    'pixels': 1e-6, 'embeddings': 1e-4, 'answer_logits': 2e-4, 'stage1': 5e-4, 'stage2': 2e-3, 'logits': 5e-4,
    'probabilities': 1e-4,
}  # fmt: skip


@functools.cache
def model(variant, profile='robot', **options):
    return load_model(
        variant, checkpoint=PARITY / variant / 'checkpoint', clip=str(PARITY / 'clip-vit-tiny-patch14'),
        profile=profile, **options,
    )  # fmt: skip


@functools.cache
def rgb(image):
    return np.array(Image.open(PARITY / 'inputs' / f'{image}.png').convert('RGB'))


@functools.cache
def expected(variant):
    return json.loads((PARITY / variant / 'expected' / 'expected.json').read_text())['cases']


@functools.cache
def parse_cases(variant):
    return json.loads((PARITY / variant / 'expected' / 'parse_cases.json').read_text())


@functools.cache
def arrays(path):
    with np.load(PARITY / path) as content:
        return dict(content)


def cases(*kinds):
    listed = [
        (variant, case, entry['kind'])
        for variant in VARIANTS
        for case, entry in json.loads((PARITY / variant / 'expected' / 'expected.json').read_text())['cases'].items()
    ]
    return pytest.mark.parametrize(('variant', 'case'), [(v, c) for v, c, kind in listed if kind in kinds])


def model_of(variant, case):
    """The model with the options of a recorded case."""
    entry = expected(variant)[case]
    profile = 'forced' if entry['kind'] == 'forced' else 'infer'
    options = {'max_new_tokens': entry['max_new_tokens']} if entry.get('max_new_tokens', 512) != 512 else {}
    if entry.get('use_text_emb_in_suffix_sam') is False:
        options['text_in_second_stage'] = False
    return model(variant, profile, **options)


def frame_and_query(variant, case):
    entry = expected(variant)[case]
    return Frame(rgb(entry['image'].removesuffix('.png'))), Query(object=entry['object'], action=entry['action'])


@functools.cache
def answered(variant, case):
    frame, query = frame_and_query(variant, case)
    return model_of(variant, case).answer(frame, query)


def far(ours, theirs):
    return float(np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0.0))


@pytest.mark.parametrize('image', IMAGES)
def test_pixels(image):
    recorded = arrays(f'expected/pixels_{image}.npz')
    network = model('glover').network
    scaled = network.scale(rgb(image))
    assert far(network.clip_pixels(rgb(image)), recorded['clip_pixel_values'][0]) <= TOLERANCE['pixels']
    assert far(scaled.pixels, recorded['sam_pixel_values'][0]) <= TOLERANCE['pixels']
    assert scaled.resized == tuple(recorded['resized_hw'])
    real = prepare(rgb(image), 1024)
    assert real.resized == tuple(recorded['resized_hw_1024'])
    assert far(real.pixels[:, ::16, ::16], recorded['sam_1024_every16'][0]) <= TOLERANCE['pixels']
    note = json.loads((PARITY / 'expected' / 'pixels.json').read_text())[image]
    assert hashlib.sha256(resize_rgb(rgb(image), real.resized).tobytes()).hexdigest() == note['sha256_resized_u8_1024']


@pytest.mark.parametrize('image', IMAGES)
@pytest.mark.parametrize('variant', VARIANTS)
def test_image_encodings(variant, image):
    recorded = arrays(f'{variant}/expected/image_{image}.npz')
    network = model(variant).network
    features = network.clip_features(network.clip_pixels(rgb(image)))
    assert far(features[::4], recorded['clip_features_every4'][0]) <= TOLERANCE['embeddings']
    assert far(network.project(features)[::4], recorded['projected_tokens_every4'][0]) <= TOLERANCE['embeddings']
    embedding = network.sam.encode(network.scale(rgb(image)).pixels)
    assert far(embedding[:, ::2], recorded['sam_image_embedding_every2ch']) <= TOLERANCE['embeddings']
    positions = network.sam.prompt_encoder.grid_positions(embedding.shape[-1]).detach()
    assert far(positions[..., ::2, ::2], recorded['sam_dense_pe_every2']) <= TOLERANCE['embeddings']


@cases('greedy', 'forced')
def test_prompts_ids_and_texts(variant, case):
    entry, recorded = expected(variant)[case], arrays(f'{variant}/expected/{case}.npz')
    loaded = model_of(variant, case)
    prompt = build_prompt(build_question(frame_and_query(variant, case)[1]))
    assert prompt == entry['prompt']
    assert loaded.tokenizer.encode_prompt(prompt) == recorded['input_ids'].tolist()
    answer = answered(variant, case)
    assert list(answer.sequence) == recorded['sequence'].tolist()
    assert official_text(loaded.tokenizer, answer.sequence) == entry['text']


@cases('greedy', 'forced')
def test_embeddings_and_maps(variant, case):
    entry, recorded = expected(variant)[case], arrays(f'{variant}/expected/{case}.npz')
    answer = answered(variant, case)
    assert list(answer.logits.shape) == entry['masks_shape']
    assert str(answer.maps.logits.dtype) == entry['masks_dtype']
    assert far(answer.embeddings, recorded['seg_embedding']) <= TOLERANCE['embeddings']
    checks = [('stage1', answer.maps.first, answer.maps.first_iou)]
    if variant == 'glover_plus':
        checks.append(('stage2', answer.maps.second, answer.maps.second_iou))
    for stage, low, iou in checks:
        step = 1 if f'{stage}_low_res' in recorded else 2
        name = f'{stage}_low_res' + ('' if step == 1 else '_every2')
        assert far(low[..., ::step, ::step], recorded[name]) <= TOLERANCE[stage]
        if f'{stage}_iou' in recorded:
            assert far(iou, recorded[f'{stage}_iou']) <= TOLERANCE['probabilities']
    if 'logits_grid' in recorded:
        stride = int(recorded['grid_stride'])
        assert far(answer.logits[:, ::stride, ::stride], recorded['logits_grid']) <= TOLERANCE['logits']


@cases('greedy', 'forced')
def test_answers_through_predict(variant, case):
    entry, recorded = expected(variant)[case], arrays(f'{variant}/expected/{case}.npz')
    frame, query = frame_and_query(variant, case)
    prediction = model_of(variant, case).predict(frame, query)
    values = np.asarray(prediction.heatmap.values)
    assert values.shape == frame.rgb.shape[:2]
    if entry['n_seg'] == 0:
        assert not values.any()
        assert len(prediction.keypoints) == len(prediction.boxes) == 0
        assert prediction.repairs[0].startswith('NO_ANSWER_TOKEN')
        return
    top, left = recorded['prob_crop_yx']
    assert far(values[top : top + 32, left : left + 32], recorded['prob_crop']) <= TOLERANCE['probabilities']
    if 'prob_full' in recorded:
        assert far(values, recorded['prob_full']) <= TOLERANCE['probabilities']
    for name in ('mean', 'std', 'min', 'max'):
        assert abs(getattr(values, name)() - entry['prob'][name]) <= TOLERANCE['probabilities']
    x, y = prediction.keypoints.points[0].astype(int)
    assert (x, y) == (entry['peak']['x'], entry['peak']['y'])
    assert prediction.keypoints.scores[0] == values.max()
    assert abs(values.max() - entry['peak']['value']) <= TOLERANCE['probabilities']


@cases('greedy', 'forced')
def test_every_map_is_there(variant, case):
    answer = answered(variant, case)
    peaks = [np.unravel_index(int(plane.argmax()), plane.shape)[::-1] for plane in answer.logits]
    assert [list(map(int, peak)) for peak in peaks] == expected(variant)[case].get('argmax_per_mask', [])


@pytest.mark.parametrize('case', ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'noseg', 'twoseg'])
@pytest.mark.parametrize('variant', VARIANTS)
def test_logits_of_the_answer(variant, case):
    recorded = arrays(f'{variant}/expected/{case}.npz')
    network = model(variant).network
    features = network.project(network.clip_features(network.clip_pixels(frame_and_query(variant, case)[0].rgb)))
    sequence = recorded['sequence'].tolist()
    embeddings = network.embed(sequence[:-1], features)
    with torch.inference_mode():
        hidden = network.llm.model(inputs_embeds=embeddings).last_hidden_state[0]
        logits = network.llm.lm_head(hidden)
    start = len(recorded['input_ids']) + 254
    assert far(logits[start:], recorded['answer_logits']) <= TOLERANCE['answer_logits']
    assert far(hidden[recorded['seg_hidden_rows']], recorded['seg_hidden']) <= TOLERANCE['embeddings']
    assert far(network.prompt_embeddings(hidden[recorded['seg_hidden_rows']]), recorded['seg_embedding']) <= 1e-4


@pytest.mark.parametrize('variant', VARIANTS)
def test_raw_answers(variant):
    """45 texts that a model may write: ids, printed text, which hidden states are taken and what they become."""
    content, loaded = parse_cases(variant), model(variant, 'infer')
    prompt, network = content['prompt'], loaded.network
    image = rgb(content['image'].removesuffix('.png'))
    features = network.project(network.clip_features(network.clip_pixels(image)))
    for entry in content['answers']:
        ids = loaded.tokenizer.encode_prompt(f'{prompt} {entry["answer"]}')
        assert ids == entry['ids'], entry['answer']
        if 'raises' in entry:
            assert ids[:-1].count(-200) > 1
            continue
        assert official_text(loaded.tokenizer, ids) == entry['text']
        at = [index for index, token in enumerate(ids) if token == loaded.seg_id]
        assert [index + 254 for index in at] == entry['seg_hidden_rows']
        assert len(at) == entry['n_seg']
        if at:
            with torch.inference_mode():
                hidden = network.llm.model(inputs_embeds=network.embed(ids[: at[0]], features)).last_hidden_state
            ours = network.prompt_embeddings(hidden[0, -1:])[0]
            head = entry['first_seg_embedding_head']
            assert far(ours[: len(head)], head) <= TOLERANCE['embeddings']


@pytest.mark.parametrize('variant', VARIANTS)
def test_odd_queries(variant):
    """23 odd objects and actions through the public interface; an image marker in the text is refused."""
    content, loaded = parse_cases(variant), model(variant, 'infer', max_new_tokens=6)
    frame = Frame(rgb(content['image'].removesuffix('.png')))
    seen = 0
    for entry in content['queries']:
        if not entry['object'].strip():
            continue  # no query of ours
        query = Query(object=entry['object'], action=entry['action'])
        if 'raises' in entry:
            with pytest.raises(AffordanceError) as caught:
                loaded.answer(frame, query)
            assert caught.value.code == Code.BAD_INPUT
            continue
        assert loaded.tokenizer.encode_prompt(entry['prompt']) == entry['ids']
        answer = loaded.answer(frame, query)
        if entry['greedy_margin_min'] < 0.05:
            continue
        assert list(answer.sequence) == entry['ids'] + entry['generated_ids']
        assert len(answer.embeddings) == entry['n_seg']
        if entry['n_seg']:
            head = entry['first_seg_embedding_head']
            assert far(answer.embeddings[0, : len(head)], head) <= TOLERANCE['embeddings']
        seen += 1
    assert seen >= 18


@pytest.mark.parametrize('variant', VARIANTS)
def test_the_robot_profile_reads_only_the_answer(variant):
    frame, query = Frame(rgb('img0')), Query(object='[SEG]', action='find')
    official, ours = (model(variant, profile, max_new_tokens=6).answer(frame, query) for profile in ('infer', 'robot'))
    assert len(official.embeddings) == len(ours.embeddings) + 1
    assert far(official.embeddings[1:], ours.embeddings.numpy()) <= 1e-5


def test_the_forced_text_is_the_one_of_the_training():
    forced = {entry['answer'] for v in VARIANTS for entry in expected(v).values() if entry['kind'] == 'forced'}
    assert forced == {TRAINING_ANSWER}


@pytest.mark.parametrize('index', [0, 1])
def test_the_official_overlay(index):
    recorded = arrays('expected/metric_cases.npz')
    image = recorded[f'overlay{index}_image_bgr'][..., ::-1]
    drawn = official_overlay(np.ascontiguousarray(image), recorded[f'overlay{index}_map'].astype(np.float32))
    assert np.array_equal(drawn[..., ::-1], recorded[f'overlay{index}_out'])
