# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place and RoboRefIt from end to end: the recorded official run word by word, and what each side counts."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.benchmark import Asking, Shard, ask, finished_lines, run_record
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import BENCHMARKS
from affordance_ros.models.base import ModelInfo, Progress
from affordance_ros.models.parts.framing import frame_image
from affordance_ros.models.robopoint import read_answer
from affordance_ros.models.robopoint_official import POINT_SUFFIX
from affordance_ros.results import Prediction

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'robopoint'
MINI, IMAGES = PARITY / 'inputs' / 'where2place_mini', PARITY / 'inputs' / 'images'
EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'where2place_of_scenes.py'
KIND = BENCHMARKS['where2place']
WIDTH, HEIGHT = 640, 480
# What the scripted model writes; the mask is the left half.
ANSWERS = (
    '[(0.25, 0.5), (0.75, 0.5)]',  # half right
    '[(0.1, 0.1)]',
    'I do not know',  # unreadable for us, an empty list of points for the official program
    '(100, 0.2, 0.3, 0.4)',  # stops the official parser: the question is left out
    '[(0.9, 0.9)]',
)


def write_data(root, categories=('', '', '', 'unseen', 'unseen')):
    for name in ('images', 'masks'):
        (root / name).mkdir(parents=True)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    lines = []
    for index, category in enumerate(categories):
        Image.new('RGB', (WIDTH, HEIGHT), (index, 0, 0)).save(root / 'images' / f'{index}.png')
        Image.fromarray(mask).save(root / 'masks' / f'{index:02d}.jpg', quality=100)
        line = {
            'question_id': index,
            'image': f'{index}.png',
            'text': f'question {index}',
            'category': category,
        }
        lines.append(json.dumps(line))
    (root / 'point_questions.jsonl').write_text('\n'.join(lines) + '\n')


class Scripted:
    """Writes ANSWERS by the red of the image. stop_after: Ctrl-C at that question."""

    outputs = frozenset({'keypoints', 'boxes'})

    def __init__(self, stop_after=None):
        self.stop_after, self.asked = stop_after, []

    def predict(self, frame, query, *, progress=None, stop=None):  # noqa: ARG002
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(query.text)
        text = ANSWERS[int(frame.rgb[0, 0, 0]) % len(ANSWERS)]
        progress(Progress('parse', 1.0, text))
        answer = read_answer(text, frame_image(frame.rgb, 'direct'), frame.width, frame.height)
        return Prediction('scripted', query, text, keypoints=answer.keypoints, boxes=answer.boxes)

    def describe(self):
        return ModelInfo('scripted', 0, 'float32', 'cpu', 0, 'Apache-2.0', '', '')


def run(kind, choice, out, model, **more):
    benchmark = BENCHMARKS[kind].open(choice)
    return ask(benchmark, model, Asking(out, run_record(kind, benchmark, model.describe(), {}), **more))


def scored(out, kind=KIND):
    record, lines, _ = finished_lines(out)
    return kind.score(lines, record)


@pytest.fixture
def data(tmp_path):
    write_data(tmp_path / 'data')
    return tmp_path / 'data'


def test_unreadable_answers_count_here_and_some_are_left_out_officially(data, tmp_path):
    assert run('where2place', Choice(data, 'robopoint'), tmp_path / 'out', Scripted()) == 5
    scores = scored(tmp_path / 'out')
    whole = scores['all']
    assert whole['outcomes'] == {'OK': 3, 'UNPARSABLE_ANSWER': 2}
    assert (whole['unreadable'], whole['official_left_out']) == (2, 1)
    assert whole['mean_accuracy'] == pytest.approx(1.5 / 5)
    assert whole['official_accuracy'] == pytest.approx(1.5 / 4, abs=1e-2)  # JPEG masks as grey values
    assert scores['unseen']['mean_accuracy'] == 0
    assert list(scores) == ['all', 'unseen']
    row, unseen = KIND.rows(scores)
    assert (row.unreadable, row.left_out, row.published['RoboPoint-13B']) == (2, 1, 46.77)
    assert unseen.published['RoboPoint-13B'] == 44.48


