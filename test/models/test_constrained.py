# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`decode='constrained'` in the models: answers always parse, cost fewer passes and agree with free ones that parse."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.results import Frame, Query
from affordance_ros.scenes import sample_scene

ROBOINTER = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer' / 'llavaov'
AFFORDANCE_R1 = ROBOINTER.parents[1] / 'affordance_r1'
QUESTION = 'Find a few spots within the vacant area to the right of the red mug.'


def passes(model):
    """Count the forward passes of the language model from now on."""
    counted = []
    model.network.llm.model.register_forward_hook(lambda *_: counted.append(1))
    return counted


@pytest.fixture(scope='module')
def pocket():
    return {how: load_model('robopoint', checkpoint='pocket', decode=how) for how in ('free', 'constrained')}


@pytest.fixture(scope='module')
def questions():
    """Frames and sentences about simulated tables, of the kind that the pocket checkpoint was trained on."""
    found = []
    for seed in range(95_000_000, 95_000_008):
        scene = sample_scene(seed, 'vga')
        frame = scene.render().frame
        found += [(frame, Query(text=scene.sentences(part.id)[0])) for part in scene.parts[:3]]
    return found


def test_free_and_constrained_agree_on_answers_that_parse(pocket, questions):
    """Every free answer of the pocket checkpoint parses; the grammar must not change one of them."""
    for frame, query in questions:
        free, bound = (pocket[how].predict(frame, query) for how in ('free', 'constrained'))
        assert bound.text == free.text
        assert np.array_equal(bound.keypoints.points, free.keypoints.points)


def test_constrained_answers_cost_fewer_passes(questions):
    spent = {}
    for how in ('free', 'constrained'):
        model = load_model('robopoint', checkpoint='pocket', decode=how, share_prefix=False)
        counted = passes(model)
        for frame, query in questions[:6]:
            model.predict(frame, query)
        spent[how] = len(counted)
    assert spent['constrained'] <= spent['free'] - 6  # its tokenizer has one token for ', 0.': little is left to save


@pytest.mark.parametrize('variant', ['vicuna_full', 'llama2_full', 'vicuna_lora'])
@pytest.mark.parametrize('temperature', [0.0, 1.5])
def test_random_weights_always_give_an_answer_that_parses(robopoint_set, variant, temperature):
    options = {'temperature': temperature, 'max_new_tokens': 128, 'decode': 'constrained'}
    model = robopoint_set.model(variant, seed=7, **options)
    for name in robopoint_set.images:
        prediction = model.predict(Frame(robopoint_set.rgb(name)), Query(QUESTION))
        assert prediction.text.startswith('[')
        assert prediction.text.endswith(']')
        assert 'unfinished last tuple dropped' not in prediction.repairs
        assert prediction.text == '[]' or len(prediction.keypoints)


def test_the_same_random_weights_do_not_parse_without_the_grammar(robopoint_set):
    model = robopoint_set.model('vicuna_full', temperature=1.5, seed=7, max_new_tokens=128)
    failed = 0
    for name in robopoint_set.images:
        try:
            model.predict(Frame(robopoint_set.rgb(name)), Query(QUESTION))
        except UnparsableAnswer:
            failed += 1
    assert failed


@pytest.mark.parametrize('most', [1, 3])
def test_max_points_bounds_the_answer(robopoint_set, most):
    model = robopoint_set.model('vicuna_full', decode='constrained', max_points=most, max_new_tokens=512)
    for name in robopoint_set.images:
        assert len(model.predict(Frame(robopoint_set.rgb(name)), Query(QUESTION)).keypoints) <= most


def test_an_answer_is_never_cut_in_half(robopoint_set):
    for tokens in (24, 40, 57):
        model = robopoint_set.model('vicuna_full', decode='constrained', max_new_tokens=tokens)
        for name in robopoint_set.images:
            assert model.predict(Frame(robopoint_set.rgb(name)), Query(QUESTION)).text.endswith(']')


def test_a_free_question_stays_free(pocket, questions):
    frame, query = questions[0]
    free, bound = (pocket[how].predict(frame, Query(text=query.text, task='text')) for how in ('free', 'constrained'))
    assert free.text == bound.text


