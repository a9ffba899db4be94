# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any checkpoint of the Qwen-VL family as a user meets it: each dialect asks and is read in its own way."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('torch')
from tiny_qwen_vl import Tiny, write_checkpoint, writes  # noqa: E402

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.parts.answer_dialects import DIALECTS, Ask, Dialect  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

CONFIG = Path(__file__).parents[2] / 'config'
FRAME = Frame(np.random.default_rng(5).integers(0, 255, (120, 160, 3), dtype=np.uint8))
SEEN = (168, 112)  # what patches of 14 make of it, two a side to a token
QUERY = Query('the handle of the mug')
FAMILIES = ('qwen2_5_vl', 'qwen3_vl', 'qwen3_vl_moe')


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    found = {}
    for family in FAMILIES:
        found[family] = tmp_path_factory.mktemp(family)
        write_checkpoint(found[family], Tiny(family=family))
    return found


@pytest.fixture
def load(folders):
    def loads(family='qwen2_5_vl', **options):
        return load_model('qwen_vl', folders[family], **{'max_new_tokens': 400, **options})

    return loads


def asked(model, query):
    """Return the prompt that a query is asked with and the answer it has to begin with."""
    seen = []
    ask = model.asker.ask

    def remember(asking, listener):
        seen.append(asking)
        return ask(replace(asking, settings=replace(asking.settings, max_new_tokens=1)), listener)

    model.asker.ask = remember
    try:
        model.predict(FRAME, query)
    except UnparsableAnswer:
        pass
    finally:
        model.asker.ask = ask
    (asking,) = seen
    return asking.prompt, asking.begun


@pytest.mark.parametrize(
    ('spoken', 'text', 'points', 'thought'),
    [
        (('qwen2_5_vl', {}), '```json\n[{"point_2d": [84, 56], "label": "handle"}]\n```', [[80, 60]], ''),
        (('qwen3_vl', {}), '[{"point_2d": [500, 500], "label": "handle"}]', [[80, 60]], ''),
        (('qwen2_5_vl', {'dialect': 'embodied_r1'}),
         '<think>Grey.</think><answer><point>[[84, 56], [42, 28]]</point></answer>', [[80, 60], [40, 30]], 'Grey.'),
        (('qwen2_5_vl', {'dialect': 'embodied_r1', 'think': False}), '[84, 56]]</point></answer>', [[80, 60]], ''),
        (('qwen2_5_vl', {'dialect': 'robobrain2'}), 'It is grey.</think>\n<answer>[(84, 56)]</answer>', [[80, 60]],
         'It is grey.'),
        (('qwen2_5_vl', {'dialect': 'robobrain2', 'think': False}), '[(84, 56)]</answer>', [[80, 60]], ''),
        (('qwen2_5_vl', {'dialect': 'robobrain2_3b'}), '[(84, 56), (42, 28)]', [[80, 60], [40, 30]], ''),
        (('qwen2_5_vl', {'dialect': 'unit_points'}), '[(0.5, 0.5)]', [[80, 60]], ''),
        (('qwen2_5_vl', {'coordinates': 'original'}), '[{"point_2d": [80, 60]}]', [[80, 60]], ''),
    ],
)  # fmt: skip
def test_a_golden_answer_of_each_dialect_through_predict(load, spoken, text, points, thought):
    family, options = spoken
    prediction = writes(load(family, **options), text).predict(FRAME, QUERY)
    np.testing.assert_allclose(prediction.keypoints.points, points, atol=1e-9)
    assert prediction.reasoning == thought
    assert prediction.repairs == ()
    assert prediction.text.endswith(text)
    assert 0 < prediction.confidence <= 1