def test_shards_and_a_stopped_run_give_the_same_answers(data, tmp_path):
    choice = Choice(data, 'robopoint')
    run('where2place', choice, tmp_path / 'one', Scripted())
    with pytest.raises(KeyboardInterrupt):
        run('where2place', choice, tmp_path / 'cut', Scripted(stop_after=2))
    rest = Scripted()
    run('where2place', choice, tmp_path / 'cut', rest, resume=True)
    assert len(rest.asked) == 3
    for index in (1, 0):
        run('where2place', choice, tmp_path / 'two', Scripted(), shard=Shard(index, 2))
    one = (tmp_path / 'one' / 'answers.jsonl').read_bytes()
    assert (tmp_path / 'cut' / 'answers.jsonl').read_bytes() == one
    assert scored(tmp_path / 'two') == scored(tmp_path / 'one')
    assert (tmp_path / 'two' / 'answers.jsonl').read_bytes() == one


def test_a_box_stands_for_its_pixels_and_masks_may_have_another_size(data, tmp_path):
    run('where2place', Choice(data, 'robopoint', limit=1), tmp_path / 'out', Scripted())
    record, lines, _ = finished_lines(tmp_path / 'out')
    lines[0] |= {'keypoints_uv_px': [], 'boxes_xyxy_px': [[-50, 100, 479, 199]]}
    assert KIND.score(lines, record)['all']['mean_accuracy'] == pytest.approx(320 / 480)
    lines[0] |= {'keypoints_uv_px': [[639, 0], [0, 479]], 'boxes_xyxy_px': None, 'size': [1280, 960]}
    assert KIND.score(lines, record)['all']['mean_accuracy'] == 1


def test_questions_may_be_chosen(data, tmp_path):
    text = (
        (data / 'point_questions.jsonl')
        .read_text()
        .replace('question', 'box question')
        .replace('"box question_id', '"question_id')
    )
    (data / 'bbox_questions.jsonl').write_text(text.replace('unseen', ''))
    model = Scripted()
    settings = {'questions': 'bbox_questions.jsonl', 'unseen': '1-2'}
    run('where2place', Choice(data, 'robopoint', settings=settings), tmp_path / 'out', model)
    assert model.asked[0] == 'box question 0'
    unseen = scored(tmp_path / 'out')['unseen']
    assert (unseen['questions'], unseen['mean_accuracy']) == (2, 0.5)
    with pytest.raises(AffordanceError, match='FIRST-LAST'):
        KIND.open(Choice(data, 'robopoint', settings={'unseen': 'last'}))


def test_what_is_missing_is_named(data, tmp_path):
    with pytest.raises(AffordanceError, match=r'no .*point_questions\.jsonl; Where2Place is at https'):
        KIND.open(Choice(tmp_path, 'robopoint'))
    (data / 'images' / '1.png').unlink()
    run('where2place', Choice(data, 'robopoint'), tmp_path / 'out', Scripted())
    whole = scored(tmp_path / 'out')['all']
    assert whole['outcomes']['NO_IMAGE'] == 1
    assert (whole['unreadable'], whole['official_left_out']) == (3, 2)
    (data / 'masks' / '04.jpg').unlink()
    with pytest.raises(AffordanceError, match=r'no mask .*04\.jpg'):
        KIND.open(Choice(data, 'robopoint'))
    (data / 'point_questions.jsonl').write_text('{"image": 5, "text": "x"}\n')
    with pytest.raises(AffordanceError, match='line 1 of'):
        KIND.open(Choice(data, 'robopoint'))


