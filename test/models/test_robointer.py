# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter as a user meets it: tasks and what they fill, questions, checkpoints that do not fit, shared work."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_robointer import Tiny, build  # noqa: E402

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings, Prompt, Session, write  # noqa: E402
from affordance_ros.models.robointer_answers import BY_NAME, Coordinates  # noqa: E402
from affordance_ros.models.robointer_predictions import to_prediction  # noqa: E402
from affordance_ros.models.robointer_prompts import ask, mine, read_book  # noqa: E402
from affordance_ros.results import Frame, Prediction, Query  # noqa: E402

RGB = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
FRAME = Frame(RGB)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp('tiny') / 'robointer')


@pytest.fixture(scope='module')
def model(folder):
    return load_model('robointer', folder, max_new_tokens=24)


def answered(text, task, options=()):
    query = Query('pick up the mug', task=task, options=options)
    size = (200, 100)
    raw = Prediction('robointer', query, text, confidence=0.5)
    return to_prediction(raw, BY_NAME[task], Coordinates(size, size, shares=True), whole=True)


def test_each_task_fills_its_field():
    box = answered('{"contact_bbox": [[0.1, 0.2], [0.5, 1.0]]}', 'contact_box').boxes
    np.testing.assert_allclose(box.boxes, [[20, 20, 100, 99]])
    assert box.labels == ('contact_box',)
    assert box.scores.tolist() == [0.5]
    points = answered('{"contact_point": [[0.1, 0.2], [0.3, 0.4]]}', 'contact_points').keypoints
    np.testing.assert_allclose(points.points, [[20, 20], [60, 40]])
    (trace,) = answered('{"future_traj": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.5]]}', 'trace').traces
    assert trace.points.shape == (3, 2)
    assert answered('B', 'choice', ('left', 'right')).text == 'right'
    assert answered('B', 'choice').text == 'B'
    assert answered('No, it has not', 'decide').text == 'no'
    assert answered(' move left ', 'plan').text == 'move left'
    swapped = answered('{"final_bbox": [[0.5, 0.5], [0.1, 0.2]]}', 'final_box')
    assert swapped.repairs == ('corners put in order',)


def test_a_letter_without_an_option_is_no_answer():
    with pytest.raises(UnparsableAnswer, match='only 2 options'):
        answered('D', 'choice', ('left', 'right'))


def test_questions_follow_the_task():
    book = read_book()
    text = ask(book, BY_NAME['contact_box'], Query("grab the cook's mug"))
    assert text.split("'")[3] == 'grab the cooks mug'  # what stands between the second pair of quotes
    choice = ask(book, BY_NAME['choice'], Query('Which way?', options=('left', 'right')))
    assert 'A. left\nB. right' in choice
    for options in ((), ('one',), ('1', '2', '3', '4', '5')):
        with pytest.raises(AffordanceError, match='two to four options'):
            ask(book, BY_NAME['choice'], Query('Which way?', options=options))


