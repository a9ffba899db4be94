# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reader of RoboInter-VQA on a small data set of the same layout, and everything that it must refuse."""

import json

import numpy as np
import pytest
from PIL import Image

from affordance_ros.datasets.answer_files import WrittenAnswer, answer_file, read_answers, write_answers
from affordance_ros.datasets.robointer_vqa import TASKS, RoboInterVqa, VqaQuestion, read_questions
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.metrics.robointer import task_kind
from affordance_ros.metrics.robointer_official import OfficialAnswer, official_file_score
from affordance_ros.models.robointer_answers import BY_NAME

BOX = {
    'origin': '{"current_bbox": [[72, 102], [192, 179]]}',
    'llava': '{"current_bbox": [[0.22, 0.57], [0.60, 0.99]]}',
    'smart_resize': '{"current_bbox": [[69, 95], [184, 167]]}',
}


def record(images, answer, human='human', **more):
    turns = [{'from': human, 'value': '<image>\nWhere is it?'}, {'from': 'gpt', 'value': answer}]
    return {'id': 'droid_1', 'task': 'x', 'conversations': turns, 'images': images, **more}


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records))


def picture(path, color=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (32, 18), color).save(path)


@pytest.fixture
def root(tmp_path):
    name = 'Generation/image/val/current_box/0.png'
    picture(tmp_path / name)
    for form, answer in BOX.items():
        path = tmp_path / 'Generation' / 'meta' / 'val' / f'{form}_format' / 'x_current_box_qa.json'
        write(path, [record(name, answer, w=320, h=180, new_w=308, new_h=168)])
    for answer, task in (('Yes', 'contact_decide'), ('B', 'traj_choice'), ('C', 'trajlang_choice')):
        write(
            tmp_path / 'Understanding' / 'meta' / 'val' / f'{task}.json', [record([f'{task}/1.png'], answer, 'huamn')]
        )
        picture(tmp_path / 'Understanding' / 'image' / 'val' / task / '1.png')
    for folder, answer in (('planning', 'open the drawer'), ('choice', 'A'), ('decide', 'No')):
        frames = [f'{index}.png' for index in range(8)]
        write(tmp_path / 'Task_planning' / 'meta' / 'val' / folder / 'task_planning.json', [record(frames, answer)])
        for frame in frames:
            picture(tmp_path / 'Task_planning' / 'image' / 'val' / folder / frame)
    return tmp_path


@pytest.mark.parametrize('coordinates', list(BOX))
def test_the_truth_is_the_same_box_in_every_format(root, coordinates):
    data = RoboInterVqa(root, coordinates=coordinates)
    (question,) = data.questions('current_box')
    assert question.answer == BOX[coordinates]
    assert question.size == (320, 180)
    # Two decimals of 320 pixels and whole pixels of the resized image are that coarse.
    np.testing.assert_allclose(question.true_points, [[72, 102], [192, 179]], atol=1.7)
    assert question.sentence == 'Where is it?'
    (image,) = data.images(question)
    assert image.shape == (18, 32, 3)
    assert image[0, 0].tolist() == [10, 20, 30]


def test_every_part_of_the_data_set_is_read(root):
    data = RoboInterVqa(root)
    answers = {task: next(data.questions(task)).answer for task in ('contact_decide', 'traj_choice', 'trajlang_choice')}
    assert answers == {'contact_decide': 'Yes', 'traj_choice': 'B', 'trajlang_choice': 'C'}
    (question,) = data.questions('planning_choice')
    assert (question.answer, len(question.images), question.size) == ('A', 8, None)
    (plan,) = data.questions('planning')
    assert plan.answer == 'open the drawer'


def test_bare_names_of_images_are_found_only_when_there_is_one(root):
    data = RoboInterVqa(root)
    with pytest.raises(AffordanceError, match='is both') as caught:
        data.images(next(data.questions('planning_decide')))
    assert caught.value.code == Code.NO_IMAGE
    folder = root / 'Task_planning' / 'image' / 'val' / 'decide'
    named = RoboInterVqa(root, image_roots=(folder,))
    assert len(named.images(next(named.questions('planning_decide')))) == 8
    picture(root / 'Understanding' / 'image' / 'val' / 'deep' / 'down' / 'only.png')
    assert RoboInterVqa(root).image_path('traj_choice', 'only.png').parent.name == 'down'


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('nowhere.png', 'unpack the zip files'),
        ('91970_exterior_image_1_left#12', 'frame 12 of an LMDB'),
        ('../../secret.png', 'below the data set'),
        ('/etc/hostname', 'below the data set'),
    ],
)
def test_images_that_are_not_there_are_refused(root, name, reason):
    picture(root.parent / 'secret.png')
    with pytest.raises(AffordanceError, match=reason):
        RoboInterVqa(root).image_path('traj_choice', name)


def test_a_broken_image_is_named(root):
    path = root / 'Understanding' / 'image' / 'val' / 'traj_choice' / '1.png'
    path.write_bytes(b'no image')
    data = RoboInterVqa(root)
    with pytest.raises(AffordanceError, match=r'1\.png cannot be read as an image'):
        data.images(next(data.questions('traj_choice')))


