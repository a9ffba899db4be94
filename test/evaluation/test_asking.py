# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asking a benchmark: batches, shards, what is an answer and what an accident, and going on after either."""

import json
from functools import partial

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.evaluation.asking import Asking, ask_with, run_record
from affordance_ros.evaluation.earlier import set_aside
from affordance_ros.evaluation.engine import EngineRequest, LocalEngine, Question, open_engine
from affordance_ros.evaluation.finished import finished_lines, throughput
from affordance_ros.evaluation.questions import Item, Shard
from affordance_ros.models.base import BatchAnswer, BatchModel, ModelInfo
from affordance_ros.results import Frame, Prediction, Query

COUNT = 11


class Numbers:
    """Eleven questions; `read` notes which truths were read."""

    def __init__(self, missing=()):
        self.missing, self.read = missing, []

    def describe(self):
        return {'count': COUNT}

    def items(self):
        return map(self._item, range(COUNT))

    def _item(self, number):
        def frames():
            if number in self.missing:
                raise AffordanceError(Code.NO_IMAGE, f'there is no image {number}')
            return [Frame(np.full((2, 3, 3), number, np.uint8))]

        def truth():
            self.read.append(number)
            return {'number': number}

        return Item(str(number), frames, Query(f'number {number}?'), truth)

    def record(self, prediction):
        return {'answer': prediction.text}


class Echo:
    """Answers with the number in the image. beside: the numbers that were asked at once, in the answer too."""

    outputs = frozenset({'text'})

    def __init__(self, refuse=None, fail_at=None, error=None):
        self.refuse, self.fail_at, self.error, self.calls = refuse, fail_at, error, []

    def describe(self):
        return ModelInfo('echo', 0, 'float32', 'cuda:1', 0, '', '', '')

    def predict(self, frame, query, *, progress=None, stop=None):  # noqa: ARG002
        return self._answer(frame, query, 1)

    def _answer(self, frame, query, beside):
        number = int(frame.rgb[0, 0, 0])
        self.calls.append(number)
        if number == self.fail_at:
            raise self.error
        if number == self.refuse:
            raise UnparsableAnswer('gibberish')
        return Prediction('echo', query, f'{number} of {beside}')


class BatchEcho(Echo):
    """Answers batches too."""

    def predict_batch(self, questions, *, stop=None):  # noqa: ARG002
        return [
            BatchAnswer.of(query.text, partial(self._answer, frame, query, len(questions)))
            for frame, query in questions
        ]


def ask(out, model=None, data=None, **more):
    data, engine = data or Numbers(), LocalEngine(model or Echo())
    return ask_with(data, engine, Asking(out, run_record('numbers', data, engine.describe(), {}), **more))


def texts(out):
    return [line['text'] for line in finished_lines(out)[1]]


def test_a_model_that_takes_batches_is_asked_in_batches(tmp_path):
    assert isinstance(BatchEcho(), BatchModel)
    assert not isinstance(Echo(), BatchModel)
    ask(tmp_path / 'one', Echo(), batch=4)
    assert texts(tmp_path / 'one') == [f'{number} of 1' for number in range(COUNT)]
    ask(tmp_path / 'many', BatchEcho(refuse=5), batch=4)
    lines = finished_lines(tmp_path / 'many')[1]
    assert [line.get('answer') for line in lines] == [
        None if number == 5 else f'{number} of {4 if number < 8 else 3}' for number in range(COUNT)
    ]
    # What the model wrote, which need not be the text of its prediction.
    assert texts(tmp_path / 'many') == ['gibberish' if number == 5 else f'number {number}?' for number in range(COUNT)]
    outcomes = [line['outcome'] for line in lines]
    assert outcomes.count('UNPARSABLE_ANSWER') == 1


@pytest.mark.parametrize(('batch', 'shards'), [(1, 3), (2, 3), (4, 2), (4, 3)])
def test_shards_are_asked_the_same_batches_and_give_the_same_file(tmp_path, batch, shards):
    ask(tmp_path / 'one', BatchEcho(), batch=batch)
    for index in reversed(range(shards)):
        ask(tmp_path / 'more', BatchEcho(), batch=batch, shard=Shard(index, shards))
    _, _, times = finished_lines(tmp_path / 'more')
    for name in ('answers.jsonl', 'run.json', 'finished.json'):
        assert (tmp_path / 'more' / name).read_bytes() == (tmp_path / 'one' / name).read_bytes()
    assert [line['key'] for line in times] == [str(number) for number in range(COUNT)]
    assert throughput(times)['processes'] == shards
    assert sum(Shard(index, shards).questions(COUNT, batch) for index in range(shards)) == COUNT


