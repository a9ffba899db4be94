# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VQA asked and scored from end to end: figures, resuming, shards, the console."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.datasets.answer_files import read_answers
from affordance_ros.datasets.robointer_vqa import TASKS, RoboInterVqa
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import (
    Asking,
    Shard,
    ask,
    finished_lines,
    run_record,
    throughput,
    write_metrics,
)
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import BENCHMARKS, benchmark_kind
from affordance_ros.evaluation.robointer_benchmark import RoboInterBenchmark
from affordance_ros.evaluation.robointer_scores import score_robointer, write_official_files
from affordance_ros.models.base import ModelInfo, Progress
from affordance_ros.models.robointer_answers import BY_NAME, Coordinates
from affordance_ros.models.robointer_predictions import to_prediction
from affordance_ros.results import Prediction

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'robointer'
SIZE = (64, 48)
BOX, OFF = [[0.25, 0.25], [0.75, 0.75]], [[0.25, 0.25], [0.5, 0.75]]
PATH, OTHER = [[0.25, 0.5], [0.5, 0.5], [0.75, 0.5]], [[0.25, 0.75], [0.5, 0.75], [0.75, 0.75]]
# True answer and what the scripted model writes, by task: right, half right, unreadable.
SCRIPT = {
    'current_box': [({'current_bbox': BOX}, {'current_bbox': BOX}), ({'current_bbox': BOX}, {'current_bbox': OFF}),
                    ({'current_bbox': BOX}, 'I do not know')],
    'contact_point': [({'contact_point': PATH[:2]}, {'contact_point': PATH[1::-1]}),
                      ({'contact_point': PATH[:2]}, '?')],
    'traj': [({'future_traj': PATH}, {'future_traj': PATH}), ({'future_traj': PATH}, {'future_traj': OTHER}),
             ({'future_traj': PATH}, '')],
    'contact_decide': [('Yes', 'Yes'), ('No', 'no, not yet'), ('Yes', 'maybe'), ('No', 'No. Yes later')],
    'traj_choice': [('A', 'A.'), ('B', 'C'), ('C', '')],
    'planning': [('open the drawer', 'open the drawer'), ('open the drawer', 'close it')],
    'planning_choice': [('A. open', 'A'), ('B. close', 'the answer is c')],
    'planning_decide': [('Yes', 'yes'), ('No', 'Yes')],
}  # fmt: skip
IDS = {
    'planning': 'Planning_Task',
    'planning_choice': 'Scene_Understanding',
    'planning_decide': 'Success_Positive_Task',
}


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def write_data(root, script=SCRIPT):
    """Write a data set of the owners' layout whose questions are answered by `script`; returns the answers by text."""
    answers = {}
    for task, pairs in script.items():
        known, records = TASKS[task], []
        for index, (truth, answer) in enumerate(pairs):
            question = f'<image>\n{task} question {index}?'
            answers[question] = text_of(answer)
            turns = [{'from': 'human', 'value': question}, {'from': 'gpt', 'value': text_of(truth)}]
            name = f'{task}_{index}.png'
            records.append({
                'id': f'{IDS.get(task, "RH20T")}_{index}', 'task': task, 'conversations': turns, 'images': name,
                'w': SIZE[0], 'h': SIZE[1],
            })  # fmt: skip
            image = root / known.part / 'image' / 'val' / task / name
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', SIZE, (index, 0, 0)).save(image)
        folder = root / known.part / 'meta' / 'val' / ('llava_format' if known.key else known.folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / (('x' if known.key else '') + known.file)).write_text(json.dumps(records))
    return answers


class Scripted:
    """Writes what the script says, and reads it as RoboInter does. stop_after: Ctrl-C at that question."""

    outputs = frozenset({'boxes', 'keypoints', 'traces', 'text'})

    def __init__(self, answers, stop_after=None):
        self.answers, self.stop_after, self.asked = answers, stop_after, 0

    def predict(self, frame, query, *, progress=None, stop=None):  # noqa: ARG002
        if self.asked == self.stop_after:
            raise KeyboardInterrupt
        self.asked += 1
        text = self.answers[query.text]
        progress(Progress('parse', 1.0, text))
        size = (frame.width, frame.height)
        prediction = Prediction('scripted', query, text)
        coordinates = Coordinates(size, size, shares=True)
        return to_prediction(prediction, BY_NAME[query.task], coordinates, whole=True)

    def describe(self):
        return ModelInfo('scripted', 0, 'float32', 'cpu', 0, 'Apache-2.0', '', '')


