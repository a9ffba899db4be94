# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboPoint against the outputs of the official code, over the whole recorded set (test/data/parity/robopoint)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.parts.decoding import DecodeSettings, Prompt, Session, write
from affordance_ros.models.parts.framing import frame_image
from affordance_ros.models.parts.tokenizer import IMAGE_ID, LlamaTokenizer
from affordance_ros.models.robopoint import build_message
from affordance_ros.models.robopoint_official import (
    POINT_SUFFIX,
    official_demo_message,
    official_demo_points,
    official_image_first,
    official_letterbox,
    official_parse_points,
    official_tuples,
    official_vectors,
)
from affordance_ros.results import Frame, Query

EXPECTED = Path(__file__).parents[1] / 'data' / 'parity' / 'robopoint' / 'expected'
VARIANTS = ('vicuna_full', 'llama2_full', 'vicuna_lora', 'llama2_lora')
IMAGES = ('table_640x480', 'counter_640x480', 'shelf_1280x720', 'drawer_501x777')
NAMES = ('vicuna_v1', 'llava_v1', 'llava_llama_2')
PRECISIONS = (('float32', '', 1e-4, 5e-5, 5e-3), ('float16', '_fp16', 6e-2, 2e-2, 0.25))
PROMPTS = json.loads((EXPECTED / 'prompt_cases.json').read_text())
PARSE = json.loads((EXPECTED / 'parse_cases.json').read_text())
LETTERBOX = json.loads((EXPECTED / 'letterbox_cases.json').read_text())


@torch.inference_mode()
def last_logits(network, embeddings):
    return network.llm(inputs_embeds=embeddings).logits[0, -1].float().numpy()


def greedy(model, embeddings, max_new_tokens):
    session = Session(model.network.llm.model, model.network.llm.lm_head, Prompt(embeddings))
    return write(session, (model.tokenizer.eos_id,), DecodeSettings(max_new_tokens=max_new_tokens)).ids


@pytest.mark.parametrize('case', IMAGES)
def test_pixels_and_tower(robopoint_set, case):
    network = robopoint_set.model('vicuna_full').network
    want = robopoint_set.read(f'common/{case}.npz')
    pixels = network.pixels(robopoint_set.rgb(case))
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels, want['pixel_values'])
    np.testing.assert_allclose(network.clip_features(pixels).numpy(), want['clip_features'], atol=5e-5, rtol=0)


@pytest.mark.parametrize('precision', PRECISIONS, ids=lambda p: p[0])
@pytest.mark.parametrize('case', IMAGES)
@pytest.mark.parametrize('variant', VARIANTS)
def test_features_logits_and_greedy_answers(robopoint_set, variant, case, precision):
    dtype, suffix, logit_tolerance, feature_tolerance, sure_margin = precision
    model = robopoint_set.model(variant, dtype)
    want, record = (
        robopoint_set.read(f'{variant}/{case}.npz'),
        robopoint_set.read(f'{variant}/expected.json')['cases'][case],
    )
    features = model.network.image_features(model.network.pixels(robopoint_set.rgb(case)))
    wanted_features = want['image_features' + suffix].astype(np.float32)
    np.testing.assert_allclose(features.float().numpy(), wanted_features, atol=feature_tolerance, rtol=0)
    for name in NAMES:
        asked = record['templates'][name]
        ids = model.tokenizer.encode_prompt(asked['prompt'])
        assert ids == want[f'{name}/input_ids'].tolist()
        embeddings = model.network.embed(ids, [features])
        assert embeddings.shape[1] == asked['sequence_length_after_splice']
        wanted = want[f'{name}/last_logits{suffix}'].astype(np.float32)
        np.testing.assert_allclose(last_logits(model.network, embeddings), wanted, atol=logit_tolerance, rtol=0)
        if asked['min_top2_margin'] >= sure_margin:
            answer = greedy(model, embeddings, 96)
            assert answer == want[f'{name}/greedy_ids{suffix}'].tolist()
            assert model.tokenizer.decode(answer).strip() == asked['greedy_text' + suffix]