def test_boxes_traces_and_words(load):
    box = '[{"bbox_2d": [42, 28, 84, 56], "label": "mug"}]'
    boxes = writes(load(), box).predict(FRAME, replace(QUERY, task='boxes')).boxes
    np.testing.assert_allclose(boxes.boxes, [[40, 30, 80, 60]])
    assert boxes.labels == ('mug',)
    way = '[{"point_2d": [42, 28], "label": "gripper"}, {"point_2d": [84, 56]}, {"point_2d": [126, 84]}]'
    prediction = writes(load(), way).predict(FRAME, replace(QUERY, task='trace'))
    (trace,) = prediction.traces
    np.testing.assert_allclose(trace.points, [[40, 30], [80, 60], [120, 90]])
    assert trace.label == 'gripper'
    assert prediction.keypoints is None
    with pytest.raises(UnparsableAnswer, match='a path needs two points'):
        writes(load(), '[{"point_2d": [42, 28]}]').predict(FRAME, replace(QUERY, task='trace'))
    assert writes(load(), '[]').predict(FRAME, replace(QUERY, task='trace')).traces == ()
    words = writes(load(dialect='robobrain2'), 'It is red.</think><answer>A mug.</answer>')
    prediction = words.predict(FRAME, Query('What is it?', task='text'))
    assert prediction.text == '<think>It is red.</think><answer>A mug.</answer>'
    assert prediction.reasoning == 'It is red.'
    assert prediction.keypoints is prediction.boxes is None


def test_an_empty_list_is_an_empty_result_and_words_are_no_places(load):
    prediction = writes(load(), '```json\n[]\n```').predict(FRAME, QUERY)
    assert (len(prediction.keypoints), len(prediction.boxes)) == (0, 0)
    with pytest.raises(UnparsableAnswer) as caught:
        writes(load(), 'There is no mug.').predict(FRAME, QUERY)
    assert caught.value.text == 'There is no mug.'


def test_an_answer_that_was_cut_off_is_told(load):
    whole = '[{"point_2d": [84, 56]}, {"point_2d": [42, 28]}, {"point_2d": [21, 14]}]'
    prediction = writes(load(max_new_tokens=len(whole) - 24), whole).predict(FRAME, QUERY)
    np.testing.assert_allclose(prediction.keypoints.points, [[80, 60], [40, 30]])
    assert any('cut off' in note for note in prediction.repairs)


EMBODIED_R1 = (
    '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n'
    '<|vision_start|><|image_pad|><|vision_end|>Provide one or more points coordinate of objects region the handle of '
    'the mug. The results are presented in a format <point>[[x1,y1], [x2,y2], ...]</point>. You FIRST think about the '
    'reasoning process as an internal monologue and then provide the final answer. The reasoning process and answer '
    'are enclosed within <think> </think> and <answer> </answer> tags. The answer consists only of several coordinate '
    'points, with the overall format being: <think> reasoning process here </think><answer><point>[[x1, y1], [x2, y2], '
    '...]</point></answer><|im_end|>\n<|im_start|>assistant\n'
)
ROBOBRAIN = (
    '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n'
    '<|vision_start|><|image_pad|><|vision_end|>the handle of the mug. Your answer should be formatted as a list of '
    'tuples, i.e. [(x1, y1), (x2, y2), ...], where each tuple contains the x and y coordinates of a point satisfying '
    'the conditions above. The coordinates should indicate the normalized pixel locations of the points in the image.'
    '<|im_end|>\n<|im_start|>assistant\n'
)


@pytest.mark.parametrize(
    ('options', 'prompt', 'begun'),
    [
        ({'dialect': 'embodied_r1'}, EMBODIED_R1, ''),
        ({'dialect': 'embodied_r1', 'think': False}, EMBODIED_R1, '<answer><point>['),
        ({'dialect': 'robobrain2'}, ROBOBRAIN, '<think>'),
        ({'dialect': 'robobrain2', 'think': False}, ROBOBRAIN, '<think></think><answer>'),
        ({'dialect': 'robobrain2_3b'}, ROBOBRAIN, ''),
    ],
)
def test_the_official_words_are_asked_to_the_letter(load, options, prompt, begun):
    assert asked(load(**options), QUERY) == (prompt, begun)


def test_embodied_r1_asks_for_eight_waypoints(load):
    prompt, _ = asked(load(dialect='embodied_r1'), Query('put the mug on the plate', task='trace'))
    assert 'The task instruction is: put the mug on the plate. Use 2D points to mark the manipulated' in prompt
    assert 'the number of points must be 8. You FIRST' in prompt
    assert prompt.endswith(
        '<point>[[x1, y1], [x2, y2], ..., [x8, y8]]</point></answer>.<|im_end|>\n<|im_start|>assistant\n'
    )


