# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS hand paths from end to end, on a small data set in the layout of the official code."""

import csv
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import CubicHermiteSpline
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.datasets.epic_hands import EpicHands, observed_frames
from affordance_ros.errors import AffordanceError, UnparsableAnswer
from affordance_ros.evaluation.benchmark import Asking, Shard, ask, finished_lines, run_record
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import BENCHMARKS
from affordance_ros.evaluation.epic_scores import score_hands
from affordance_ros.models.base import ModelInfo
from affordance_ros.models.handsonvlm_prompts import EXPLICIT_QUESTIONS
from affordance_ros.results import HandTrajectory, Prediction

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'handsonvlm'
GOLDEN = json.loads((PARITY / 'expected' / 'metric_cases.json').read_text())
# Without the empty one, and the one of three steps, to which the official program adds zeros before.
WRAPPER_CASES = GOLDEN['wrapper_cases'][:5]
KIND = BENCHMARKS['epic_hands']
WIDTH, HEIGHT = 456, 256
TRAIN = 3  # annotations of the other split, which count in the numbers of the actions
# Rows of the validation split by number from 3 on: start frame, timestamp, hands with a track, and what is the matter.
ROWS = {
    3: (2949, '00:00:49.13', ('RIGHT',)),
    4: (31, '00:00:00.50', ('RIGHT', 'LEFT')),  # begins within the first second: not asked
    5: (700, '00:00:11.65', ('RIGHT', 'LEFT')),
    6: (900, '00:00:15.00', ('LEFT',)),
    7: (950, '00:00:15.80', None),  # in the list of labels, but has none
    8: (2990, '00:00:49.80', ('RIGHT',)),  # has a label, but is not in the list
}
ASKED = (3, 5, 6)
MEANT = {
    3: '"What opens it?" or "Where is the hinge?" or "What swings?"',
    5: 'no quotes here',
    6: '"Which one is sharp?"',
}


def track(uid, side):
    """Return a straight path in pixels; at the four steps it is at 5, 10, 15 and 20 of its 21 positions."""
    start = np.array([100.0 + uid, 200.0]) if side == 'RIGHT' else np.array([50.0, 150.0 + uid])
    return start + np.arange(21)[:, None] * np.array([4.0, -5.0])


def true_path(uid, side):
    """Return the four true steps in pixels."""
    return track(uid, side)[[5, 10, 15, 20]]


def frame_names(uid):
    return [f'P01/rgb_frames/P01_11/frame_{number:010d}.jpg' for number in observed_frames(ROWS[uid][0])]


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ('narration_id', 'participant_id', 'video_id', 'start_timestamp', 'start_frame', 'narration')
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(dict(zip(names, row, strict=True)) for row in rows)


def write_data(root):
    base = root / 'hoi_forecast'
    annotations = base / 'common' / 'epic-kitchens-100-annotations'
    rows = [
        (f'P01_11_{uid}', 'P01', 'P01_11', time, start, f'open box {uid}') for uid, (start, time, _) in ROWS.items()
    ]
    write_csv(annotations / 'EPIC_100_train.csv', rows[:TRAIN])
    write_csv(annotations / 'EPIC_100_validation.csv', rows)
    labels = base / 'data' / 'ek100' / 'labels'
    labels.mkdir(parents=True)
    (labels.parent / 'video_info.json').write_text(json.dumps([uid for uid in ROWS if uid != 8]))
    for uid, (_, _, sides) in ROWS.items():
        if sides is None:
            continue
        curve = CubicHermiteSpline([0, 1], [0, 1], [1, 1])
        tracks = {side: {'traj': track(uid, side), 'fit_curve': curve, 'fill_indices': [1]} for side in sides}
        (labels / f'label_{uid}.pkl').write_bytes(pickle.dumps({'hand_trajs': tracks, 'frame_indices': [0]}))
        for index, name in enumerate(frame_names(uid)):
            path = base / 'data' / 'EPIC-KITCHENS' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (WIDTH, HEIGHT), (uid * 20, index * 20, 0)).save(path)
    (root / 'assets').mkdir()
    meant = {frame_names(uid)[-1]: text for uid, text in MEANT.items()}
    (root / 'assets' / 'ek100_questions_val.json').write_text(json.dumps(meant))