@pytest.mark.parametrize('case', IMAGES)
@pytest.mark.parametrize('variant', VARIANTS)
def test_teacher_forcing_and_loss(robopoint_set, variant, case):
    model, want = robopoint_set.model(variant), robopoint_set.read(f'{variant}/{case}.npz')
    expected = robopoint_set.read(f'{variant}/expected.json')
    features = model.network.image_features(model.network.pixels(robopoint_set.rgb(case)))
    columns = want.get('tf_vocab_ids')
    for name in NAMES:
        answer = want[f'{name}/greedy_ids'].tolist()
        prompt = want[f'{name}/input_ids'].tolist()
        embeddings = model.network.embed(prompt + answer[:-1], [features])
        with torch.inference_mode():
            logits = model.network.llm(inputs_embeds=embeddings).logits[0, -len(answer) :]
        np.testing.assert_allclose(logits[:, columns].numpy(), want[f'{name}/tf_logits_sub'], atol=1e-4, rtol=0)
        np.testing.assert_allclose(logits.logsumexp(-1).numpy(), want[f'{name}/tf_logsumexp'], atol=1e-4, rtol=0)
        assert logits.argmax(-1).tolist() == want[f'{name}/tf_top1'].tolist()
        record = expected['extra']['loss_on_greedy_answer']
        if record['template'] == name and answer[-1] == model.tokenizer.eos_id:
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(answer))
            assert float(loss) == pytest.approx(record['per_case'][case], abs=1e-5)


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('extra', ['overlong', 'multiturn', 'text_only'])
def test_long_multiturn_and_text_only_prompts(robopoint_set, variant, extra):
    model, want = robopoint_set.model(variant), robopoint_set.read(f'{variant}/extra.npz')
    record = robopoint_set.read(f'{variant}/expected.json')['extra'][extra]
    network = model.network
    prompt = record.get('prompt') or TEMPLATES[record['template']].render([(f'<image>\n{record["question"]}', None)])
    ids = model.tokenizer.encode_prompt(prompt)
    assert ids == want[f'{extra}/input_ids'].tolist()
    images = [network.image_features(network.pixels(robopoint_set.rgb(record['case'])))] if IMAGE_ID in ids else []
    embeddings = network.embed(ids, images)
    np.testing.assert_allclose(last_logits(network, embeddings), want[f'{extra}/last_logits'], atol=1e-4, rtol=0)
    if extra == 'overlong':
        assert embeddings.shape[1] == record['sequence_length_after_truncation'] == network.max_length
        answer = greedy(model, embeddings, record['max_new_tokens'])
        assert answer == want['overlong/greedy_ids'].tolist()


@pytest.mark.parametrize('variant', VARIANTS)
def test_right_padded_batch(robopoint_set, variant):
    model, want = robopoint_set.model(variant), robopoint_set.read(f'{variant}/extra.npz')['batch/last_logits']
    expected = robopoint_set.read(f'{variant}/expected.json')
    record, network = expected['extra']['batch_right_padded'], model.network
    rows = []
    for case in record['cases']:
        ids = model.tokenizer.encode_prompt(expected['cases'][case]['templates'][record['template']]['prompt'])
        features = network.image_features(network.pixels(robopoint_set.rgb(case)))
        rows.append(network.embed(ids, [features])[0])
    mask = torch.zeros(2, max(len(row) for row in rows), dtype=torch.long)
    for line, row in zip(mask, rows, strict=True):
        line[: len(row)] = 1
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    with torch.inference_mode():
        logits = network.llm(inputs_embeds=batch, attention_mask=mask).logits
    for line, row, golden in zip(logits, rows, want, strict=True):
        np.testing.assert_allclose(line[len(row) - 1].numpy(), golden, atol=1e-4, rtol=0)
        np.testing.assert_allclose(last_logits(network, row[None]), golden, atol=1e-4, rtol=0)


def test_tower_copy_in_the_checkpoint(robopoint_set, tmp_path):
    model = load_model('robopoint', str(_with_clip_config(robopoint_set, tmp_path, 'vicuna_full')))
    assert 'copy' in model.describe().settings['clip']
    for case in IMAGES:
        want = robopoint_set.read(f'common/{case}.npz')
        features = model.network.clip_features(want['pixel_values'])
        np.testing.assert_allclose(features.numpy(), want['clip_features_from_checkpoint_copy'], atol=5e-5, rtol=0)