@pytest.fixture
def data(tmp_path):
    return tmp_path / 'data', write_data(tmp_path / 'data')


def benchmark_of(root):
    return BENCHMARKS['robointer_vqa'].open(Choice(root, 'robointer'))


def run(root, model, out, **more):
    benchmark = benchmark_of(root)
    return ask(benchmark, model, Asking(out, run_record('robointer_vqa', benchmark, model.describe(), {}), **more))


def scored(out):
    record, lines, _ = finished_lines(out)
    return score_robointer(lines, record)


def test_every_kind_of_question_is_scored(data, tmp_path):
    root, answers = data
    out = tmp_path / 'out'
    assert run(root, Scripted(answers), out) == sum(len(pairs) for pairs in SCRIPT.values())
    scores = scored(out)
    boxes = scores['current_box']
    assert boxes['outcomes'] == {'OK': 2, 'UNPARSABLE_ANSWER': 1}
    assert (boxes['unreadable'], boxes['mean_iou']) == (1, pytest.approx(1.5 / 3))
    assert (boxes['accuracy_0.1'], boxes['accuracy_0.5']) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert boxes['official_mean_iou'] == pytest.approx(1.5 / 3)
    assert scores['contact_point']['mean_error_px_of_read'] == 0
    traces = scores['traj']
    assert (traces['unreadable'], traces['mean_px_of_read']['dtw']) == (1, pytest.approx(3 * 12 / 2))
    assert traces['mean_in_diagonals_of_read']['hausdorff'] == pytest.approx(12 / 80 / 2)
    # Officially at the size that the id stands for, and without the perfect and the empty one.
    assert (traces['official_used'], traces['official_dtw_px']) == (1, pytest.approx(3 * 120))
    assert (scores['contact_decide']['accuracy'], scores['contact_decide']['unreadable']) == (0.75, 1)
    assert (scores['traj_choice']['accuracy'], scores['traj_choice']['unreadable']) == (pytest.approx(1 / 3), 1)
    assert scores['traj_choice']['official_accuracy'] == pytest.approx(2 / 3)
    assert scores['planning']['mean_bleu'] == pytest.approx(0.5)
    assert scores['planning_choice']['accuracy'] == 0.5
    assert scores['official_planning'] == {
        'official_choice': 0.5,
        'official_decide': 0.5,
        'official_planning_bleu': pytest.approx(0.5),
    }


def test_the_official_files_hold_what_was_written(data, tmp_path):
    root, answers = data
    run(root, Scripted(answers), tmp_path / 'out')
    record, lines, _ = finished_lines(tmp_path / 'out')
    files = {path.name: read_answers(path) for path in write_official_files(lines, record, tmp_path / 'official')}
    planning = files['eval_details_all_plan_VQA_selection_judgement_val.json']
    assert [answer.pred for answer in planning][-1] == 'Yes'
    assert len(planning) == 6
    choices = files['eval_details_traj_choice.json']
    assert [(answer.pred, answer.gt, answer.size) for answer in choices] == [
        ('A.', 'A', None),
        ('C', 'B', None),
        ('', 'C', None),
    ]


def test_the_official_qwen_figures_are_of_the_question_too(data, tmp_path):
    root, answers = data
    run(root, Scripted(answers), tmp_path / 'out')
    record, lines, _ = finished_lines(tmp_path / 'out')
    llava = score_robointer(lines, record)
    record['questions']['coordinates'] = 'smart_resize'
    for line in lines:
        line['truth']['question'] = '<image>\nThe start is [3, 4]. Go on.'
    qwen = score_robointer(lines, record)
    # The start is read as a point of the answer: no trace is empty or perfect any more.
    assert (llava['traj']['official_used'], qwen['traj']['official_used']) == (1, 3)
    assert qwen['traj']['mean_px_of_read'] == llava['traj']['mean_px_of_read']
    (path,) = [
        path for path in write_official_files(lines, record, tmp_path) if path.name.endswith('details_traj.json')
    ]
    assert (
        read_answers(path)[2].pred
        == 'system\nYou are a helpful assistant.\nuser\nThe start is [3, 4]. Go on.\nassistant'
    )