def test_the_dialect_is_that_of_the_family_unless_it_is_named(load):
    assert load('qwen2_5_vl').describe().settings['dialect'] == 'qwen2_5_vl'
    assert load('qwen3_vl_moe').describe().settings['dialect'] == 'qwen3_vl'
    settings = load('qwen3_vl').describe().settings
    assert (settings['dialect'], settings['coordinates'], settings['thinks']) == ('qwen3_vl', 'thousand', 'False')
    assert asked(load('qwen3_vl'), QUERY)[0].startswith('<|im_start|>user\n<|vision_start|>')
    assert asked(load('qwen3_vl', system='Be brief.'), QUERY)[0].startswith('<|im_start|>system\nBe brief.<|im_end|>')
    settings = load(dialect='embodied_r1').describe().settings
    assert (settings['dialect'], settings['repetition_penalty'], settings['thinks']) == ('embodied_r1', '1.05', 'True')
    assert load(dialect='embodied_r1', repetition_penalty=1.2).describe().settings['repetition_penalty'] == '1.2'


def test_a_question_of_ones_own_takes_the_place_of_the_default_one(load):
    model = load(question='Point to {text}, please.')
    assert '<|vision_end|>Point to the handle of the mug, please.<|im_end|>' in asked(model, QUERY)[0]
    assert 'bounding boxes' in asked(model, replace(QUERY, task='boxes'))[0]
    braces = asked(load(), Query('the {0} of {text}'))[0]  # braces of a user are no slots
    assert 'the {0} of {text}\nAnswer with points' in braces


def test_limits_of_the_image_are_settings_and_answers_stay_in_its_pixels(load):
    for options, seen in (({}, SEEN), ({'max_pixels': 4000}, (56, 28)), ({'min_pixels': 60000}, (308, 224))):
        model = load(**options)
        assert model.asker.network.pixels(FRAME.rgb).size == seen
        text = json.dumps([{'point_2d': [seen[0] / 2, seen[1] / 2]}])
        np.testing.assert_allclose(writes(model, text).predict(FRAME, QUERY).keypoints.points, [[80, 60]])


@pytest.mark.parametrize('name', DIALECTS)
def test_constrained_answers_of_random_weights_parse_in_every_dialect(load, name):
    for think in (None, False) if DIALECTS[name].quick is not None else (None,):
        model = load('qwen3_vl', dialect=name, think=think, decode='constrained', temperature=1.0, max_new_tokens=300)
        for task, ask in DIALECTS[name].asks.items():
            if ask.result == 'text':
                continue
            prediction = model.predict(FRAME, replace(QUERY, task=task))
            assert not [note for note in prediction.repairs if 'pulled' not in note], prediction.text
            assert (prediction.traces is not None) == (ask.result == 'trace')


def test_a_small_room_for_a_constrained_answer_is_refused(load):
    with pytest.raises(AffordanceError, match='max_new_tokens') as caught:
        load(decode='constrained', max_new_tokens=20).predict(FRAME, QUERY)
    assert caught.value.code == Code.BAD_INPUT


def test_thoughts_are_told_as_they_are_written_and_a_stop_ends_them_within_one_token(load):
    text = 'It is grey.</think><answer>[(84, 56)]</answer>'
    steps = []
    writes(load(dialect='robobrain2'), text).predict(FRAME, QUERY, progress=steps.append)
    texts = [step.text for step in steps if step.stage == 'generate']
    assert texts[0] == '<think>I'
    assert any(each.endswith('grey.') for each in texts)
    steps.clear()
    with pytest.raises(AffordanceError) as caught:
        writes(load(dialect='robobrain2'), text).predict(
            FRAME, QUERY, progress=steps.append, stop=lambda: sum(s.stage == 'generate' for s in steps) >= 5
        )
    assert caught.value.code == Code.CANCELED
    assert sum(step.stage == 'generate' for step in steps) == 5