def test_questions_of_ones_own(tmp_path):
    file = tmp_path / 'book.yaml'
    file.write_text("traj: {text: \"Go '{task}' '{subtask}'\", provenance: mined}")
    assert ask(read_book(file), BY_NAME['trace'], Query('x')) == "Go 'x' 'x'"
    for text in (
        '', '- 1', 'fly: {text: a, provenance: mined}', 'plan: {text: a}', 'plan: {',
        'plan: {text: "{x}", provenance: mined}', 'plan: {text: a, provenance: rumour}',
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(AffordanceError) as caught:
            read_book(file)
        assert caught.value.code == Code.BAD_INPUT


def test_official_questions_are_mined_from_a_meta_file(tmp_path):
    def record(text):
        return {'task': 'traj', 'conversations': [{'from': 'huamn', 'value': f'<image>\n{text}'}]}

    texts = [f"The task is 'do {i}', from [0.{i}, 0.2]. Go." for i in range(3)] + ['Else?']
    (tmp_path / 'meta.json').write_text(json.dumps([record(text) for text in texts]))
    (first, count), *_ = mine(tmp_path / 'meta.json')['traj']
    assert count == 3
    assert first.startswith("The task is '<text>', from <numbers>")


def test_unknown_tasks_and_options_are_refused(model, folder):
    with pytest.raises(AffordanceError, match="task 'fly' is unknown"):
        model.predict(FRAME, Query('x', task='fly'))
    for options in ({'profile': 'x'}, {'multi_image': 'x'}, {'siglip': '/absent'}, {'prompts': '/absent.yaml'}):
        with pytest.raises(AffordanceError):
            load_model('robointer', folder, **options)


def test_one_image_is_encoded_once_for_ten_questions(model):
    before = model._features.computed  # noqa: SLF001 - what a user sees of it is time
    texts = [plan(model, f'question {index}') for index in range(10)]
    assert model._features.computed - before <= 1  # noqa: SLF001
    assert texts == [plan(model, f'question {index}') for index in range(10)]


def plan(model, text):
    try:
        return model.predict(FRAME, Query(text, task='plan')).text
    except UnparsableAnswer as error:
        return error.text


def test_shared_work_leaves_the_answers_alone(folder, model):
    alone = load_model('robointer', folder, max_new_tokens=24, share_prefix=False)
    for index in range(3):
        assert plan(model, f'question {index}') == plan(alone, f'question {index}')


def test_rows_beyond_the_tokenizer_are_never_written(model):
    assert model.network.llm.lm_head.weight.shape[0] == len(model.tokenizer)
    session = Session(model.network.llm.model, model.network.llm.lm_head, Prompt(model.network.embed([1, 2, 3], [])))
    written = write(session, model.tokenizer.eos_ids, DecodeSettings(max_new_tokens=24))
    assert max(written.ids) < len(model.tokenizer)


def test_tied_heads_and_low_precision_load(tmp_path):
    tied = load_model('robointer', build(tmp_path / 'tied', Tiny(tied=True)), dtype='bfloat16', max_new_tokens=4)
    assert tied.network.llm.lm_head.weight is tied.network.llm.model.embed_tokens.weight
    assert isinstance(plan(tied, 'go'), str)
    small = load_model('robointer', tmp_path / 'tied', quantization='int4')
    assert small.describe().memory_bytes < load_model('robointer', tmp_path / 'tied').describe().memory_bytes


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda t: t.pop('model.image_newline'), 'image_newline'),
        (lambda t: t.pop('lm_head.weight'), 'lm_head.weight'),
        (lambda t: t.update({'model.extra': torch.zeros(1)}), '1 unexpected: model.extra'),
        (lambda t: t.update({'model.norm.weight': torch.zeros(3)}), 'model.norm.weight is \\(3,\\), not \\(16,\\)'),
        (lambda t: [t.pop(k) for k in list(t) if 'vision_tower' in k], 'holds no SigLIP tower'),
    ],
)
def test_checkpoints_that_do_not_fit_are_named(folder, tmp_path, change, sentence):
    broken = build(tmp_path / 'broken')
    tensors = load_file(folder / 'model.safetensors')
    change(tensors)
    save_file(tensors, broken / 'model.safetensors')
    with pytest.raises(AffordanceError, match=sentence) as caught:
        load_model('robointer', broken)
    assert caught.value.code == Code.BAD_CHECKPOINT


@pytest.mark.parametrize(
    'config', [{'image_aspect_ratio': 'pad'}, {'mm_patch_merge_type': 'flat'}, {'mm_use_im_start_end': True}]
)
def test_other_kinds_of_llava_are_refused(tmp_path, config):
    with pytest.raises(AffordanceError, match=next(iter(config))):
        load_model('robointer', build(tmp_path, Tiny(config=tuple(config.items()))))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(AffordanceError, match='needs checkpoint='):
        load_model('robointer')
    with pytest.raises(AffordanceError, match='there is no config.json'):
        load_model('robointer', tmp_path)
    lonely = build(tmp_path / 'lonely')
    (lonely / 'siglip' / 'config.json').unlink()
    with pytest.raises(AffordanceError, match='give siglip='):
        load_model('robointer', lonely)
    for name in ('vocab.json', 'merges.txt'):
        (lonely / name).unlink()
    with pytest.raises(AffordanceError, match='neither tokenizer.json nor vocab.json'):
        load_model('robointer', lonely)


def test_too_many_images_are_refused(folder):
    model = load_model('robointer', folder, multi_image='official_eval_anyres')
    frames = [replace(FRAME, rgb=np.full((480, 640, 3), index, np.uint8)) for index in range(3)]
    with pytest.raises(AffordanceError, match='tokens with its images') as caught:
        model.predict(frames, Query('what next?', task='plan'))
    assert caught.value.code == Code.BAD_INPUT


def test_the_penalty_is_the_one_of_the_checkpoint_unless_given(folder, tmp_path):
    assert load_model('robointer', folder).describe().settings['repetition_penalty'] == '1'
    stated = build(tmp_path / 'stated')
    (stated / 'generation_config.json').write_text(json.dumps({'repetition_penalty': 1.2}))
    assert load_model('robointer', stated).describe().settings['repetition_penalty'] == '1.2'
    assert load_model('robointer', stated, repetition_penalty=1.05).describe().settings['repetition_penalty'] == '1.05'
