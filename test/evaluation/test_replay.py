# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag is asked offline: the same answers twice, also after an interruption, and every file says the same."""

import csv
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from affordance_ros.bags import BagTopics, BagWriter, WriterSettings, look_into, messages_of
from affordance_ros.bags.answers import answer_parts
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.gates import Gate
from affordance_ros.evaluation.labels import Label, Labels
from affordance_ros.evaluation.records import RunFolder
from affordance_ros.evaluation.replay import ReplaySettings
from affordance_ros.evaluation.run import Evaluation, evaluate, finish
from affordance_ros.evaluation.selection import FrameChoice
from affordance_ros.models import load_model
from affordance_ros.results import Query
from affordance_ros.scenes import sample_scene

STAMPS = tuple(1_000_000_000 + index * 100_000_000 for index in range(5))
SAME = ('answers.jsonl', 'run.json', 'overlays', 'results/results.mcap')


@pytest.fixture(scope='module')
def scene():
    return sample_scene(3, 'pocket', must_have=('red', 'mug'))


@pytest.fixture(scope='module')
def bag(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags') / 'table'
    frame = scene.render(stamp_ns=STAMPS[0]).frame
    with BagWriter(folder, WriterSettings(depth_encoding='32FC1')) as writer:
        for index, stamp in enumerate(STAMPS):
            dark = frame.rgb // 2 if index == 3 else frame.rgb
            writer.write_frame(replace(frame, rgb=dark, stamp_ns=stamp))
    return folder


@pytest.fixture(scope='module')
def handle(scene):
    """A pixel on the mug's handle, as a sentence for the model `fake`, and the truth about the part."""
    view = scene.render(stamp_ns=0)
    part = scene.find('the red mug by its handle')
    truth = scene.truth(view, part.id)
    v, u = np.argwhere(truth.mask)[len(np.argwhere(truth.mask)) // 2]
    return f'grasp at {u},{v}', truth


def ask(bag, out, prompts, **settings):
    wanted = ReplaySettings(bag, tuple(Query(text) for text in prompts), topics=look_into(bag).topics)
    own = {name: settings.pop(name) for name in ('choice', 'views') if name in settings}
    on_answer = settings.pop('on_answer', None)
    return evaluate(Evaluation(replace(wanted, views=False, **own), out, **settings), load_model('fake'), on_answer)


def lines(out):
    return list(RunFolder(out).answers())


def same_files(first, second):
    for name in SAME:
        files = sorted((first / name).iterdir()) if (first / name).is_dir() else [first / name]
        for file in files:
            assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file.name


def test_two_runs_write_the_same_answers(bag, handle, tmp_path):
    for name in ('a', 'b'):
        ask(bag, tmp_path / name, [handle[0], 'nothing here'])
    same_files(tmp_path / 'a', tmp_path / 'b')
    answers = lines(tmp_path / 'a')
    assert [(line['stamp_ns'], line['prompt']) for line in answers] == [(s, p) for s in STAMPS for p in (0, 1)]
    assert {line['outcome'] for line in answers if line['prompt'] == 1} == {'EMPTY_MODEL_OUTPUT'}
    assert len(list((tmp_path / 'a' / 'overlays').iterdir())) == 10


def test_an_interrupted_run_goes_on(bag, handle, tmp_path):
    ask(bag, tmp_path / 'whole', [handle[0]])
    seen = []

    def interrupt(line):
        seen.append(line)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(bag, tmp_path / 'cut', [handle[0]], on_answer=interrupt)
    with (tmp_path / 'cut' / 'answers.jsonl').open('a') as file:
        file.write('{"stamp_ns": 12')  # what a kill leaves half written
    ask(bag, tmp_path / 'cut', [handle[0]], resume=True)
    same_files(tmp_path / 'whole', tmp_path / 'cut')


def test_a_folder_of_another_run_is_refused(bag, handle, tmp_path):
    ask(bag, tmp_path, [handle[0]], choice=FrameChoice.parse('every:5'))
    with pytest.raises(AffordanceError, match='--resume'):
        ask(bag, tmp_path, [handle[0]], choice=FrameChoice.parse('every:5'))
    with pytest.raises(AffordanceError, match='different: prompts'):
        ask(bag, tmp_path, ['something else'], choice=FrameChoice.parse('every:5'), resume=True)


@pytest.mark.parametrize(
    ('choice', 'wanted'),
    [('all', 5), ('every:2', 3), ('stamps:1.1,1.4', 2), ('change:5', 3), ('change:1000', 1)],
)
def test_frames_are_chosen(bag, tmp_path, choice, wanted):
    ask(bag, tmp_path, ['at 80,60'], choice=FrameChoice.parse(choice))
    assert len(lines(tmp_path)) == wanted


@pytest.mark.parametrize('text', ['every:0', 'every:x', 'some', 'all:3', 'change:-1', 'stamps:', ''])
def test_bad_choices_are_refused(text):
    with pytest.raises(AffordanceError, match='none of') as caught:
        FrameChoice.parse(text)
    assert caught.value.code == Code.BAD_INPUT


def test_a_stamp_that_is_not_there_is_named(bag, tmp_path):
    with pytest.raises(AffordanceError, match=r'no image at 7\.250 s'):
        ask(bag, tmp_path, ['at 80,60'], choice=FrameChoice.parse('stamps:1.1,7.25'))


def test_what_the_model_refuses_is_an_answer(bag, tmp_path):
    settings = ReplaySettings(bag, (Query('x'),), topics=look_into(bag).topics, overlays=False, views=False)
    evaluate(Evaluation(settings, tmp_path), load_model('fake', fail='UNPARSABLE_ANSWER'))
    assert [line['outcome'] for line in lines(tmp_path)] == ['UNPARSABLE_ANSWER'] * 5
    assert json.loads((tmp_path / 'metrics.json').read_text())['answered_ratio'] == 0


def test_running_out_of_memory_ends_the_run(bag, tmp_path):
    settings = ReplaySettings(bag, (Query('x'),), topics=look_into(bag).topics)
    with pytest.raises(AffordanceError) as caught:
        evaluate(Evaluation(settings, tmp_path), load_model('fake', fail='OOM'))
    assert caught.value.code == Code.OOM


def test_results_come_back_from_the_bag_of_answers(bag, handle, tmp_path):
    ask(bag, tmp_path, [handle[0]])
    arrays = list(messages_of(tmp_path / 'results', 'affordance_ros/msg/GraspTargetArray'))
    assert [a.header.stamp.sec * 10**9 + a.header.stamp.nanosec for a in arrays] == list(STAMPS)
    written = lines(tmp_path)
    for array, line in zip(arrays, written, strict=True):
        targets, _ = answer_parts(array)
        assert line['outcome'] == 'OK'
        np.testing.assert_allclose(targets[0].contact.point, line['targets'][0]['contact']['point_m'], atol=1e-9)
        np.testing.assert_allclose(targets[0].grasp[:3, 3], line['targets'][0]['grasp_in_camera']['position_m'])


def test_tables_and_gates(bag, handle, tmp_path):
    gates = (Gate('answered_ratio', least=0.9), Gate('seconds.total.p90', most=1e-9), Gate('no_such_number', most=1))
    verdicts = ask(bag, tmp_path, [handle[0]], gates=gates)
    assert [item.passed for item in verdicts] == [True, False, False]
    suite = ElementTree.parse(tmp_path / 'junit.xml').getroot()
    assert (suite.get('tests'), suite.get('failures')) == ('3', '2')
    with (tmp_path / 'answers.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['outcome'] for row in rows] == ['OK'] * 5
    assert float(rows[0]['z_m']) > 0.1
    page = (tmp_path / 'report.html').read_text()
    assert page.count('data:image/jpeg') == 5
    assert 'http' not in page.replace('https://', 'http://').split('<body>')[0]
    assert 'answered_ratio is 1' in page


def test_labels_score_the_answers_again_without_a_model(bag, handle, tmp_path):
    sentence, truth = handle
    ask(bag, tmp_path, [sentence, 'nothing'])
    label = Label(mask=truth.mask, points_m=truth.points, width_m=truth.width_m)
    known = {(None, sentence): label, (STAMPS[0], 'nothing'): Label(present=False), (STAMPS[1], 'nothing'): label}
    finish(RunFolder(tmp_path), labels=Labels(known))
    scores = json.loads((tmp_path / 'metrics.json').read_text())['scores']
    assert (scores['labelled'], scores['missed'], scores['invented']) == (7, 1, 0)
    assert scores['points_in_mask_accuracy']['mean'] == pytest.approx(5 / 6)
    assert scores['point_error_mm']['median'] < 3
    assert scores['silent_errors'] == 0


def test_a_bag_without_intrinsics_and_transforms_gets_them(scene, tmp_path):
    from affordance_ros.bags import read_frames
    from affordance_ros.geometry.pose_buffer import StaticTransform

    frame = scene.render(stamp_ns=STAMPS[0]).frame
    with BagWriter(tmp_path / 'bare') as writer:
        writer.write_frame(replace(frame, intrinsics=None, target_from_camera=None))
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    topics = BagTopics(intrinsics=frame.intrinsics, static_transforms=(StaticTransform('base', frame.frame_id, pose),))
    (got,) = read_frames(tmp_path / 'bare', topics)
    assert got.intrinsics == frame.intrinsics
    assert got.target_frame == 'base'
    np.testing.assert_allclose(got.target_from_camera, pose)


def test_an_image_that_cannot_be_read_costs_only_itself(scene, tmp_path):
    from affordance_ros.bags.messages import header, make

    frame = scene.render(stamp_ns=STAMPS[0]).frame
    with BagWriter(tmp_path / 'bag', WriterSettings(depth_encoding='32FC1')) as writer:
        for stamp in STAMPS[:3]:
            writer.write_frame(replace(frame, stamp_ns=stamp))
        bad = make('sensor_msgs/msg/Image', header=header(STAMPS[3], 'camera'), width=9, height=9, encoding='rgb8')
        writer.write_message('/camera/color/image_raw', bad, STAMPS[3])
    ask(tmp_path / 'bag', tmp_path / 'out', ['at 80,60'])
    assert len(lines(tmp_path / 'out')) == 3
    assert json.loads((tmp_path / 'out' / 'metrics.json').read_text())['frames']['unreadable'] == 1
    assert (tmp_path / 'out' / 'bad_frames.txt').read_text().startswith(str(STAMPS[3]))
