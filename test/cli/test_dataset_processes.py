# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark shared out to processes: the same files as from one, and one end for all, whatever the reason."""

import json
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from blocking_requests import BlockingRequest  # noqa: E402

from affordance_ros.cli import app  # noqa: E402
from affordance_ros.cli.dataset_asking import DatasetRequest, Watch  # noqa: E402
from affordance_ros.cli.dataset_processes import LOG, ask_in_processes, shard_requests  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.evaluation.benchmark_kind import Choice  # noqa: E402
from affordance_ros.evaluation.engine import ENGINES, Reply  # noqa: E402
from affordance_ros.models.base import ModelInfo  # noqa: E402
from affordance_ros.results import Keypoints, Prediction  # noqa: E402

COUNT = 8
SILENT = Watch(lambda _: None, lambda _: None)


@pytest.fixture
def data(tmp_path):
    """Eight questions that the model without weights can answer."""
    root = tmp_path / 'data'
    records = []
    for folder in ('images', 'masks'):
        (root / folder).mkdir(parents=True)
    for index in range(COUNT):
        mask = np.zeros((24, 32), np.uint8)
        mask[:, : 4 * index] = 255
        Image.new('RGB', (32, 24), (index, 0, 0)).save(root / 'images' / f'{index}.png')
        Image.fromarray(mask).save(root / 'masks' / f'{index:02d}.jpg')
        text = f'Find free space at {2 * index},{index}'
        records.append({'question_id': index, 'image': f'{index}.png', 'text': text, 'category': ''})
    (root / 'point_questions.jsonl').write_text('\n'.join(map(json.dumps, records)) + '\n')
    return root


def request_of(data, out, kind=DatasetRequest, **more):
    return kind('where2place', Choice(data, 'fake'), out, **more)


def affordance(*arguments):
    command = ('eval', 'dataset', 'where2place', '--model', 'fake', *map(str, arguments))
    return CliRunner().invoke(app, command, env={'COLUMNS': '200'})


def test_processes_write_what_one_writes(data, tmp_path):
    one = affordance('--root', data, '--out', tmp_path / 'one', '--batch', 2)
    assert one.exit_code == 0, one.output
    two = affordance('--root', data, '--out', tmp_path / 'two', '--batch', 2, '--processes', 2)
    assert two.exit_code == 0, two.output
    for name in ('answers.jsonl', 'run.json', 'finished.json'):
        assert (tmp_path / 'two' / name).read_bytes() == (tmp_path / 'one' / name).read_bytes()
    scores = [json.loads((tmp_path / out / 'metrics.json').read_text()) for out in ('one', 'two')]
    assert scores[0]['scores'] == scores[1]['scores']
    assert [score['throughput']['processes'] for score in scores] == [1, 2]
    assert 'in 2 processes' in two.output
    assert 'one question at a time' in two.output
    refused = affordance('--root', data, '--out', tmp_path / 'two', '--batch', 2, '--processes', 2)
    assert refused.exit_code == 2
    assert 'give --resume' in refused.output
    more = affordance('--root', data, '--out', tmp_path / 'one', '--batch', 2, '--processes', 2, '--resume')
    assert more.exit_code == 0, more.output
    assert (tmp_path / 'one' / 'earlier' / 'one' / 'run.json').is_file()
    assert (tmp_path / 'one' / 'answers.jsonl').read_bytes() == (tmp_path / 'two' / 'answers.jsonl').read_bytes()


def test_devices_and_processes_are_shared_out(data, tmp_path):
    request = request_of(data, tmp_path / 'out', device='cuda:0, cuda:1', processes=2, batch=2)
    shares = shard_requests(request, COUNT)
    assert [(str(share.shard), share.device, share.processes) for share in shares] == [
        ('0/4', 'cuda:0', 1), ('1/4', 'cuda:0', 1), ('2/4', 'cuda:1', 1), ('3/4', 'cuda:1', 1),
    ]  # fmt: skip
    assert [len(shard_requests(request, total)) for total in (0, 2, 3)] == [1, 1, 2]
    with pytest.raises(AffordanceError, match='give --shard, or several devices'):
        request_of(data, tmp_path, device='cuda:0,cuda:1', shard=shares[0].shard)
    with pytest.raises(AffordanceError, match='processes must be at least 1'):
        request_of(data, tmp_path, processes=0)