def test_questions_on_one_frame_encode_it_once(load):
    model = load(decode='constrained', max_new_tokens=200)
    alone = load(decode='constrained', max_new_tokens=200, share_prefix=False)
    for text in ('mug', 'bowl', 'the left edge of the table'):
        shared, single = (each.predict(FRAME, Query(text)) for each in (model, alone))
        assert shared.text == single.text
    assert (model.asker.encoded_images, alone.asker.encoded_images) == (1, 3)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'dialect': 'molmo'}, "dialect 'molmo' is unknown"),
        ({'coordinates': 'metres'}, "coordinates 'metres' is unknown"),
        ({'profile': 'eval'}, "profile 'eval' is unknown"),
        ({'question': 'where?'}, r'must hold \{text\}'),
        ({'think': True}, 'the dialect qwen2_5_vl does not think'),
        ({'min_pixels': 10_000_000, 'max_pixels': 5}, 'limits make no sense'),
    ],
)
def test_options_that_make_no_sense_are_refused(load, options, words):
    with pytest.raises(AffordanceError, match=words) as caught:
        load(**options)
    assert caught.value.code == Code.BAD_INPUT


def test_unknown_tasks_and_special_tokens_are_refused(load):
    with pytest.raises(AffordanceError, match="task 'contact' is unknown; known: points, boxes"):
        load().predict(FRAME, replace(QUERY, task='contact'))
    with pytest.raises(AffordanceError, match='has a meaning to the model'):
        load().predict(FRAME, Query('the <|image_pad|>'))
    with pytest.raises(AffordanceError, match='needs checkpoint='):
        load_model('qwen_vl')


def test_a_dialect_that_is_not_well_formed_cannot_be_written():
    for fields in ({'coordinates': 'metres'}, {'form': 'xml'}, {'default': 'boxes'}):
        with pytest.raises(ValueError, match='not well formed'):
            Dialect(**{'name': 'x', 'coordinates': 'unit', 'form': 'list', 'asks': {'points': Ask('{text}')}, **fields})


RIVALS = sorted(path for path in CONFIG.glob('*.yaml') if 'model.name: qwen_vl' in path.read_text())


@pytest.mark.parametrize('path', RIVALS, ids=lambda path: path.stem)
def test_a_parameter_file_of_ten_lines_is_a_rival(folders, path):
    """The options of the file as the node reads them, on a tiny checkpoint of the family that the file is for."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith('#')]
    assert len(lines) <= 10
    (parameters,) = (entry['ros__parameters'] for entry in yaml.safe_load(path.read_text()).values())
    options = json.loads(parameters['model.options'])
    family = 'qwen3_vl' if options['dialect'] == 'qwen3_vl' else 'qwen2_5_vl'
    model = load_model('qwen_vl', folders[family], decode='constrained', **{**options, 'max_new_tokens': 300})
    assert model.describe().settings['dialect'] == (family if options['dialect'] == 'auto' else options['dialect'])
    prediction = model.predict(FRAME, QUERY)
    assert prediction.keypoints is not None


def test_every_dialect_has_its_file():
    files = [yaml.safe_load(path.read_text())['/**/affordance_node']['ros__parameters'] for path in RIVALS]
    named = {json.loads(parameters['model.options'])['dialect'] for parameters in files}
    assert named == {'auto', 'qwen2_5_vl', 'qwen3_vl', 'embodied_r1', 'robobrain2'}


@pytest.mark.parametrize('family', FAMILIES)
def test_a_batch_of_images_is_answered_as_one_by_one(load, family):
    """Images of two sizes, so that the shorter prompt is padded and early layers get their features in other rows."""
    model = load(family, decode='constrained', max_new_tokens=200, temperature=1.0)
    small = Frame(FRAME.rgb[:70, :90].copy())
    questions = [(FRAME, QUERY), (small, Query('the left edge')), (FRAME, replace(QUERY, task='boxes'))]
    for answer, (frame, query) in zip(model.predict_batch(questions), questions, strict=True):
        alone = model.predict(frame, query)
        assert answer.text == alone.text
        np.testing.assert_allclose(answer.result.keypoints.points, alone.keypoints.points)
        np.testing.assert_allclose(answer.result.boxes.boxes, alone.boxes.boxes)
