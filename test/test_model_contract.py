# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every registered model must keep (models/base.py). A new model gets one line in LOADED."""

from pathlib import Path

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.models import ModelInfo, list_models, load_model
from affordance_ros.models.base import STAGES, BatchModel
from affordance_ros.results import Frame, Prediction, Query

PARITY = Path(__file__).parent / 'data' / 'parity'
_ROBOPOINT = PARITY / 'robopoint' / 'checkpoint'
_HANDSONVLM = PARITY / 'handsonvlm' / 'checkpoint'
_GLOVER = PARITY / 'glover'
_AFFORDANCE_R1 = PARITY / 'affordance_r1' / 'checkpoint' / 'affordance-r1'
_SAM2 = PARITY / 'sam2' / 'sam2_pkg' / 'sam2_hiera_fixture.pt'
_ROBOINTER = PARITY / 'robointer' / 'llavaov'
BATCHED = ('affordance_r1', 'robopoint', 'robointer', 'robointer_qwen', 'qwen_vl')  # answer several questions at once
LOADED = {
    'fake': {},
    'affordance_r1': {
        'checkpoint': str(_AFFORDANCE_R1),
        'sam2': str(_SAM2),
        'decode': 'constrained',  # tiny weights write no answer of their own,
        'temperature': 1.0,  # and their likeliest one is the empty list
        'max_new_tokens': 320,
    },
    'robopoint': {
        'checkpoint': str(_ROBOPOINT / 'robopoint-v1-vicuna-v1.5-tiny'),
        'clip': str(_ROBOPOINT / 'clip-vit-tiny-patch14'),
        'max_new_tokens': 96,
    },
    'robointer': {
        'checkpoint': str(_ROBOINTER / 'checkpoint'),
        'siglip': str(_ROBOINTER / 'siglip-tiny-patch14-384'),
        'decode': 'constrained',  # random weights write no JSON by themselves
    },
    'robointer_qwen': {
        'checkpoint': str(PARITY / 'robointer' / 'qwen' / 'checkpoint'),
        'decode': 'constrained',
    },
    'qwen_vl': {
        'checkpoint': str(PARITY / 'robointer' / 'qwen' / 'checkpoint'),
        'dialect': 'qwen3_vl',  # no number of its format lies outside the image
        'decode': 'constrained',
        'temperature': 1.0,
        'seed': 1,
    },
    'handsonvlm': {
        'checkpoint': str(_HANDSONVLM / 'handsonvlm-tiny'),
        'clip': str(_HANDSONVLM / 'clip-tiny'),
        'decode': 'constrained',  # random weights may well answer without a hand
    },
    **{
        name: {
            'checkpoint': str(_GLOVER / name / 'checkpoint'),
            'clip': str(_GLOVER / 'clip-vit-tiny-patch14'),
            'decode': 'constrained',  # tiny weights may well answer without [SEG]
        }
        for name in ('glover', 'glover_plus')
    },
}
_ONE_AT_A_TIME = ('contact_box', 'contact_points', 'trace')  # where one question fills one output
TASKS = {
    'robointer': _ONE_AT_A_TIME,
    'robointer_qwen': _ONE_AT_A_TIME,
    'qwen_vl': ('points', 'boxes', 'trace'),
}
QUESTION = 'Find a few spots within the vacant area to the right of the red mug.'
NAMES = [entry.name for entry in list_models()]


def numbers(prediction):
    """Return every array of an answer."""
    found = {}
    for name, field in (('heatmap', 'values'), ('keypoints', 'points'), ('boxes', 'boxes'), ('masks', 'masks')):
        if getattr(prediction, name) is not None:
            found[name] = np.asarray(getattr(getattr(prediction, name), field))
    for name in ('traces', 'hands'):
        if getattr(prediction, name) is not None:
            found[name] = np.concatenate([np.zeros((0, 2)), *(each.points for each in getattr(prediction, name))])
    return found


@pytest.fixture(scope='module', params=NAMES)
def model(request):
    pytest.importorskip('torch')
    return load_model(request.param, **LOADED[request.param])


@pytest.fixture(scope='module')
def frame():
    from PIL import Image

    path = PARITY / 'robopoint' / 'inputs' / 'images' / 'counter_640x480.png'
    rgb = np.array(Image.open(path).convert('RGB'))
    return Frame(rgb, np.ones(rgb.shape[:2], np.float32))


def test_every_model_is_covered():
    assert set(LOADED) == set(NAMES)


def test_declares_the_outputs_of_the_registry(model):
    entry = next(entry for entry in list_models() if entry.name == model.describe().name)
    assert model.outputs == entry.outputs


