# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter's Qwen2.5-VL variants as a user meets them: tasks and what they fill, questions, refusals, shared work."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')
import contextlib

from tiny_qwen_vl import Tiny, write_checkpoint, writes  # noqa: E402

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.robointer_answers import TASKS  # noqa: E402
from affordance_ros.models.robointer_qwen import FORMS, place_images  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

RNG = np.random.default_rng(8)
FRAME, OTHER = (Frame(RNG.integers(0, 255, shape, dtype=np.uint8)) for shape in ((120, 160, 3), (90, 120, 3)))
QUERY = Query('pick up the mug')
GEOMETRY = [task for task in TASKS if task.key]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp('robointer-qwen')
    write_checkpoint(found, Tiny(penalty=1.05, nested=True))
    return found


@pytest.fixture
def load(folder):
    return lambda **options: load_model('robointer_qwen', folder, **options)


@pytest.mark.parametrize(
    ('task', 'text', 'field', 'want'),
    [
        ('', '{"contact_bbox": [[42, 28], [84, 56]]}', 'boxes', [40, 30, 80, 60]),
        ('current_box', '{"current_bbox": [[0, 0], [168, 112]]}', 'boxes', [0, 0, 159, 119]),
        ('final_box', '{"final_bbox": [42, 28, 84, 56]}', 'boxes', [40, 30, 80, 60]),
        ('gripper_det', '{"gripper_det_bbox": [[42, 28], [84, 56]]}', 'boxes', [40, 30, 80, 60]),
        ('contact_points', '{"contact_point": [[42, 28], [84, 56]]}', 'keypoints', [40, 30, 80, 60]),
        ('trace', '{"future_traj": [[42, 28], [84, 56], [126, 84]]}', 'traces', [40, 30, 80, 60, 120, 90]),
    ],
)
def test_pixels_of_the_resized_image_become_pixels_of_the_camera(load, task, text, field, want):
    prediction = writes(load(), text).predict(FRAME, replace(QUERY, task=task))
    found = getattr(prediction, field)
    points = {'boxes': lambda: found.boxes, 'keypoints': lambda: found.points, 'traces': lambda: found[0].points}
    np.testing.assert_allclose(np.ravel(points[field]()), want)
    assert prediction.repairs == ()
    filled = {name for name in ('boxes', 'keypoints', 'traces') if getattr(prediction, name) is not None}
    assert filled == {field}
    if field != 'traces':
        assert (found.scores == prediction.confidence).all()


def test_words_are_answers_too(load):
    choice = replace(QUERY, task='choice', options=('left', 'right'))
    assert writes(load(), 'B').predict(FRAME, choice).text == 'right'
    assert writes(load(), 'Yes').predict(FRAME, replace(QUERY, task='decide')).text == 'yes'
    assert writes(load(), ' Open it. ').predict([OTHER, FRAME], replace(QUERY, task='plan')).text == 'Open it.'
    with pytest.raises(UnparsableAnswer, match='only 2 options'):
        writes(load(), 'D').predict(FRAME, choice)


@pytest.mark.parametrize('count', [2, 3, 4])
def test_a_constrained_choice_has_no_more_letters_than_options(load, count):
    options = tuple('abcd'[:count])
    seen = {
        load(decode='constrained', temperature=3.0, seed=seed)
        .predict(FRAME, replace(QUERY, task='choice', options=options))
        .text
        for seed in range(12)
    }
    assert seen <= set(options)
    assert len(seen) > 1


@pytest.mark.parametrize('task', GEOMETRY, ids=lambda task: task.name)
def test_constrained_answers_of_random_weights_parse_and_stay_in_the_image(load, task):
    model = load(decode='constrained', temperature=2.0)
    for frame in (FRAME, OTHER):
        prediction = model.predict(frame, replace(QUERY, task=task.name))
        assert set(prediction.repairs) <= {'corners put in order'}, prediction.text
    free = load(temperature=2.0, max_new_tokens=40)
    with pytest.raises(UnparsableAnswer):
        free.predict(FRAME, replace(QUERY, task=task.name))


def test_geometry_is_about_the_newest_frame_and_words_about_all(load):
    model = load(max_new_tokens=4, decode='free')
    for task, images in (('contact_box', 1), ('plan', 2)):
        before = model.asker.encoded_images
        with contextlib.suppress(UnparsableAnswer):
            model.predict([OTHER, replace(FRAME, rgb=FRAME.rgb + np.uint8(images))], replace(QUERY, task=task))
        assert model.asker.encoded_images - before == images
    with pytest.raises(AffordanceError) as caught:
        model.predict([], QUERY)
    assert caught.value.code == Code.NO_IMAGE


def test_images_stand_where_the_forms_put_them():
    message, image = '<image>\n<image>\nWhat next?', '<|vision_start|><|image_pad|><|vision_end|>'
    placed = {form: place_images(message, 2, form) for form in FORMS}
    assert placed == {
        'train': f'{image}\n{image}\nWhat next?',
        'eval': f'{image}{image}What next?',
        'lang': f'{image}{image}\n\nWhat next?',
    }


def test_a_question_that_names_other_images_than_given_is_refused(load):
    with pytest.raises(AffordanceError, match=r'names 2 image\(s\), 1 are given') as caught:
        load(profile='eval').predict(FRAME, Query('<image><image> what next?', task='plan'))
    assert caught.value.code == Code.BAD_INPUT


def test_the_penalty_and_the_origin_of_the_questions_are_told(load, tmp_path):
    settings = load().describe().settings
    assert settings['repetition_penalty'] == '1.05 (generation_config.json)'
    assert 'mined' not in settings['prompts']
    assert load(repetition_penalty=1.0).describe().settings['repetition_penalty'].startswith('1 ')
    book = tmp_path / 'book.yaml'
    book.write_text("contact_box: {text: \"Touch '{task}' '{subtask}'\", provenance: mined}")
    assert 'mined' in load(prompts=str(book)).describe().settings['prompts']
    assert load(profile='eval').describe().settings['form'] == 'eval'
    assert load(profile='eval', form='lang').describe().settings['form'] == 'lang'


def test_what_is_unknown_or_missing_is_refused(load):
    for options, words in (
        ({'profile': 'web'}, "profile 'web' is unknown"),
        ({'form': 'both'}, "form 'both' is unknown"),
        ({'prompts': '/absent.yaml'}, 'no file of prompts'),
    ):
        with pytest.raises(AffordanceError, match=words) as caught:
            load(**options)
        assert caught.value.code == Code.BAD_INPUT
    with pytest.raises(AffordanceError, match="task 'fly' is unknown"):
        load().predict(FRAME, replace(QUERY, task='fly'))
    with pytest.raises(AffordanceError, match='has a meaning to the model'):
        load().predict(FRAME, Query('pick <|im_end|>'))
    with pytest.raises(AffordanceError, match='needs checkpoint='):
        load_model('robointer_qwen')


def test_tasks_on_one_frame_share_the_image(load):
    model, alone = (load(decode='constrained', share_prefix=share) for share in (True, False))
    for task in ('contact_box', 'trace', 'decide'):
        shared, single = (each.predict(FRAME, replace(QUERY, task=task)) for each in (model, alone))
        assert shared.text == single.text
    assert (model.asker.encoded_images, alone.asker.encoded_images) == (1, 3)