def test_a_stopped_run_goes_on_and_gives_the_same_file(data, tmp_path):
    root, answers = data
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    run(root, Scripted(answers), whole)
    with pytest.raises(KeyboardInterrupt):
        run(root, Scripted(answers, stop_after=7), stopped)
    with pytest.raises(AffordanceError, match='not finished'):
        finished_lines(stopped)
    # Half a line, as a power cut leaves it.
    with (stopped / 'answers.jsonl').open('a') as file:
        file.write('{"key": "traj')
    with pytest.raises(AffordanceError, match='--resume'):
        run(root, Scripted(answers), stopped)
    rest = Scripted(answers)
    run(root, rest, stopped, resume=True)
    assert rest.asked == sum(len(pairs) for pairs in SCRIPT.values()) - 7
    assert (stopped / 'answers.jsonl').read_bytes() == (whole / 'answers.jsonl').read_bytes()
    seen = []
    benchmark = benchmark_of(root)
    record = run_record('robointer_vqa', benchmark, rest.describe(), {})
    ask(benchmark, Scripted({}), Asking(whole, record, resume=True), seen.append)
    assert seen == [sum(len(pairs) for pairs in SCRIPT.values())]


def test_shards_together_score_as_one_run(data, tmp_path):
    root, answers = data
    run(root, Scripted(answers), tmp_path / 'one')
    for index in (2, 0):
        run(root, Scripted(answers), tmp_path / 'three', shard=Shard(index, 3))
    with pytest.raises(AffordanceError, match='not finished: shard 1/3'):
        finished_lines(tmp_path / 'three')
    run(root, Scripted(answers), tmp_path / 'three', shard=Shard.parse('1/3'))
    one, three = scored(tmp_path / 'one'), scored(tmp_path / 'three')
    assert json.dumps(three) == json.dumps(one)
    for name in ('answers.jsonl', 'run.json'):
        assert (tmp_path / 'three' / name).read_bytes() == (tmp_path / 'one' / name).read_bytes()
    _, _, times = finished_lines(tmp_path / 'three')
    assert throughput(times)['questions'] == len(times) == sum(len(pairs) for pairs in SCRIPT.values())
    stranger = tmp_path / 'three' / 'shard-0-of-3' / 'run.json'
    stranger.write_text(stranger.read_text().replace('"scripted"', '"stranger"'))
    with pytest.raises(AffordanceError, match='different runs'):
        finished_lines(tmp_path / 'three')


@pytest.mark.parametrize('text', ['3/3', '1', 'a/b', '0/0', '-1/2'])
def test_shards_that_are_none(text):
    with pytest.raises(AffordanceError, match='a shard must be'):
        Shard.parse(text)


def test_a_missing_image_is_told_and_is_in_no_official_figure(data, tmp_path):
    root, answers = data
    (root / 'Understanding' / 'image' / 'val' / 'traj_choice' / 'traj_choice_0.png').unlink()
    run(root, Scripted(answers), tmp_path / 'out')
    choices = scored(tmp_path / 'out')['traj_choice']
    assert choices['outcomes']['NO_IMAGE'] == 1
    assert (choices['unreadable'], choices['accuracy']) == (2, 0)
    assert (choices['official_used'], choices['official_accuracy']) == (2, 0.5)


def test_perfect_answers_score_perfectly_where_the_official_program_stops(tmp_path):
    edge = [[0.5, 0.5], [1.0, 1.0]]  # up to the last pixel
    script = {'current_box': [({'current_bbox': edge},) * 2], 'traj': [({'future_traj': edge},) * 2]}
    answers = write_data(tmp_path / 'data', script)
    run(tmp_path / 'data', Scripted(answers), tmp_path / 'out')
    scores = scored(tmp_path / 'out')
    assert scores['current_box']['mean_iou'] == 1
    assert scores['traj']['mean_px_of_read'] == {'dtw': 0, 'frechet': 0, 'hausdorff': 0, 'rmse': 0}
    assert scores['traj']['official_stops_with'] == 'ZeroDivisionError'


def test_truth_that_cannot_be_read_is_counted_and_left_out(tmp_path):
    script = {
        'current_box': [('none', {'current_bbox': BOX}), ({'current_bbox': BOX},) * 2],
        'traj_choice': [('?', 'A')],
    }
    answers = write_data(tmp_path / 'data', script)
    run(tmp_path / 'data', Scripted(answers), tmp_path / 'out')
    scores = scored(tmp_path / 'out')
    assert (scores['current_box']['questions'], scores['current_box']['without_truth']) == (2, 1)
    assert scores['current_box']['mean_iou'] == 1
    assert scores['traj_choice']['without_truth'] == 1
    metrics = json.loads(write_metrics(tmp_path, scores).read_text())
    assert metrics['traj_choice']['accuracy'] is None