def write_roborefit(root):
    """Write two records in each part: the object is red in the left half of the mask, names with backslashes."""
    for split in ('testA', 'testB'):
        folder = root / 'final_dataset' / split
        for name in ('image', 'mask'):
            (folder / name).mkdir(parents=True)
        records = []
        for index in range(2):
            name = f'{index:07d}.png'
            Image.new('RGB', (WIDTH, HEIGHT), (index, 0, 0)).save(folder / 'image' / name)
            mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            mask[:, : WIDTH // 2, 0] = 7
            Image.fromarray(mask).save(folder / 'mask' / name)
            paths = {
                f'{kind}_path': f'final_dataset\\{split}\\{kind}\\{name}'.replace('rgb\\', 'image\\')
                for kind in ('rgb', 'mask')
            }
            records.append({'text': f'the mug {index}', 'bbox': [0, 0, 9, 9], **paths})
        (folder / f'roborefit_{split}.json').write_text(json.dumps(records))


@pytest.mark.parametrize('inside', [False, True])
def test_roborefit_is_asked_for_points(tmp_path, inside):
    write_roborefit(tmp_path)
    model = Scripted()
    root = tmp_path / 'final_dataset' if inside else tmp_path
    assert run('roborefit', Choice(root, 'robopoint'), tmp_path / 'out', model) == 4
    assert model.asked[0] == f'Locate several points on the object that this sentence means: the mug 0{POINT_SUFFIX}'
    scores = scored(tmp_path / 'out', BENCHMARKS['roborefit'])
    assert list(scores) == ['all', 'testA', 'testB']
    # Masks of 0 and 255: the official figure is exact.
    assert scores['testB']['official_accuracy'] == scores['testB']['mean_accuracy'] == 0.75
    assert BENCHMARKS['roborefit'].rows(scores)[0].published['RoboPoint-13B'] == 49.82
    few = Scripted()
    choice = Choice(root, 'robopoint', limit=1, settings={'question': 'Point to {}.'})
    run('roborefit', choice, tmp_path / 'few', few)
    assert [text[:20] for text in few.asked] == ['Point to the mug 0. '] * 2


def test_roborefit_names_what_is_missing(tmp_path):
    write_roborefit(tmp_path)
    kind = BENCHMARKS['roborefit']
    with pytest.raises(AffordanceError, match=r'roborefit_train\.json; RoboRefIt is at'):
        kind.open(Choice(tmp_path, 'robopoint', ('train',)))
    with pytest.raises(AffordanceError, match='has the parts'):
        kind.open(Choice(tmp_path, 'robopoint', ('testC',)))
    (tmp_path / 'final_dataset' / 'testA' / 'mask' / '0000001.png').unlink()
    with pytest.raises(AffordanceError, match=r'no mask .*0000001\.png'):
        run('roborefit', Choice(tmp_path, 'robopoint'), tmp_path / 'out', Scripted())


def affordance(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={'COLUMNS': '220'})


@pytest.mark.parametrize(('variant', 'folder'), [('vicuna_full', 'vicuna-v1.5'), ('llama2_full', 'llama-2')])
def test_the_recorded_official_run_from_the_console(tmp_path, variant, folder):
    """The official program asked these questions with float16 at temperature 0: same answers, same figure."""
    pytest.importorskip('torch')
    root, out, expected = tmp_path / 'data', tmp_path / 'out', PARITY / 'expected' / variant
    shutil.copytree(MINI, root)
    result = affordance(
        'eval', 'dataset', 'where2place', '--root', root, '--image-root', IMAGES, '--out', out, '--model', 'robopoint',
        '--checkpoint', PARITY / 'checkpoint' / f'robopoint-v1-{folder}-tiny', '--dtype', 'float16',
        '--option', f'clip={PARITY / "checkpoint" / "clip-vit-tiny-patch14"}', '--option', 'temperature=0',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert 'left out' in result.output
    assert '46.77' in result.output
    written = [json.loads(line) for line in (out / 'official' / 'answers.jsonl').read_text().splitlines()]
    recorded = [json.loads(line) for line in (expected / 'vqa_answers.jsonl').read_text().splitlines()]
    assert written == [{name: line[name] for name in written[0]} for line in recorded]
    want = json.loads((expected / 'vqa_score.json').read_text())
    scores = json.loads((out / 'metrics.json').read_text())['scores']
    assert scores['all']['official_accuracy'] == pytest.approx(np.mean(want['accuracy_list']), abs=1e-6)
    assert scores['all']['official_left_out'] == len(want['skipped_questions'])
    assert scores['unseen']['official_accuracy'] == pytest.approx(np.mean(want['accuracy_list'][1::2]), abs=1e-6)
    first = (out / 'metrics.json').read_bytes()
    shutil.rmtree(root)
    again = affordance('eval', 'rescore', out)
    assert again.exit_code == 0, again.output
    assert (out / 'metrics.json').read_bytes() == first


def test_the_example_asks_the_pocket_checkpoint_about_scenes(tmp_path, monkeypatch):
    pytest.importorskip('torch')
    pytest.importorskip('open3d')
    monkeypatch.setattr(sys, 'argv', ['where2place_of_scenes.py', str(tmp_path / 'data'), '5'])
    runpy.run_path(str(EXAMPLE), run_name='__main__')
    out = tmp_path / 'out'
    result = affordance(
        'eval', 'dataset', 'where2place', '--root', tmp_path / 'data', '--out', out, '--model', 'robopoint',
        '--checkpoint', 'pocket', '--option', 'profile=robot',
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    whole = json.loads((out / 'metrics.json').read_text())['scores']['all']
    assert whole['questions'] == 5
    assert whole['mean_accuracy'] >= 0.6  # 27 of 30 scenes when this was written
    assert whole['official_accuracy'] == pytest.approx(whole['mean_accuracy'], abs=0.1)
