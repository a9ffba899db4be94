# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1 as a user meets it: answers and masks, thoughts as they are written, profiles, penalty, refusals."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
from tiny_qwen_vl import Tiny, write_checkpoint, writes  # noqa: E402
from tiny_sam2 import build_package  # noqa: E402

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.affordance_r1 import PROFILES  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

FRAME = Frame(np.random.default_rng(5).integers(0, 255, (120, 160, 3), dtype=np.uint8))
QUERY = Query('Where should I hold the mug?')
ANSWER = (
    '<think> It has a handle. </think><rethink> The handle is safe. </rethink><answer>[{"bbox_2d": [210,105,630,525], '
    '"point_2d": [420,315], "affordance": "hold"}, {"bbox_2d": [0,0,84,84], "point_2d": [40,40], "affordance": "push"}]'
    '</answer>'
)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('affordance-r1')
    write_checkpoint(folder, Tiny(sub_folder=True))
    return folder


@pytest.fixture(scope='module')
def sam2(tmp_path_factory):
    return build_package(tmp_path_factory.mktemp('sam2'))


@pytest.fixture
def load(checkpoint):
    return lambda **options: load_model('affordance_r1', checkpoint, **{'max_new_tokens': 12, **options})


def test_an_answer_becomes_boxes_points_labels_thoughts_and_masks(load, sam2):
    model = writes(load(max_new_tokens=400, sam2=str(sam2)), ANSWER)
    assert model.outputs == {'boxes', 'keypoints', 'text', 'masks'}
    prediction = model.predict(FRAME, QUERY)
    assert prediction.text == ANSWER
    assert prediction.boxes.boxes.tolist() == [[40, 15, 120, 75], [0, 0, 16, 12]]
    assert prediction.keypoints.points.tolist() == [[80, 45], [8, 6]]
    assert prediction.boxes.labels == prediction.masks.labels == ('hold', 'push')
    assert prediction.reasoning == 'It has a handle.\n\nThe handle is safe.'
    assert prediction.repairs == ()
    assert prediction.masks.masks.shape == (2, 120, 160)
    assert np.isfinite(prediction.masks.scores).all()
    assert 0 < prediction.confidence <= 1
    assert set(prediction.seconds) == {'encode', 'generate', 'refine', 'total'}
    assert model.segmenter.images_encoded == 1


def test_without_sam2_there_are_no_masks(load):
    model = writes(load(max_new_tokens=400), ANSWER)
    assert 'masks' not in model.outputs
    prediction = model.predict(FRAME, QUERY)
    assert prediction.masks is None
    assert len(prediction.boxes) == 2
    assert model.describe().settings['sam2'] == 'none: no masks'


def test_an_empty_answer_is_an_empty_result_with_empty_masks(load, sam2):
    prediction = writes(load(max_new_tokens=100, sam2=str(sam2)), '<answer>[]</answer>').predict(FRAME, QUERY)
    assert (len(prediction.boxes), len(prediction.keypoints), len(prediction.masks)) == (0, 0, 0)
    assert prediction.masks.masks.shape == (0, 120, 160)


def test_thoughts_are_told_as_they_are_written(load):
    steps = []
    writes(load(max_new_tokens=400), ANSWER).predict(FRAME, QUERY, progress=steps.append)
    texts = [step.text for step in steps if step.stage == 'generate']
    assert len(texts) > 100
    assert all(ANSWER.startswith(text) for text in texts)
    assert any(text.endswith('It has a handle.') for text in texts)
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)


def test_a_stop_ends_the_writing_within_one_token(load):
    steps = []
    with pytest.raises(AffordanceError) as caught:
        load(max_new_tokens=400).predict(
            FRAME, QUERY, progress=steps.append, stop=lambda: sum(s.stage == 'generate' for s in steps) >= 3
        )
    assert caught.value.code == Code.CANCELED
    assert sum(step.stage == 'generate' for step in steps) == 3


def test_the_fast_profile_begins_with_the_answer(load):
    rest = ANSWER.partition('<answer>[')[2]
    model = writes(load(profile='fast', max_new_tokens=300), rest)
    steps = []
    prediction = model.predict(FRAME, QUERY, progress=steps.append)
    assert prediction.text == '<answer>[' + rest
    assert prediction.reasoning == ''
    assert len(prediction.boxes) == 2
    assert all(step.text.startswith('<answer>[') for step in steps if step.stage == 'generate')