class Hands:
    """Answers with the true path moved by 3 pixels in u; action 5 gets no hand token, 6 only three steps."""

    outputs = frozenset({'hands', 'text'})

    def __init__(self, stop_after=None, absurd=()):
        self.stop_after, self.absurd, self.asked, self.clips = stop_after, absurd, [], []

    def predict(self, frames, query, *, progress=None, stop=None):  # noqa: ARG002
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(query.text)
        self.clips.append(frames)
        uid = round(int(frames[-1].rgb[0, 0, 0]) / 20)
        if uid in self.absurd:
            raise UnparsableAnswer(str([[[[float('nan')] * 2] * 4] * 2]), 'no numbers')
        steps = {5: 0, 6: 3}.get(uid, 4)
        hands = tuple(
            HandTrajectory(true_path(uid, side.upper())[:steps] + (3, 0), np.arange(1, steps + 1) / 4, side)
            for side in ('right', 'left')
        )
        return Prediction('hands', query, '<hand_traj>', hands=hands if steps else ())

    def describe(self):
        return ModelInfo('hands', 0, 'float32', 'cpu', 0, 'Apache-2.0', '', '')


def run(choice, out, model, **more):
    benchmark = KIND.open(choice)
    return ask(benchmark, model, Asking(out, run_record('epic_hands', benchmark, model.describe(), {}), **more))


def scored(out):
    record, lines, _ = finished_lines(out)
    return KIND.score(lines, record)


@pytest.fixture
def data(tmp_path):
    write_data(tmp_path / 'data')
    return tmp_path / 'data'


def test_frames_are_numbered_as_the_question_files_have_them():
    assert observed_frames(2949) == tuple(2889 - 15 * back for back in range(9, -1, -1))
    assert observed_frames(40)[0] == observed_frames(40)[-1] == 1  # before the video begins there is its first frame
    off = [start for start in range(200, 60200) if observed_frames(start)[-1] != start - 60]
    assert 0.01 < len(off) / 60000 < 0.02  # float32