def test_training_files_of_both_robots(tmp_path):
    for robot in ('droid', 'rh20t'):
        name = 'full_single_multi_contact_obj_traj_qa.json'
        path = tmp_path / 'Generation' / 'meta' / 'train' / robot / 'llava_format' / name
        write(path, [record('a.png', '{"future_traj": [[0.1, 0.2], [0.3, 0.4]]}', w=100, h=50)])
        write(path.with_name('x_traj_qa_wo_init_pos.json'), [])
    write(tmp_path / 'Task_planning' / 'meta' / 'train' / 'manipvqa' / 'task_planning.json', [record('a.png', 'go')])
    data = RoboInterVqa(tmp_path, 'train')
    assert [path.parts[-3] for path in data.files('traj')] == ['droid', 'rh20t']
    np.testing.assert_allclose(next(data.questions('traj')).true_points, [[10, 10], [30, 20]])
    assert list(data.questions('traj_wo_init_pos')) == []
    assert next(data.questions('planning')).answer == 'go'
    with pytest.raises(AffordanceError, match='ask for planning'):
        data.files('planning_choice')


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(AffordanceError, match=r'no llava_format/\*_final_box_qa\.json .*huggingface'):
        RoboInterVqa(tmp_path).files('final_box')
    with pytest.raises(AffordanceError, match='known: current_box'):
        RoboInterVqa(tmp_path).files('drive')
    with pytest.raises(AffordanceError, match='split must be'):
        RoboInterVqa(tmp_path, 'test')


@pytest.mark.parametrize(
    'broken',
    [
        {'id': 1},
        record([], 'A'),
        record('a.png', 'A', human='robot'),
        record('a.png', 'A', w=0, h=5),
        'a text',
        None,
        {**record('a.png', 'A'), 'conversations': [{'from': 'human'}]},
    ],
)
def test_a_record_that_is_no_question_is_named(tmp_path, broken):
    path = tmp_path / 'traj_choice.json'
    write(path, [record('a.png', 'A'), broken])
    with pytest.raises(AffordanceError, match=r'record 1 of .*traj_choice\.json is no question'):
        list(read_questions(path, 'traj_choice'))


def test_json_lines_and_files_that_are_none(tmp_path):
    lines = tmp_path / 'x.jsonl'
    lines.write_text(json.dumps(record('a.png', 'A')) + '\n' + json.dumps(record('b.png', 'B')) + '\n')
    assert [question.images for question in read_questions(lines, 'traj_choice')] == [('a.png',), ('b.png',)]
    for text, reason in (('{"a": 1}', 'must be a JSON list'), ('[', 'is no JSON')):
        path = tmp_path / 'y.json'
        path.write_text(text)
        with pytest.raises(AffordanceError, match=reason):
            list(read_questions(path, 'traj_choice'))
    with pytest.raises(AffordanceError, match='cannot be read'):
        list(read_questions(tmp_path / 'z.json', 'traj_choice'))


def test_truth_without_points_or_sizes_is_refused():
    words = VqaQuestion('1', 'traj_choice', '?', ('a',), 'A')
    with pytest.raises(AffordanceError, match='answered in words'):
        _ = words.true_points
    for answer in ('none', '{}', '[1]', '{"current_bbox": [1, 2, 3]}', '{"current_bbox": [["a", 1]]}'):
        with pytest.raises(AffordanceError, match='is no current_bbox of points'):
            _ = VqaQuestion('1', 'current_box', '?', ('a',), answer).true_points
    for coordinates, size in (('llava', None), ('smart_resize', (320, 180))):
        with pytest.raises(AffordanceError, match='lacks w and h'):
            _ = VqaQuestion('1', 'current_box', '?', ('a',), BOX['llava'], coordinates, size).true_points


def test_answer_files_come_back_and_score_as_written(tmp_path):
    answers = [
        WrittenAnswer('droid_1', BOX['llava'], BOX['llava'], ('a.png',), (320, 180)),
        WrittenAnswer('RH20T_2', '', BOX['llava']),
    ]
    path = write_answers(answer_file(tmp_path / 'new', 'current_box'), answers)
    assert path.name == 'eval_details_current_box.json'
    assert read_answers(path) == answers
    official = [OfficialAnswer(answer.id, answer.pred, answer.gt, answer.size) for answer in read_answers(path)]
    assert official_file_score(official, 'box', 'llava').value == pytest.approx(0.5)
    # The official scripts write one name, and no size.
    write(path, [{'id': 7, 'pred': 'A', 'gt': 'B', 'image_path': 'a.png', 'prompt': '?'}])
    assert read_answers(path) == [WrittenAnswer('7', 'A', 'B', ('a.png',))]
    for broken in ({'id': 1, 'pred': 'A'}, {'id': 1, 'pred': 2, 'gt': 'A'}, 'text'):
        write(path, [broken])
        with pytest.raises(AffordanceError, match='record 0 of'):
            read_answers(path)


def test_tasks_agree_with_the_scorer_and_the_model():
    for name, task in TASKS.items():
        if task.part == 'Task_planning':
            continue
        assert task_kind(name) == task.kind
        assert (BY_NAME[name].kind, BY_NAME[name].key) == (task.kind, task.key)