def test_official_profiles_read_strictly_and_robots_do_not(load):
    broken = ANSWER.removesuffix('</answer>')
    with pytest.raises(UnparsableAnswer):
        writes(load(profile='eval', max_new_tokens=400), broken).predict(FRAME, QUERY)
    for options in ({}, {'profile': 'eval', 'parser': 'robust'}):
        prediction = writes(load(max_new_tokens=400, **options), broken).predict(FRAME, QUERY)
        assert 'answer tag not closed' in prediction.repairs
        assert len(prediction.boxes) == 2


def test_a_free_question_is_asked_as_it_is(load):
    prediction = writes(load(max_new_tokens=60), 'A mug and a knife.').predict(FRAME, Query('What is it?', task='text'))
    assert prediction.text == 'A mug and a knife.'
    assert prediction.boxes is None
    with pytest.raises(AffordanceError, match="task 'grasp' is unknown"):
        load().predict(FRAME, Query('What is it?', task='grasp'))


def test_the_penalty_is_the_one_of_the_checkpoint_unless_given(tmp_path, load):
    assert load().describe().settings['repetition_penalty'] == '1 (generation_config.json names none)'
    assert load(repetition_penalty=1.05).describe().settings['repetition_penalty'] == '1.05 (option)'
    write_checkpoint(tmp_path, Tiny(penalty=1.05))
    stated = load_model('affordance_r1', tmp_path)
    assert stated.describe().settings['repetition_penalty'] == '1.05 (generation_config.json)'


def test_the_penalty_covers_the_prompt(load):
    """With a huge penalty no token of the prompt may be chosen."""
    model = load(repetition_penalty=1e6, max_new_tokens=8)
    with pytest.raises(UnparsableAnswer) as caught:
        model.predict(FRAME, QUERY)
    asker, profile = model.asker, PROFILES['robot']
    used = set(asker.tokenizer.encode(profile.prompt(profile.question(QUERY))))
    assert not used & set(asker.tokenizer.encode(caught.value.text.replace('\ufffd', '')))


def test_questions_on_one_frame_share_image_and_prefix(load):
    model, alone = (
        load(decode='constrained', max_new_tokens=300),
        load(decode='constrained', max_new_tokens=300, share_prefix=False),
    )
    for question in ('Where should I hold the mug?', 'Where do I push?', 'What part can cut?'):
        shared, single = (each.predict(FRAME, Query(question)) for each in (model, alone))
        assert shared.text == single.text
    assert model.asker.encoded_images == 1
    assert alone.asker.encoded_images == 3


def test_sampling_follows_the_seed(load):
    texts = set()
    for seed in (1, 1, 2):
        with pytest.raises(UnparsableAnswer) as caught:
            load(temperature=1.0, seed=seed, max_new_tokens=16).predict(FRAME, QUERY)
        texts.add(caught.value.text)
    assert len(texts) == 2


def test_what_is_missing_or_unknown_is_refused(load, tmp_path):
    for options, words in (
        ({'profile': 'demo'}, "profile 'demo' is unknown"),
        ({'parser': 'loose'}, "parser 'loose' is unknown"),
        ({'sam_precision': 'half'}, "sam_precision 'half' is unknown"),
        ({'decode': 'constrained'}, 'max_new_tokens'),
    ):
        with pytest.raises(AffordanceError, match=words) as caught:
            load(**options)
        assert caught.value.code == Code.BAD_INPUT
    with pytest.raises(AffordanceError, match='sam2=') as caught:
        load(sam2=str(tmp_path / 'nothing.pt'))
    assert caught.value.code == Code.MISSING_WEIGHTS
    with pytest.raises(AffordanceError, match='needs checkpoint=') as caught:
        load_model('affordance_r1')
    assert caught.value.code == Code.MISSING_WEIGHTS
    with pytest.raises(AffordanceError, match='has a meaning to the model'):
        load().predict(FRAME, replace(QUERY, text='hold <|im_end|> it'))


@pytest.mark.parametrize('options', [{'quantization': 'int8'}, {'dtype': 'bfloat16'}, {'attention': 'eager'}])
def test_load_options_are_passed_on(load, options):
    model = load(decode='constrained', max_new_tokens=300, **options)
    prediction = model.predict(FRAME, QUERY)
    assert '</answer>' in prediction.text
    settings = model.describe().settings
    assert settings['quantization'] == options.get('quantization', 'none')
    assert model.describe().dtype == options.get('dtype', 'float32')