def test_actions_and_labels_as_officially(data):
    epic = EpicHands(data)
    actions = list(epic.actions())
    assert [action.uid for action in actions] == list(ASKED)
    assert list(actions[0].frames) == frame_names(3)
    label = epic.label(3)
    assert label.valid.tolist() == [1, 0]
    np.testing.assert_allclose(label.hands[0], track(3, 'RIGHT')[::5] / (WIDTH, HEIGHT), rtol=1e-6)
    assert label.hands[1].tolist() == [[0.25, 1.5]] * 5
    assert epic.label(6).hands[0].tolist() == [[0.75, 1.5]] * 5
    assert [image[0, 0].tolist()[1] // 20 for image in epic.clip(actions[1])] == pytest.approx(range(10), abs=1)
    assert EpicHands(data / 'hoi_forecast').base == EpicHands(data).base == data / 'hoi_forecast'


def test_paths_are_scored_right_and_as_officially(data, tmp_path):
    model = Hands()
    assert run(Choice(data, 'handsonvlm', ('vhp',)), tmp_path / 'out', model) == 3
    assert [len(clip) for clip in model.clips] == [10, 10, 10]
    stamps = [frame.stamp_ns for frame in model.clips[0]]
    assert (stamps[-1] - stamps[0]) / 1e9 == pytest.approx(2.25, abs=0.05)
    scores = scored(tmp_path / 'out')['vhp']
    off = 3 / WIDTH
    assert (scores['questions'], scores['unanswered'], scores['steps']) == (3, 2, {'0': 1, '3': 1, '4': 1})
    answered = scores['of_answered']
    assert (answered['ade'], answered['fde'], answered['hands']) == (
        pytest.approx(off, 1e-5),
        pytest.approx(off, 1e-5),
        1,
    )

    def farthest(path):
        scaled = path / (WIDTH, HEIGHT)
        return np.linalg.norm(scaled - np.where(scaled < 0.5, 1, 0), axis=1)

    silent = [farthest(true_path(5, side)) for side in ('RIGHT', 'LEFT')]
    short = np.array([off, off, off, farthest(true_path(6, 'LEFT'))[-1]])
    errors = np.array([np.full(4, off), *silent, short])
    assert scores['of_all']['ade'] == pytest.approx(errors.mean(), rel=1e-5)
    assert scores['of_all']['fde'] == pytest.approx(errors[:, -1].mean(), rel=1e-5)
    zeros = [np.linalg.norm(true_path(5, side) / (WIDTH, HEIGHT), axis=1) for side in ('RIGHT', 'LEFT')]
    padded = np.array([off, off, off, np.linalg.norm(true_path(6, 'LEFT')[-1] / (WIDTH, HEIGHT))])
    official = np.array([np.full(4, off), *zeros, padded])
    assert scores['official']['ade'] == pytest.approx(official[:, -1].mean(), rel=1e-5)  # officially the last step
    assert scores['official']['fde'] == pytest.approx(official.mean(), rel=1e-5)
    assert scores['official_left_out'] == 0
    row = KIND.rows(scored(tmp_path / 'out'))[0]
    assert (row.name, row.unreadable, row.published['HandsOnVLM']) == ('ade', 2, 0.136)


def test_wordings_are_drawn_the_same_way_every_time(data):
    def texts(**more):
        return {item.key: item.query.text for item in KIND.open(Choice(data, 'handsonvlm', **more)).items()}

    drawn = texts()
    assert list(drawn) == ['vhp/3', 'vhp/5', 'vhp/6', 'rbhp/3', 'rbhp/6']  # 5 has no question in quotes
    assert drawn == texts()
    assert drawn['vhp/3'] in [form.format('open box 3') for form in EXPLICIT_QUESTIONS]
    assert drawn['rbhp/6'] == 'Which one is sharp?'
    others = [texts(settings={'seed': seed}) for seed in range(9)]
    assert {other['rbhp/3'] for other in others} == {'What opens it?', 'Where is the hinge?', 'What swings?'}
    first = texts(settings={'pick': 'first'})
    assert (first['vhp/5'], first['rbhp/3']) == (
        'Where should my hand move to if I want to open box 5?',
        'What opens it?',
    )
    assert list(texts(tasks=('rbhp',), limit=1)) == ['rbhp/3']
    with pytest.raises(AffordanceError, match='whole number'):
        texts(settings={'seed': 'x'})


def test_shards_and_a_stopped_run_give_the_same_answers(data, tmp_path):
    choice = Choice(data, 'handsonvlm')
    run(choice, tmp_path / 'one', Hands())
    with pytest.raises(KeyboardInterrupt):
        run(choice, tmp_path / 'cut', Hands(stop_after=2))
    run(choice, tmp_path / 'cut', Hands(), resume=True)
    for index in (1, 0):
        run(choice, tmp_path / 'two', Hands(), shard=Shard(index, 2))
    one = (tmp_path / 'one' / 'answers.jsonl').read_bytes()
    assert (tmp_path / 'cut' / 'answers.jsonl').read_bytes() == one
    assert scored(tmp_path / 'two') == scored(tmp_path / 'one')


def test_absurd_positions_and_missing_frames(data, tmp_path):
    run(Choice(data, 'handsonvlm', ('vhp',)), tmp_path / 'absurd', Hands(absurd=(3,)))
    scores = scored(tmp_path / 'absurd')['vhp']
    assert scores['outcomes'] == {'UNPARSABLE_ANSWER': 1, 'OK': 2}
    assert (scores['unanswered'], scores['official']) == (3, {'stops_with': 'AssertionError'})
    (data / 'hoi_forecast' / 'data' / 'EPIC-KITCHENS' / frame_names(3)[4]).unlink()
    run(Choice(data, 'handsonvlm', ('vhp',)), tmp_path / 'missing', Hands())
    _, lines, _ = finished_lines(tmp_path / 'missing')
    assert frame_names(3)[4] in lines[0]['message']
    scores = score_hands(lines, {})['vhp']
    assert (scores['outcomes']['NO_IMAGE'], scores['unanswered'], scores['official_left_out']) == (1, 3, 1)


def test_what_is_missing_is_named(data, tmp_path):
    with pytest.raises(AffordanceError, match=r'video_info\.json; the data of HandsOnVLM are at https'):
        KIND.open(Choice(tmp_path, 'handsonvlm'))
    with pytest.raises(AffordanceError, match=r'ek100_questions\.json'):
        KIND.open(Choice(data, 'handsonvlm', ('rbhp',), split='train'))
    with pytest.raises(AffordanceError, match='known: vhp, rbhp'):
        KIND.open(Choice(data, 'handsonvlm', ('abc',)))
    with pytest.raises(AffordanceError, match='robopoint gives no hands; models that do: handsonvlm'):
        KIND.open(Choice(data, 'robopoint'))
    benchmark = KIND.open(Choice(data, 'handsonvlm'))
    points_only = Prediction('robopoint', next(benchmark.items()).query)
    with pytest.raises(AffordanceError, match='gives no hand paths'):
        benchmark.record(points_only)
    labels = data / 'hoi_forecast' / 'data' / 'ek100' / 'labels'
    (labels / 'label_3.pkl').write_bytes(pickle.dumps({'hand_trajs': {'RIGHT': {'traj': np.zeros((20, 2))}}}))
    with pytest.raises(AffordanceError, match=r'label_3\.pkl is no label of hands'):
        run(Choice(data, 'handsonvlm'), tmp_path / 'out', Hands())
    shutil.rmtree(labels)
    with pytest.raises(AffordanceError, match='no action of the validation split has a label'):
        list(KIND.open(Choice(data, 'handsonvlm')).items())


@pytest.mark.parametrize('case', WRAPPER_CASES, ids=lambda case: case['key'])
def test_the_recorded_evaluations_come_out_of_answer_lines(case):
    """Answers that lie as lines on disk give the figures that the official program printed for them."""
    arrays = np.load(PARITY / 'expected' / 'metric_cases.npz')
    lines = []
    for index, known in enumerate(case['pred_trajectory_is_valid']):
        hands, valid = (
            arrays[f'{case["key"]}.{index}.{name}'][0].tolist() for name in ('future_hands', 'future_valid')
        )
        line = {
            'truth': {'task': 'vhp', 'hands': hands, 'valid': valid},
            'outcome': 'OK' if known else 'BAD_INPUT', 'text': '', 'size': [1, 1],
        }  # fmt: skip
        if known:
            answer = arrays[f'{case["key"]}.{index}.pred_hand_trajectory'][0, 0].astype(np.float64)
            line['hands_uv_px'] = {'right': answer[0].tolist(), 'left': answer[1].tolist()}
        lines.append(line)
    official = score_hands(lines, {})['vhp']['official']
    if case['error'] is not None:
        assert official == {'stops_with': case['error']['exception']}
        return
    want = case['metrics_computed']
    for name in ('ade', 'fde', 'wde'):
        assert official[name] == pytest.approx(float(want[f'official_{name}']), abs=1e-6, nan_ok=True)


def affordance(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={'COLUMNS': '220'})


def test_the_console_asks_a_checkpoint_and_scores_again(data, tmp_path):
    pytest.importorskip('torch')
    out = tmp_path / 'out'
    result = affordance(
        'eval', 'dataset', 'epic_hands', '--root', data, '--out', out, '--model', 'handsonvlm', '--limit', 2,
        '--checkpoint', PARITY / 'checkpoint' / 'handsonvlm-tiny', '--option', 'max_new_tokens=12',
        '--data-option', 'pick=first',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert 'left out' in result.output
    assert '0.136' in result.output
    content = json.loads((out / 'metrics.json').read_text())
    assert {task: score['questions'] for task, score in content['scores'].items()} == {'vhp': 2, 'rbhp': 2}
    assert content['throughput']['questions'] == 4
    settings = json.loads((out / 'run.json').read_text())['model']['settings']
    assert (settings['profile'], settings['z_scale']) == ('official', '2.0')
    first = (out / 'metrics.json').read_bytes()
    shutil.rmtree(data)
    again = affordance('eval', 'rescore', out)
    assert again.exit_code == 0, again.output
    assert (out / 'metrics.json').read_bytes() == first
