# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOVA-500K asked and scored from end to end on a small data set of the owners' layout."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.attachments import Attachment, located, stored
from affordance_ros.evaluation.benchmark import Asking, ask, finished_lines, run_record
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import BENCHMARKS
from affordance_ros.evaluation.hova_benchmark import map_file
from affordance_ros.evaluation.hova_scores import _map
from affordance_ros.metrics import heatmap as metrics
from affordance_ros.models.base import ModelInfo
from affordance_ros.results import Heatmap, Prediction

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'glover'
HOVA = BENCHMARKS['hova']
RECORDED = json.loads((PARITY / 'expected' / 'metric_cases.json').read_text())
# With the radius of eval.py, and numbers that are none of them NaN.
FINITE = [
    case for case in RECORDED['cases'] if case['kind'] == 'random' or ('sim_part' in case and case['radius'] == 50)
]
WIDTH, HEIGHT = 96, 64
COUNT = 2
FOLDERS = {
    'handal': ('HANDAL/images', 'HANDAL/annotations/GT_gaussian_test'),
    'ego4d': ('Ego4D/frames', 'Ego4D/GT_gaussian'),
    'epic100': ('epic-100/EPIC-KITCHENS_frames', 'epic-100/EPIC-KITCHENS_frames/GT_gaussian/validation'),
}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def truth_at(index, radius=8):
    drawn = metrics.draw_gaussian(np.zeros((HEIGHT, WIDTH)), (20 + 10 * index, 30), radius)
    return (drawn * 255).astype(np.uint8)