def _with_clip_config(robopoint_set, tmp_path, variant):
    """Return a copy of a checkpoint with clip/ holding only the two JSON files."""
    folder = tmp_path / variant
    (folder / 'clip').mkdir(parents=True)
    for path in Path(robopoint_set.options(variant)['checkpoint']).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for name in ('config.json', 'preprocessor_config.json'):
        (folder / 'clip' / name).write_bytes((Path(robopoint_set.clip) / name).read_bytes())
    return folder


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('index', range(len(PROMPTS['prompts'])))
def test_prompts_and_ids(robopoint_set, index, legacy):
    case = PROMPTS['prompts'][index]
    prompt = TEMPLATES[case['template']].render([tuple(turn) for turn in case['turns']])
    assert prompt == case['prompt']
    file = Path(robopoint_set.options('vicuna_full')['checkpoint']) / 'tokenizer.model'
    assert LlamaTokenizer(file, legacy=legacy).encode_prompt(prompt) == case[f'ids_legacy_{str(legacy).lower()}']


def test_decoding_of_ids(robopoint_set):
    tokenizer = robopoint_set.model('vicuna_full').tokenizer
    for case in PROMPTS['decode']:
        assert tokenizer.decode(case['ids'], skip_special=case['skip_special_tokens']) == case['text']


def test_point_suffix_is_verbatim():
    assert PROMPTS['suffix'] == POINT_SUFFIX


@pytest.mark.parametrize('index', range(len(PROMPTS['web_messages'])))
def test_demo_messages(index):
    case = PROMPTS['web_messages'][index]
    instruction = case.get('instruction', ('abcdefghi ' * 200)[: case.get('n', 0)])
    message = official_demo_message(instruction, with_image=case['image'])
    if 'message' in case:
        assert message == case['message']
        assert TEMPLATES['vicuna_v1'].render([(official_image_first(message), None)]) == case['prompt_after_template']
    elif case['skipped']:
        assert message is None
    else:
        assert len(message) == case['message_length']
        assert hashlib.sha256(message.encode()).hexdigest() == case['message_sha256']


def _plain(value):
    """Return a golden number: integers too long for JSON were written as text."""
    if isinstance(value, dict):
        return int(value['int'])
    return int(value) if isinstance(value, str) else value


def _assert_evaluator(text, want, width=640, height=480):
    if 'exception' in want:
        with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
            official_parse_points(text, width, height)
        assert caught.type.__name__ == want['exception']
        return
    points = official_parse_points(text, width, height)
    assert len(points) == want['n']
    assert str(points.dtype) == want['dtype']
    if 'points' in want:
        assert points.tolist() == [[_plain(value) for value in point] for point in want['points']]
    else:
        assert points.astype(np.int64).sum(axis=0).tolist() == want['sum']
        assert hashlib.sha256(points.astype('<i8').tobytes()).hexdigest() == want['sha256_int64_le']


@pytest.mark.parametrize('index', range(len(PARSE['cases'])), ids=lambda i: PARSE['cases'][i]['name'])
def test_official_parsers(index):
    case = PARSE['cases'][index]
    _assert_evaluator(case['text'], case['evaluator_640x480'])
    for function, key in ((official_vectors, 'visualizer_vectors'), (official_tuples, 'ui_vectors')):
        want = case[key]
        if isinstance(want, dict):
            with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
                function(case['text'])
            assert caught.type.__name__ == want['exception']
        else:
            got = [list(values) for values in function(case['text'])][: len(want)]
            assert got == [[_plain(value) for value in values] for values in want] or np.allclose(
                np.array(got, float), np.array([[float(_plain(v)) for v in values] for values in want]), rtol=1e-9
            )
    mapped = case['ui_back_mapped_1280x720_pad']
    if 'exception' not in mapped:
        with np.errstate(invalid='ignore'):
            points, boxes = official_demo_points(case['text'], np.array(PARSE['transform_1280x720_pad']))
        for got, want in ((points, mapped['points']), (boxes, mapped['boxes_computed'])):
            np.testing.assert_allclose(np.ravel(got[: len(want)]), np.ravel(want).astype(float), atol=1e-6, rtol=1e-9)


@pytest.mark.parametrize('index', range(len(PARSE['other_sizes'])))
def test_official_parser_at_other_sizes(index):
    case = PARSE['other_sizes'][index]
    _assert_evaluator(case['text'], case['evaluator'], case['width'], case['height'])