def test_gives_the_declared_outputs_inside_the_image(model, frame):
    filled = set()
    for task in TASKS.get(model.describe().name, ('',)):
        prediction = model.predict(frame, Query(QUESTION, task=task))
        assert isinstance(prediction, Prediction)
        assert prediction.model == model.describe().name
        filled |= {name for name in model.outputs if getattr(prediction, name) not in (None, '')}
        check_numbers(prediction, frame)
    assert filled == model.outputs


def check_numbers(prediction, frame):
    found = numbers(prediction)
    assert any(array.size for array in found.values())
    for name in {'keypoints', 'boxes', 'traces'} & set(found):  # a hand may come from outside the image
        points = found[name].reshape(-1, 2)
        assert (points >= 0).all()
        assert (points <= (frame.width - 1, frame.height - 1)).all()
    for name in {'heatmap', 'masks'} & set(found):
        assert found[name].shape[-2:] == (frame.height, frame.width)
    assert all(np.isfinite(array).all() for array in found.values())
    assert prediction.seconds['total'] >= 0


def test_answers_are_deterministic(model, frame):
    # The first answer reads the image, the next ones remember it, which changes the rounding of a map.
    _, first, second = (model.predict(frame, Query(QUESTION)) for _ in range(3))
    assert first.text == second.text
    assert numbers(first).keys() == numbers(second).keys()
    for name, array in numbers(first).items():
        assert np.array_equal(array, numbers(second)[name])


def answer_of(model, frame, query):
    """Return what the model wrote and its answer, or why there is none."""
    steps = []
    try:
        prediction = model.predict(frame, query, progress=steps.append)
    except UnparsableAnswer as error:
        return error.text, error
    return next(step.text for step in reversed(steps) if step.stage == 'parse'), prediction


def test_a_batch_gives_what_each_question_gets_alone(model, frame):
    name = model.describe().name
    assert isinstance(model, BatchModel) == (name in BATCHED)
    if name not in BATCHED:
        return
    part = Frame(frame.rgb[:200, :300].copy())
    questions = [(part, Query(QUESTION)), (frame, Query(QUESTION + ' Now.')), (frame, Query(QUESTION))]
    for answer, (asked, query) in zip(model.predict_batch(questions), questions, strict=True):
        text, alone = answer_of(model, asked, query)
        assert answer.text == text
        assert type(answer.result) is type(alone)
        if isinstance(alone, UnparsableAnswer):  # of a tiny checkpoint that was trained on another image
            continue
        assert answer.result.text == alone.text
        assert answer.result.confidence == pytest.approx(alone.confidence, abs=1e-4)
        assert numbers(answer.result).keys() == numbers(alone).keys()
        for kind, array in numbers(alone).items():
            assert np.array_equal(array, numbers(answer.result)[kind])
        assert answer.result.seconds.keys() == alone.seconds.keys()
    assert not isinstance(answer.result, UnparsableAnswer)


def test_takes_a_clip_and_refuses_an_empty_one(model, frame):
    assert any(array.size for array in numbers(model.predict([frame, frame], Query(QUESTION))).values())
    with pytest.raises(AffordanceError) as caught:
        model.predict([], Query(QUESTION))
    assert caught.value.code == Code.NO_IMAGE


def test_honours_stop_at_once(model, frame):
    with pytest.raises(AffordanceError) as caught:
        model.predict(frame, Query(QUESTION), stop=lambda: True)
    assert caught.value.code == Code.CANCELED


def test_honours_stop_while_it_writes(model, frame):
    steps = []
    with pytest.raises(AffordanceError) as caught:
        model.predict(
            frame, Query(QUESTION), progress=steps.append, stop=lambda: any(s.stage == 'generate' for s in steps)
        )
    assert caught.value.code == Code.CANCELED
    assert sum(step.stage == 'generate' for step in steps) == 1


def test_reports_progress_in_order(model, frame):
    steps = []
    prediction = model.predict(frame, Query(QUESTION), progress=steps.append)
    assert [STAGES.index(step.stage) for step in steps] == sorted(STAGES.index(step.stage) for step in steps)
    assert all(0 <= step.fraction <= 1 for step in steps)
    assert steps[-1].text == prediction.text


def test_leaves_the_frame_as_it_was(model, frame):
    rgb, depth = frame.rgb.copy(), frame.depth.copy()
    model.predict(frame, Query(QUESTION))
    assert np.array_equal(frame.rgb, rgb)
    assert np.array_equal(frame.depth, depth)


def test_refuses_an_empty_query(model, frame):
    with pytest.raises(ValueError, match='query'):
        model.predict(frame, Query('   '))


def test_describes_itself(model):
    info = model.describe()
    assert isinstance(info, ModelInfo)
    assert info.name in NAMES
    for text in (info.dtype, info.device, info.code_licence, info.weights_licence, info.repository):
        assert text
    assert info.parameters >= 0
    assert info.memory_bytes >= 0
    assert info.checked
    assert info.unchecked