def write_data(root):
    """Write two questions of each source of the test split; the handle of a HANDAL object is the left half."""
    rng = np.random.default_rng(4)
    (root / 'annotations' / 'test').mkdir(parents=True)
    for source, (images, truths) in FOLDERS.items():
        records = []
        for index in range(COUNT):
            name = f'{source}_{index}'
            record = {'img_path': f'{name}.jpg', 'gt_path': f'{name}.png', 'noun': f'thing{index}'}
            save(root / images / record['img_path'], rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
            save(root / truths / record['gt_path'], truth_at(index))
            if source == 'handal':
                record['mask_path'] = f'{name}_handle.png'
                part = np.zeros((HEIGHT, WIDTH), np.uint8)
                part[:, :48] = 255
                save(root / images / record['mask_path'], part)
            elif source == 'ego4d':
                record |= {'img_path': name, 'action': 'lift_(lift,_raise)'}
            else:
                record['verb'] = 'open'
            records.append(record)
        (root / 'annotations' / 'test' / f'{source}.json').write_text(json.dumps(records))


class Seer:
    """Knows the truth of every even question and has no map for the odd ones. stop_after: Ctrl-C at that question."""

    outputs = frozenset({'heatmap'})

    def __init__(self, stop_after=None):
        self.stop_after, self.asked = stop_after, []

    def predict(self, frame, query, *, progress=None, stop=None):  # noqa: ARG002
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(query.sentence)
        index = int(query.object.removeprefix('thing'))
        values = truth_at(index) / 255.0 if index % 2 == 0 else np.zeros((HEIGHT, WIDTH))
        return Prediction('seer', query, 'Sure, [SEG].', heatmap=Heatmap(values))

    def describe(self):
        return ModelInfo('seer', 0, 'float32', 'cpu', 0, 'Apache-2.0', '', '')


def run(root, model, out, **more):
    benchmark = HOVA.open(Choice(root, 'glover'))
    return ask(benchmark, model, Asking(out, run_record('hova', benchmark, model.describe(), {}), **more))


def scored(out):
    record, lines, _ = finished_lines(out)
    return HOVA.score(lines, record)


@pytest.fixture
def data(tmp_path):
    write_data(tmp_path / 'data')
    return tmp_path / 'data'


def test_a_question_without_a_map_is_a_failure_of_ours_and_left_out_officially(data, tmp_path):
    seer = Seer()
    assert run(data, seer, tmp_path / 'out') == 6
    assert seer.asked[::2] == ['pick up the thing0', 'lift the thing0', 'open the thing0']
    scores = scored(tmp_path / 'out')
    assert list(scores) == ['handal', 'ego4d', 'epic100', 'all']
    whole = scores['all']
    assert (whole['questions'], whole['unanswered'], whole['official_left_out']) == (6, 3, 3)
    assert whole['of_answered']['sim'] == pytest.approx(1)
    assert whole['of_all']['sim'] == pytest.approx(0.5)
    assert whole['of_all']['nss'] == pytest.approx(whole['of_answered']['nss'] / 2)
    truth = truth_at(1) / 255.0
    assert whole['of_all']['kld'] == pytest.approx(metrics.kld(np.ones_like(truth), truth) / 2, abs=1e-6)
    assert whole['official']['sim'] == pytest.approx(1)
    # The Gaussian of radius 50 at (20, 30) lies partly beyond the left half; without a map nothing lies in it.
    assert 0.5 < whole['official']['sim_part'] < 1
    assert whole['of_all']['sim_part'] == pytest.approx(whole['official']['sim_part'] / 2, abs=1e-6)
    rows = {(row.task, row.name): row for row in HOVA.rows(scores)}
    assert len(rows) == 14  # the share in the part is of handal and of all
    assert (rows['ego4d', 'sim'].ours, rows['ego4d', 'sim'].unreadable) == (pytest.approx(0.5), 1)


def test_maps_are_kept_without_loss(tmp_path):
    values = np.random.default_rng(1).uniform(0, 1, (37, 53)).astype(np.float32)
    values[0, :3] = 1e-12, 1.0, 0.1
    line = located(stored({'key': 'x', 'map': map_file(Heatmap(values))}, tmp_path), tmp_path)
    assert np.array_equal(_map(line), values)


def test_stopping_and_resuming_gives_the_same_files(data, tmp_path):
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    run(data, Seer(), whole)
    with pytest.raises(KeyboardInterrupt):
        run(data, Seer(stop_after=3), stopped)
    run(data, Seer(), stopped, resume=True)
    assert (stopped / 'answers.jsonl').read_bytes() == (whole / 'answers.jsonl').read_bytes()
    files = [sorted(path.name for path in (out / 'attachments').rglob('*.*')) for out in (whole, stopped)]
    assert files[0] == files[1]


def test_a_truth_of_another_size_is_told(data, tmp_path):
    for index in range(COUNT):
        save(data / FOLDERS['epic100'][1] / f'epic100_{index}.png', np.zeros((HEIGHT + 1, WIDTH), np.uint8))
    (data / FOLDERS['ego4d'][0] / 'ego4d_0.jpg').unlink()
    run(data, Seer(), tmp_path / 'out')
    scores = scored(tmp_path / 'out')
    assert scores['epic100']['without_truth'] == 2
    assert scores['epic100']['official'] == {'stops_with': 'ValueError'} == scores['all']['official']
    assert scores['ego4d']['outcomes'] == {'NO_IMAGE': 1, 'OK': 1}
    assert (scores['ego4d']['unanswered'], scores['ego4d']['of_all']['sim']) == (2, 0)
    assert scores['ego4d']['official'] == {'stops_with': 'ZeroDivisionError'}


def test_what_is_missing_or_does_not_fit_is_named(data, tmp_path):
    (data / FOLDERS['handal'][1] / 'handal_1.png').unlink()
    with pytest.raises(AffordanceError, match=r'no map .*handal_1\.png for record 1 of handal'):
        list(HOVA.open(Choice(data, 'glover')).items())
    with pytest.raises(AffordanceError, match='layout, labels|labels, layout'):
        HOVA.open(Choice(data, 'glover', settings={'radius': 5}))
    with pytest.raises(AffordanceError, match=r'handal\.json'):
        HOVA.open(Choice(tmp_path, 'glover'))
    with pytest.raises(AffordanceError, match='robopoint gives no heatmap; models that do: glover, glover_plus'):
        HOVA.open(Choice(data, 'robopoint'))
    with pytest.raises(AffordanceError, match='gives no heat map'):
        HOVA.open(Choice(data, 'glover')).record(
            Prediction('fake', next(HOVA.open(Choice(data, 'glover')).items()).query)
        )


def affordance(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={'COLUMNS': '220'})


def test_the_console_asks_a_checkpoint_and_scores_again(data, tmp_path):
    pytest.importorskip('torch')
    out = tmp_path / 'out'
    asked = (
        'eval', 'dataset', 'hova', '--root', data, '--out', out, '--model', 'glover_plus',
        '--checkpoint', PARITY / 'glover_plus' / 'checkpoint', '--option', f'clip={PARITY / "clip-vit-tiny-patch14"}',
        '--option', 'max_new_tokens=16', '--limit', 1, '--task', 'handal', '--task', 'ego4d',
    )  # fmt: skip
    result = affordance(*asked)
    assert result.exit_code == 0, result.output
    assert 'sim_part' in result.output
    assert 'one point (layout=snapshot)' in result.output
    metrics_file = out / 'metrics.json'
    content = json.loads(metrics_file.read_text())
    assert content['scores']['all']['questions'] == content['throughput']['questions'] == 2
    run_file = json.loads((out / 'run.json').read_text())
    assert run_file['model']['settings']['profile'] == 'infer'
    line = json.loads((out / 'answers.jsonl').read_text().splitlines()[0])
    assert (out / line['truth']['map']['attachment']).is_file()
    if line['map']:  # random weights answer with a map or without
        assert content['scores']['handal']['of_all'] == pytest.approx(content['scores']['handal']['official'], abs=1e-4)
    first = metrics_file.read_bytes()
    refused = affordance(*asked)
    assert refused.exit_code == 2
    assert '--resume' in refused.output
    for folder in ('HANDAL', 'Ego4D'):
        (data / folder).rename(data / f'gone_{folder}')  # scoring needs neither model nor data
    again = affordance('eval', 'rescore', out)
    assert again.exit_code == 0, again.output
    assert metrics_file.read_bytes() == first


def test_the_training_split_has_a_fourth_source(data, tmp_path):
    (data / 'annotations' / 'train').mkdir()
    record = {'img_name': 'door.jpg', 'gt_path': 'door.png', 'object': 'thing0'}
    (data / 'annotations' / 'train' / '3doi.json').write_text(json.dumps([record]))
    save(data / '3doi' / 'images' / 'door.jpg', np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    save(data / '3doi' / 'GT_gaussian' / 'door.png', truth_at(0))
    benchmark = HOVA.open(Choice(data, 'glover', split='train'))
    assert benchmark.sources == ('3doi',)  # the lists of the others are not there
    seer = Seer()
    ask(benchmark, seer, Asking(tmp_path / 'out', run_record('hova', benchmark, seer.describe(), {})))
    assert seer.asked == ['Point to the thing0']
    scores = scored(tmp_path / 'out')
    assert list(scores) == ['3doi']
    assert scores['3doi']['of_all']['sim'] == pytest.approx(1)


def png(array):
    content = io.BytesIO()
    Image.fromarray(array).save(content, 'PNG')
    return Attachment(content.getvalue(), '.png')


@pytest.mark.parametrize('case', FINITE, ids=lambda case: case['id'])
def test_the_recorded_cases_come_out_of_answers_on_disk(tmp_path, case):
    """A map and a truth that lie in files give the numbers that the official functions gave for the arrays."""
    with np.load(PARITY / 'expected' / 'metric_cases.npz') as arrays:
        prediction = arrays[f'{case["id"]}_pred'].astype(np.float32)
        truth = arrays[f'{case["id"]}_gt']
        part = arrays.get(f'{case["id"]}_part')
    line = {
        'key': 'x', 'outcome': 'OK', 'size': list(prediction.shape[::-1]), 'map': map_file(Heatmap(prediction)),
        'truth': {'source': 'handal', 'map': png(truth), 'part': None if part is None else png(part)},
    }  # fmt: skip
    official = HOVA.score([located(stored(line, tmp_path), tmp_path)], {})['handal']['official']
    for name in ('kld', 'sim', 'nss', *(('sim_part',) if part is not None else ())):
        assert official[name] == pytest.approx(float(case[name]), abs=1e-6, rel=1e-6, nan_ok=True)