@pytest.mark.parametrize('whole_lines', [0, 1, 5, 8, 10])
def test_a_batch_that_was_cut_is_asked_again_as_a_whole(tmp_path, whole_lines):
    ask(tmp_path / 'whole', BatchEcho(), batch=4)
    ask(tmp_path / 'cut', BatchEcho(), batch=4)
    (tmp_path / 'cut' / 'finished.json').unlink()
    for name in ('answers.jsonl', 'times.jsonl'):
        path = tmp_path / 'cut' / name
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(''.join(lines[:whole_lines]) + '{"half of a li')
    rest = BatchEcho()
    assert ask(tmp_path / 'cut', rest, batch=4, resume=True) == COUNT
    assert rest.calls == list(range(whole_lines // 4 * 4, COUNT))
    assert (tmp_path / 'cut' / 'answers.jsonl').read_bytes() == (tmp_path / 'whole' / 'answers.jsonl').read_bytes()


@pytest.mark.parametrize('shards', [1, 2, 4])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path, shards):
    ask(tmp_path / 'whole', BatchEcho(), batch=2)
    out = tmp_path / 'out'
    ask(out, BatchEcho(), batch=2, shard=Shard(0, 3))  # batches 0 and 3
    error = AffordanceError(Code.OOM, 'full')
    with pytest.raises(AffordanceError):
        ask(out, BatchEcho(fail_at=8, error=error), batch=2, shard=Shard(1, 3))  # batch 1, and not 4
    answers = out / 'shard-1-of-3' / 'answers.jsonl'
    answers.write_text(answers.read_text() + '{"half of a li')
    own = [Shard(index, shards).folder(out) for index in range(shards)]
    set_aside(out, own)
    models = [BatchEcho() for _ in own]
    for index, model in enumerate(models):
        ask(out, model, batch=2, shard=Shard(index, shards), resume=True)
    assert sorted(number for model in models for number in model.calls) == [4, 5, 8, 9, 10]
    lines, times = finished_lines(out)[1:]
    assert [line['key'] for line in times] == [line['key'] for line in lines] == list(map(str, range(COUNT)))
    for name in ('answers.jsonl', 'run.json', 'finished.json'):
        assert (out / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_one_process_goes_on_as_two_and_two_as_one(tmp_path):
    error = AffordanceError(Code.OOM, 'full')
    with pytest.raises(AffordanceError):
        ask(tmp_path, Echo(fail_at=7, error=error))
    own = [Shard(index, 2).folder(tmp_path) for index in range(2)]
    set_aside(tmp_path, own)
    with pytest.raises(AffordanceError):
        ask(tmp_path, Echo(fail_at=9, error=error), shard=Shard(1, 2), resume=True)
    set_aside(tmp_path, [tmp_path])
    assert sorted(path.name for path in (tmp_path / 'earlier').iterdir()) == ['one', 'shard-1-of-2']
    last = Echo()
    ask(tmp_path, last, resume=True)
    assert last.calls == [8, 9, 10]
    assert [line['answer'] for line in finished_lines(tmp_path)[1]] == [f'{number} of 1' for number in range(COUNT)]


def test_answers_of_another_run_are_not_taken_over(tmp_path):
    ask(tmp_path, BatchEcho(), batch=2, shard=Shard(0, 3))
    set_aside(tmp_path, [tmp_path])
    with pytest.raises(AffordanceError, match='a run of something else .different: batch'):
        ask(tmp_path, BatchEcho(), batch=4)
    assert not (tmp_path / 'run.json').exists()
    ask(tmp_path, BatchEcho(), batch=2)
    ask(tmp_path / 'twice', Echo(), shard=Shard(0, 2))
    for _ in range(2):
        set_aside(tmp_path / 'twice', [])
        ask(tmp_path / 'twice', Echo(), shard=Shard(0, 2))
    set_aside(tmp_path / 'twice', [])
    assert len(list((tmp_path / 'twice' / 'earlier').iterdir())) == 3


def test_an_engine_that_loses_a_reply_is_told(tmp_path):
    class Forgetful(LocalEngine):
        def answer(self, questions):
            return super().answer(questions)[1:]

    data, engine = Numbers(), Forgetful(Echo())
    with pytest.raises(AffordanceError, match='1 replies to 2 questions'):
        ask_with(data, engine, Asking(tmp_path, run_record('numbers', data, engine.describe(), {}), batch=2))


def test_another_batch_is_another_run(tmp_path):
    ask(tmp_path, BatchEcho(), batch=4)
    with pytest.raises(AffordanceError, match='different: batch'):
        ask(tmp_path, BatchEcho(), batch=2, resume=True)
    with pytest.raises(AffordanceError, match='at least 1 question'):
        ask(tmp_path, batch=0)


def test_an_image_that_is_gone_is_a_refusal_and_the_rest_of_the_batch_is_asked(tmp_path):
    ask(tmp_path, BatchEcho(), Numbers(missing=(1,)), batch=4)
    lines = finished_lines(tmp_path)[1]
    assert lines[1]['outcome'] == 'NO_IMAGE'
    assert lines[1]['truth'] == {'number': 1}
    assert [line.get('answer') for line in lines[:4]] == ['0 of 3', None, '2 of 3', '3 of 3']


@pytest.mark.parametrize('code', [Code.OOM, Code.WORKER_DIED, Code.INTERNAL, Code.CANCELED])
def test_an_accident_is_no_answer(tmp_path, code):
    model = Echo(fail_at=6, error=AffordanceError(code, 'it broke'))
    with pytest.raises(AffordanceError, match='it broke'):
        ask(tmp_path, model)
    with pytest.raises(AffordanceError, match='not finished'):
        finished_lines(tmp_path)
    again = Echo()
    ask(tmp_path, again, resume=True)
    assert again.calls == list(range(6, COUNT))


def test_too_large_a_batch_is_told_with_the_way_out(tmp_path):
    model = BatchEcho(fail_at=6, error=AffordanceError(Code.OOM, 'the GPU is full'))
    with pytest.raises(AffordanceError, match='4 questions at once are too many, take a smaller --batch'):
        ask(tmp_path, model, batch=4)


def test_truths_are_read_when_they_are_asked_and_once(tmp_path):
    data = Numbers()
    assert sum(1 for _ in data.items()) == COUNT
    assert data.read == []
    ask(tmp_path, Echo(), data, shard=Shard(1, 2))
    assert data.read == [1, 3, 5, 7, 9]


def test_the_kind_of_device_is_in_the_run_and_its_number_is_not():
    record = run_record('numbers', Numbers(), Echo().describe(), {})
    assert record['model']['device'] == 'cuda'


def test_a_shard_without_questions_is_told(tmp_path):
    with pytest.raises(AffordanceError, match='shard 2/3 has no question'):
        ask(tmp_path, batch=6, shard=Shard(2, 3))


def test_progress_begins_with_what_is_done(tmp_path):
    seen = []
    data, engine = Numbers(), LocalEngine(Echo(fail_at=7, error=AffordanceError(Code.OOM, 'full')))
    record = run_record('numbers', data, engine.describe(), {})
    with pytest.raises(AffordanceError):
        ask_with(data, engine, Asking(tmp_path, record, batch=2), seen.append)
    assert seen == [0, 2, 4, 6]
    seen.clear()
    ask_with(data, LocalEngine(Echo()), Asking(tmp_path, record, batch=2, resume=True), seen.append)
    assert seen == [6, 8, 10, 11]


def test_engines_by_name():
    engine = open_engine('local', EngineRequest('fake'))
    frame = Frame(np.zeros((4, 6, 3), np.uint8))
    (reply,) = engine.answer([Question([frame], Query('at 3,2'))])
    assert reply.answer.keypoints.points.tolist() == [[3, 2]]
    assert engine.describe().name == 'fake'
    assert not engine.batches
    with pytest.raises(AffordanceError, match="there is no engine 'vllm'; known: local"):
        open_engine('vllm', EngineRequest('fake'))


def test_runs_of_other_kinds_are_refused(tmp_path):
    (tmp_path / 'run.json').write_text(json.dumps({'bag': 'x'}))
    with pytest.raises(AffordanceError, match='no run of a benchmark, but one of a bag'):
        finished_lines(tmp_path)
    ask(tmp_path / 'a', Echo())
    ask(tmp_path / 'a', Echo(), shard=Shard(0, 1), resume=True)
    (tmp_path / 'b').mkdir()
    for index in range(2):
        ask(tmp_path / 'b', Echo(), shard=Shard(index, 2))
    finished_lines(tmp_path / 'b')
    (tmp_path / 'b' / 'run.json').write_text((tmp_path / 'a' / 'run.json').read_text().replace('echo', 'other'))
    with pytest.raises(AffordanceError, match='a run of its own beside the shards'):
        finished_lines(tmp_path / 'b')