def test_confidence_and_stop_work_as_without_a_grammar(pocket, questions):
    frame, query = questions[0]
    assert 0 < pocket['constrained'].predict(frame, query).confidence <= 1
    steps = []
    with pytest.raises(AffordanceError) as caught:
        pocket['constrained'].predict(
            frame, query, progress=steps.append, stop=lambda: any(step.stage == 'generate' for step in steps)
        )
    assert caught.value.code == Code.CANCELED
    assert sum(step.stage == 'generate' for step in steps) == 1


@pytest.mark.parametrize(
    'options',
    [
        {'decode': 'constrained', 'max_new_tokens': 3},
        {'max_points': 4},
        {'decode': 'constrained', 'max_points': 0},
        {'decode': 'strict'},
    ],
)
def test_options_that_cannot_hold_are_refused(options):
    with pytest.raises(AffordanceError) as caught:
        load_model('robopoint', checkpoint='pocket', **options)
    assert caught.value.code == Code.BAD_INPUT


def test_describe_tells_how_answers_are_decoded(pocket):
    assert {how: model.describe().settings['decode'] for how, model in pocket.items()} == {how: how for how in pocket}


@pytest.fixture(scope='module')
def robointer():
    options = {'checkpoint': str(ROBOINTER / 'checkpoint'), 'siglip': str(ROBOINTER / 'siglip-tiny-patch14-384')}
    return {how: load_model('robointer', decode=how, **options) for how in ('free', 'constrained')}


@pytest.mark.parametrize('task', ['current_box', 'contact_points', 'trace', 'decide'])
def test_robointer_parses_in_few_passes_where_random_weights_would_not(robointer, task):
    frame = Frame(np.array(Image.open(ROBOINTER.parent / 'images' / 'droid_320x180.png').convert('RGB')))
    query = Query(text='the red cup', task=task)
    with pytest.raises(UnparsableAnswer):
        robointer['free'].predict(frame, query)
    counted = passes(robointer['constrained'])
    prediction = robointer['constrained'].predict(frame, query)
    found = prediction.boxes or prediction.keypoints or prediction.traces or prediction.text
    assert len(found)
    assert not [repair for repair in prediction.repairs if 'plain numbers' in repair or 'brackets' in repair]
    assert len(counted) < len(robointer['constrained'].tokenizer.encode(prediction.text)) or task == 'decide'


def test_robointer_refuses_less_room_than_an_answer_needs():
    options = {'checkpoint': str(ROBOINTER / 'checkpoint'), 'siglip': str(ROBOINTER / 'siglip-tiny-patch14-384')}
    model = load_model('robointer', decode='constrained', max_new_tokens=20, **options)
    with pytest.raises(AffordanceError, match='max_new_tokens') as caught:
        model.predict(Frame(np.zeros((60, 80, 3), np.uint8)), Query(text='the cup', task='trace'))
    assert caught.value.code == Code.BAD_INPUT


@pytest.mark.parametrize('profile', ['robot', 'eval', 'fast'])
def test_affordance_r1_parses_strictly_and_with_tolerance(profile):
    """Random weights write no answer block freely; within the grammar even the strict parser of 'eval' reads them."""
    frame = Frame(np.array(Image.open(AFFORDANCE_R1 / 'inputs' / 'mug_640x480.png').convert('RGB')))
    query = Query(text='Which part of the mug should I grasp?')
    options = {
        'checkpoint': str(AFFORDANCE_R1 / 'checkpoint' / 'affordance-r1'),
        'profile': profile,
        'temperature': 1.0,
    }
    with pytest.raises(UnparsableAnswer):
        load_model('affordance_r1', max_new_tokens=64, **options).predict(frame, query)
    found = 0
    for seed in (0, 3):
        model = load_model('affordance_r1', decode='constrained', seed=seed, max_new_tokens=280, **options)
        prediction = model.predict(frame, query)
        assert prediction.text.endswith(']</answer>')
        assert not prediction.repairs
        assert len(prediction.boxes) == len(prediction.keypoints)
        found += len(prediction.boxes)
    assert found or profile == 'fast'