def test_a_data_set_without_questions_is_told(data, tmp_path):
    (data / 'point_questions.jsonl').write_text('')
    empty = affordance('--root', data, '--out', tmp_path / 'out', '--processes', 2)
    assert empty.exit_code == 2
    assert 'has no question' in empty.output


class Elsewhere:
    """An engine that has no model here: it answers with what it was asked, four questions at a time."""

    batches = True

    def __init__(self, request):
        self.request, self.sizes = request, []

    def describe(self):
        return ModelInfo(self.request.model, 0, self.request.dtype, 'elsewhere', 0, '', '', '')

    def answer(self, questions):
        self.sizes.append(len(questions))
        return [
            Reply(Prediction('elsewhere', each.query, keypoints=Keypoints([[0, 0]])), each.query.text, 0.5)
            for each in questions
        ]


def test_another_engine_answers_without_a_model_here(data, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setitem(ENGINES, 'elsewhere', lambda request: opened.append(Elsewhere(request)) or opened[0])
    arguments = ('--root', data, '--batch', 3, '--option', 'address=robot:80')
    result = affordance(*arguments, '--out', tmp_path / 'out', '--engine', 'elsewhere')
    assert result.exit_code == 0, result.output
    assert (opened[0].sizes, opened[0].request.options) == ([3, 3, 2], {'address': 'robot:80'})
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['throughput']['per_second'] == 2
    assert json.loads((tmp_path / 'out' / 'run.json').read_text())['model']['device'] == 'elsewhere'
    assert '8 questions, median 0.5 s' in result.output
    refused = affordance(*arguments, '--out', tmp_path / 'other', '--engine', 'nowhere')
    assert refused.exit_code == 2
    assert 'known: local, elsewhere' in refused.output


def blocked(data, out, report):
    """Ask in two processes that block after two questions each."""
    requests = shard_requests(request_of(data, out, BlockingRequest, processes=2), COUNT)
    ask_in_processes(requests, Watch(lambda _: None, report))


def test_ctrl_c_ends_all_processes_and_the_run_goes_on(data, tmp_path):
    def report(done):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blocked(data, tmp_path / 'out', report)
    assert not multiprocessing.active_children()
    assert (tmp_path / 'out' / 'shard-0-of-2' / LOG).read_text() == ''
    resumed = affordance('--root', data, '--out', tmp_path / 'out', '--processes', 2, '--resume')
    assert resumed.exit_code == 0, resumed.output
    assert affordance('--root', data, '--out', tmp_path / 'whole').exit_code == 0
    assert (tmp_path / 'out' / 'answers.jsonl').read_bytes() == (tmp_path / 'whole' / 'answers.jsonl').read_bytes()


def test_a_process_that_dies_ends_the_run_with_its_log(data, tmp_path):
    def report(done):
        if done == 4:
            next(child for child in multiprocessing.active_children() if '1/2' in child.name).kill()

    with pytest.raises(AffordanceError, match='shard 1/2 ended with status -9; go on with --resume') as caught:
        blocked(data, tmp_path / 'out', report)
    assert caught.value.code == Code.WORKER_DIED
    assert not multiprocessing.active_children()


def test_an_error_of_one_process_is_told_with_its_shard(data, tmp_path):
    requests = shard_requests(request_of(data, tmp_path / 'out', options={'wings': 2}, processes=2), COUNT)
    with pytest.raises(AffordanceError, match=r"shard ./2: fake has no option 'wings'") as caught:
        ask_in_processes(requests, SILENT)
    assert caught.value.code == Code.BAD_INPUT
    assert not multiprocessing.active_children()
