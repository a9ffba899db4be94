# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1 asked several questions at once: the recorded batch of the official program, and one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip('torch')
from tiny_qwen_vl import Tiny, write_checkpoint  # noqa: E402
from tiny_sam2 import build_package  # noqa: E402

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer  # noqa: E402
from affordance_ros.evaluation.engine import LocalEngine, Question  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.affordance_r1 import PROFILES  # noqa: E402
from affordance_ros.models.affordance_r1_prompts import SIDE  # noqa: E402
from affordance_ros.models.base import BatchModel  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings  # noqa: E402
from affordance_ros.models.parts.qwen_vl_asking import Asking  # noqa: E402
from affordance_ros.models.parts.qwen_vl_image import stretch  # noqa: E402
from affordance_ros.models.parts.segmenting import best_candidate  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

ROOT = Path(__file__).parents[1] / 'data' / 'parity' / 'affordance_r1'
RECORDS = json.loads((ROOT / 'expected' / 'expected.json').read_text())['batch2']
N_NEW = json.loads((ROOT / 'expected' / 'expected.json').read_text())['n_new']


def frame(index):
    rng = np.random.default_rng(index)
    return Frame(rng.integers(0, 255, (60 + 20 * index, 80, 3), dtype=np.uint8))


QUESTIONS = [
    (frame(index), Query(text)) for index, text in enumerate(('Where to hold the mug?', 'Cut it.', 'Sit where?'))
]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('affordance-r1')
    write_checkpoint(folder / 'checkpoint', Tiny(sub_folder=True))
    return folder / 'checkpoint', str(build_package(folder / 'sam2'))


def test_the_recorded_batch_of_the_official_program():
    with np.load(ROOT / 'expected' / 'batch2_eval.npz') as content:
        greedy = content['greedy']
    model = load_model('affordance_r1', ROOT / 'checkpoint' / 'affordance-r1', profile='eval', max_new_tokens=N_NEW)
    names, texts = RECORDS['images'], RECORDS['questions']
    pictures = [np.array(Image.open(ROOT / 'inputs' / f'{Path(name).stem}.png').convert('RGB')) for name in names]
    questions = [(Frame(rgb), Query(text)) for rgb, text in zip(pictures, texts, strict=True)]
    answers = model.predict_batch(questions)
    assert all(isinstance(answer.result, UnparsableAnswer) for answer in answers)
    assert [answer.text for answer in answers] == RECORDS['text']
    profile, settings = PROFILES['eval'], DecodeSettings(N_NEW)
    askings = [
        Asking(profile.prompt(profile.question(query)), [stretch(image.rgb, SIDE)], settings)
        for image, query in questions
    ]
    replies = model.asker.ask_batch(askings)
    for reply, ids in zip(replies, greedy, strict=True):
        assert reply.written.ids == ids.tolist()


def test_a_batch_gives_the_predictions_of_one_by_one(files):
    checkpoint, sam2 = files
    model = load_model('affordance_r1', checkpoint, sam2=sam2, decode='constrained', profile='fast', max_new_tokens=110)
    assert isinstance(model, BatchModel)
    for written, (image, query) in zip(model.predict_batch(QUESTIONS), QUESTIONS, strict=True):
        alone, answer = model.predict(image, query), written.result
        assert written.text == answer.text == alone.text
        assert answer.query == query
        assert np.array_equal(answer.boxes.boxes, alone.boxes.boxes)
        assert np.array_equal(answer.masks.masks, alone.masks.masks)
        assert answer.confidence == pytest.approx(alone.confidence, abs=1e-4)
        assert set(answer.seconds) == set(alone.seconds) == {'encode', 'generate', 'refine', 'total'}


def test_a_question_that_is_refused_does_not_refuse_the_others(files):
    engine = LocalEngine(load_model('affordance_r1', files[0], max_new_tokens=6))
    assert engine.batches
    texts = ('Where to hold it?', 'What is <|im_end|> for?', 'Where to sit?')
    replies = engine.answer([Question([frame(0)], Query(text)) for text in texts])
    codes = [reply.answer.code for reply in replies]
    assert codes == [Code.UNPARSABLE_ANSWER, Code.BAD_INPUT, Code.UNPARSABLE_ANSWER]
    assert [bool(reply.text) for reply in replies] == [True, False, True]


def test_a_stop_ends_the_batch(files):
    model = load_model('affordance_r1', files[0], max_new_tokens=6)
    with pytest.raises(AffordanceError) as caught:
        model.predict_batch(QUESTIONS, stop=lambda: True)
    assert caught.value.code == Code.CANCELED


def test_of_equal_scores_the_last_mask_is_taken():
    cases = json.loads((ROOT / 'expected' / 'metric_cases.json').read_text())['tie_break']
    scores = np.array([case['scores'] for case in cases])
    assert best_candidate(scores).tolist() == [case['chosen'] for case in cases]