def test_a_folder_keeps_to_its_questions(data, tmp_path):
    root, answers = data
    run(root, Scripted(answers), tmp_path / 'out')
    fewer = RoboInterBenchmark(RoboInterVqa(root), ('traj',), 2)
    record = run_record('robointer_vqa', fewer, Scripted({}).describe(), {})
    with pytest.raises(AffordanceError, match='different: questions') as caught:
        ask(fewer, Scripted(answers), Asking(tmp_path / 'out', record, resume=True))
    assert caught.value.code == Code.BAD_INPUT
    assert ask(fewer, Scripted(answers), Asking(tmp_path / 'new', record)) == 2


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(AffordanceError, match='known: .*robointer_vqa'):
        benchmark_kind('imagenet')
    with pytest.raises(AffordanceError, match='_current_box_qa.json'):
        benchmark_of(tmp_path)
    with pytest.raises(AffordanceError, match='limit must be'):
        Choice(tmp_path, 'robointer', limit=0)
    with pytest.raises(AffordanceError, match='no run of a benchmark'):
        finished_lines(tmp_path)
    assert benchmark_kind('robointer_vqa').options['robointer'] == {'profile': 'eval'}


def test_each_model_is_asked_in_its_coordinates(data):
    root, _ = data
    for form in ('smart_resize_format', 'origin_format'):
        llava = root / 'Generation' / 'meta' / 'val' / 'llava_format'
        (llava.parent / form).mkdir()
        for path in llava.iterdir():
            (llava.parent / form / path.name).write_text(path.read_text())
    chosen = {
        model: BENCHMARKS['robointer_vqa'].open(Choice(root, model)).describe()['coordinates']
        for model in ('robointer', 'robointer_qwen', 'robopoint')
    }
    assert chosen == {'robointer': 'llava', 'robointer_qwen': 'smart_resize', 'robopoint': 'origin'}


def affordance(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={'COLUMNS': '220'})


def test_the_console_asks_a_checkpoint_and_scores_again(data, tmp_path):
    pytest.importorskip('torch')
    root, _ = data
    out, llavaov = tmp_path / 'out', PARITY / 'llavaov'
    siglip = next(llavaov.glob('siglip*'))
    result = affordance(
        'eval', 'dataset', 'robointer_vqa', '--root', root, '--out', out, '--model', 'robointer', '--limit', 1,
        '--checkpoint', llavaov / 'checkpoint', '--option', f'siglip={siglip}', '--option', 'max_new_tokens=8',
        '--task', 'current_box', '--task', 'planning', '--batch', 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert 'RoboInter-LlavaOV-7B' in result.output
    assert '82.9' in result.output
    metrics = json.loads((out / 'metrics.json').read_text())
    # Random weights write no box; that is a failure here and a box of zeros for the official program.
    assert metrics['scores']['current_box']['outcomes'] == {'UNPARSABLE_ANSWER': 1}
    assert metrics['scores']['current_box']['official_mean_iou'] == 0
    assert metrics['throughput']['questions'] == 2
    record = json.loads((out / 'run.json').read_text())
    assert (record['model']['settings']['profile'], record['batch']) == ('eval', 2)
    seconds = [json.loads(line)['seconds'] for line in (out / 'times.jsonl').read_text().splitlines()]
    assert seconds[0] == seconds[1]  # each its share of the batch
    (answer,) = read_answers(out / 'official' / 'eval_details_current_box.json')
    assert answer.pred
    first = (out / 'metrics.json').read_bytes()
    again = affordance('eval', 'rescore', out)
    assert again.exit_code == 0, again.output
    assert (out / 'metrics.json').read_bytes() == first
    refused = affordance('eval', 'rescore', tmp_path)
    assert refused.exit_code == 2
    assert 'no run of a benchmark' in refused.output
    assert np.isfinite(metrics['scores']['planning']['mean_bleu'])


def test_the_benchmarks_are_listed_with_where_and_licence():
    result = affordance('eval', 'datasets')
    assert result.exit_code == 0, result.output
    for name, kind in BENCHMARKS.items():
        assert name in result.output
        assert kind.where.startswith('https://')
        assert kind.licence
    assert 'Apache-2.0' in result.output