def _formula_image(width, height):
    x, y = np.arange(width)[None], np.arange(height)[:, None]
    red = np.broadcast_to(x * 255 // max(width - 1, 1), (height, width))
    green = np.broadcast_to(y * 255 // max(height - 1, 1), (height, width))
    return np.stack([red, green, (x + y) % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize('case', LETTERBOX['cases'], ids=lambda c: f'{c["size"]}-{c["mode"]}')
def test_letterbox(case):
    image = _formula_image(*case['size'])
    if 'exception' in case:
        with pytest.raises((UnboundLocalError, ValueError)) as caught:
            official_letterbox(image, case['mode'])
        assert caught.type.__name__ == case['exception']
        if case['mode'] == 'Crop':  # ours works there: the middle of the image stays in the middle
            framed = frame_image(image, 'crop_4_3')
            centre = framed.to_original(np.array([[320.0, 240.0]]))[0]
            assert framed.rgb.shape == (480, 640, 3)
            assert np.abs(centre * 2 - case['size']).max() <= 2
        return
    framed, matrix = official_letterbox(image, case['mode'])
    assert hashlib.sha256(framed.tobytes()).hexdigest() == case['sha256_rgb']
    np.testing.assert_allclose(matrix, case['T'], atol=1e-12)
    relative = np.array(case['points']) * (640, 480)
    back = np.column_stack([relative, np.ones(len(relative))]) @ matrix.T
    np.testing.assert_allclose(back[:, :2], case['points_back'], atol=1e-6)
    ours = frame_image(image, 'letterbox_4_3' if case['mode'] == 'Pad' else 'crop_4_3')
    assert np.array_equal(ours.rgb, framed)
    assert (
        np.abs(ours.to_original(relative) - case['points_back']).max() <= 1 + 1e-9
    )  # the official floor, see the spec


@pytest.mark.parametrize('case', IMAGES)
@pytest.mark.parametrize('variant', VARIANTS)
def test_web_demo_end_to_end(robopoint_set, variant, case):
    record = robopoint_set.read(f'{variant}/expected.json')['cases'][case]['web']
    model = robopoint_set.model(variant, 'float16', profile='web', temperature=0.0, max_new_tokens=96)
    question = record['prompt'].split('<image>\n')[1].split(POINT_SUFFIX)[0]
    message = build_message(question, 'demo')
    template = TEMPLATES[model.describe().settings['template']]
    assert model.describe().settings['template'] == record['template']
    assert template.render([(message, None)]) == record['prompt']
    letterboxed, matrix = official_letterbox(robopoint_set.rgb(case), 'Pad')
    np.testing.assert_allclose(matrix, record['T'], atol=1e-12)
    if variant == 'vicuna_full':
        pixels = robopoint_set.read(f'{variant}/{case}.npz')['web_pixel_values']
        assert np.array_equal(model.network.pixels(letterboxed), pixels)
    prediction = _predict_text(model, Frame(robopoint_set.rgb(case)), question)
    assert prediction == record['answer_text']
    points, boxes = official_demo_points(prediction, matrix)
    np.testing.assert_allclose(points, np.reshape(record['points_in_original_pixels'], np.shape(points)), atol=1e-6)
    np.testing.assert_allclose(np.ravel(boxes), np.ravel(record['boxes_in_original_pixels_computed'] or []), atol=1e-6)


def _predict_text(model, frame, question):
    try:
        return model.predict(frame, Query(question)).text
    except UnparsableAnswer as error:
        return error.text


@pytest.mark.parametrize('variant', ['vicuna_full', 'llama2_full'])
def test_evaluation_answers(robopoint_set, variant):
    folder = robopoint_set.root / 'inputs' / 'where2place_mini'
    questions = [json.loads(line) for line in (folder / 'point_questions.jsonl').read_text().splitlines() if line]
    answers = [json.loads(line) for line in (EXPECTED / variant / 'vqa_answers.jsonl').read_text().splitlines() if line]
    model = robopoint_set.model(variant, 'float16', profile='eval', temperature=0.0, max_new_tokens=96)
    for question, answer in zip(questions, answers, strict=True):
        frame = Frame(robopoint_set.rgb(Path(question['image']).stem))
        assert _predict_text(model, frame, question['text']) == answer['text']
