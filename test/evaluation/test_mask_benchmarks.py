# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ReasonAff, UMD and AGD20K from the console, on small data sets and a tiny checkpoint with SAM 2."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from mask_data_sets import HEIGHT, WIDTH, write_agd20k, write_reasonaff, write_umd
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.datasets.umd import Umd
from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import BENCHMARKS
from affordance_ros.evaluation.labels import decode_mask
from affordance_ros.evaluation.mask_benchmark import mask_record
from affordance_ros.evaluation.records import RunFolder
from affordance_ros.evaluation.umd_benchmark import UmdBenchmark
from affordance_ros.results import Heatmap, Keypoints, Masks, Prediction, Query

PREDICTION = Prediction('some_model', Query('where?'))
DATA_SETS = {
    'reasonaff': (write_reasonaff, 'output_0.json'),
    'umd': (write_umd, 'stats_data_agd.json'),
    'agd20k': (write_agd20k, 'stats_data_agd.json'),
}
DYING = """
import os, signal, sys
from affordance_ros.cli import main
from affordance_ros.evaluation.records import RunFolder

append, left = RunFolder.append, [2]

def append_until_killed(self, line, times):
    if not left[0]:
        with (self.path / 'answers.jsonl').open('a') as file:
            file.write('{"key": "half of a li')
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    append(self, line, times)

RunFolder.append = append_until_killed
main()
"""


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Options of a checkpoint whose answers can always be read, as a grammar keeps them in their format."""
    pytest.importorskip('torch')
    from tiny_qwen_vl import Tiny, write_checkpoint
    from tiny_sam2 import build_package

    folder = tmp_path_factory.mktemp('affordance_r1')
    write_checkpoint(folder / 'checkpoint', Tiny(sub_folder=True))
    options = (
        f'sam2={build_package(folder / "sam2")}', 'decode=constrained', 'profile=fast', 'max_new_tokens=110',
    )  # fmt: skip
    return ('--model', 'affordance_r1', '--checkpoint', folder / 'checkpoint', *options_of(*options))


def options_of(*pairs):
    return tuple(part for pair in pairs for part in ('--option', pair))


def affordance(*arguments):
    return CliRunner().invoke(app, list(map(str, ('eval', *arguments))), env={'COLUMNS': '200'})


@pytest.mark.parametrize(('name', 'figure'), [('reasonaff', '67.41'), ('umd', '49.85'), ('agd20k', '31.78')])
def test_a_data_set_is_asked_scored_and_scored_again(checkpoint, tmp_path, name, figure):
    if name == 'reasonaff':
        pytest.importorskip('pyarrow')
    write, official_file = DATA_SETS[name]
    root, out = write(tmp_path / 'data'), tmp_path / 'out'
    result = affordance('dataset', name, '--root', root, '--out', out, '--limit', 1, *checkpoint)
    assert result.exit_code == 0, result.output
    assert figure in result.output
    assert 'hq-King/Affordance-R1' in result.output
    metrics = json.loads((out / 'metrics.json').read_text())
    score = metrics['scores']['all']
    assert score['outcomes'] == {'OK': score['questions']}
    assert (score['unreadable'], score['without_truth']) == (0, 0)
    lines = [json.loads(line) for line in (out / 'answers.jsonl').read_text().splitlines()]
    masks = [decode_mask(line['mask']) for line in lines]
    assert all(mask.shape == (HEIGHT, WIDTH) for mask in masks)
    truth = np.zeros((HEIGHT, WIDTH), np.bool_)
    truth[:, : WIDTH // 2] = True
    if name != 'umd':  # which asks for the left half in every second question only
        ious = [(mask & truth).sum() / (mask | truth).sum() for mask in masks]
        assert score['giou'] == pytest.approx(np.mean(ious))
        # The zero-shot program stops at an answer that names nothing, which is for the weights to say.
        kept = [iou for iou, line in zip(ious, lines, strict=True) if line['things'] or name == 'reasonaff']
        assert score['official_giou'] == (pytest.approx(np.mean(kept)) if kept else None)
    assert (out / 'official' / official_file).is_file()
    before = (out / 'metrics.json').read_bytes()
    (out / 'metrics.json').unlink()
    (tmp_path / 'data').rename(tmp_path / 'gone')
    again = affordance('rescore', out)
    assert again.exit_code == 0, again.output
    assert (out / 'metrics.json').read_bytes() == before


def test_killed_stopped_and_shared_runs_give_the_same_files(checkpoint, tmp_path, monkeypatch):
    root = write_umd(tmp_path / 'data', frames=(1,))
    arguments = ('dataset', 'umd', '--root', root, *checkpoint)
    whole = affordance(*arguments, '--out', tmp_path / 'whole')
    assert whole.exit_code == 0, whole.output
    wanted = (tmp_path / 'whole' / 'answers.jsonl').read_bytes()
    # Killed in the middle of a line.
    command = [sys.executable, '-c', DYING, 'eval', *map(str, arguments), '--out', str(tmp_path / 'killed')]
    died = subprocess.run(command, env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert (tmp_path / 'killed' / 'answers.jsonl').read_text().endswith('half of a li')
    assert 'not finished' in affordance('rescore', tmp_path / 'killed').output
    resumed = affordance(*arguments, '--out', tmp_path / 'killed', '--resume')
    assert resumed.exit_code == 0, resumed.output
    # Ctrl-C after the second of the four answers.
    append = RunFolder.append

    def append_twice(folder, line, times):
        append(folder, line, times)
        if len(list(folder.answers())) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, 'append', append_twice)
        stopped = affordance(*arguments, '--out', tmp_path / 'stopped')
    assert stopped.exit_code == 130
    assert 'of 4 questions are answered; go on with --resume' in stopped.output
    assert affordance(*arguments, '--out', tmp_path / 'stopped', '--resume').exit_code == 0
    # Two shards, the later one first.
    for shard in ('1/2', '0/2'):
        shared = affordance(*arguments, '--out', tmp_path / 'shared', '--shard', shard)
        assert shared.exit_code == 0, shared.output
    for name in ('killed', 'stopped', 'shared'):
        assert (tmp_path / name / 'answers.jsonl').read_bytes() == wanted
        scores = [json.loads((tmp_path / out / 'metrics.json').read_text())['scores'] for out in ('whole', name)]
        assert scores[0] == scores[1]


def test_what_is_missing_is_named_on_the_console(tmp_path):
    for name, sentence in (
        ('umd', 'no TOOL_NN/TOOL_NN_00000001_rgb.jpg below'),
        ('agd20k', 'there is no folder'),
        ('reasonaff', 'there is neither'),
    ):
        result = affordance('dataset', name, '--root', tmp_path, '--out', tmp_path / 'out', '--model', 'fake')
        assert result.exit_code == 2
        assert sentence in result.output.replace('\n', ' ')
    assert not (tmp_path / 'out').exists()


def test_choices_of_the_data_sets(tmp_path):
    umd = write_umd(tmp_path / 'umd')

    def opened(name, root, **choice):
        return BENCHMARKS[name].open(Choice(root, 'affordance_r1', **choice))

    assert [item.key.rpartition('/')[2] for item in opened('umd', umd, tasks=('cut',)).items()] == ['cut', 'cut']
    assert len(opened('umd', umd, limit=1).questions()) == 3
    whole = UmdBenchmark(Umd(umd)).describe()
    assert (whole['actions'], whole['limit'], whole['questions']) == ([], None, 8)
    next(umd.rglob('knife_01_00000031_rgb.jpg')).write_bytes(b'another image')
    assert UmdBenchmark(Umd(umd)).describe() == {**whole, 'files': UmdBenchmark(Umd(umd)).describe()['files']} != whole
    unseen = write_agd20k(tmp_path / 'agd', 'Unseen')
    chosen = opened('agd20k', unseen, settings={'part': 'Unseen'}, limit=2)
    assert len(list(chosen.items())) == 2
    assert {'part': 'Unseen', 'limit': 2, 'with_map': 4, 'without': 1}.items() <= chosen.describe().items()
    for name, root, choice, sentence in (
        ('umd', umd, {'tasks': ('fly',)}, "'fly' is no affordance of UMD"),
        ('umd', umd, {'tasks': ('scoop',)}, 'no frame below .* is asked for scoop'),
        ('umd', umd, {'split': 'train'}, 'no splits'),
        ('agd20k', unseen, {'settings': {'side': 'left'}}, 'side: no setting of this data set'),
        ('agd20k', unseen, {'split': 'train'}, 'one set of questions'),
        ('reasonaff', umd, {'split': 'train'}, 'one set of questions'),
    ):
        with pytest.raises(AffordanceError, match=sentence):
            opened(name, root, **choice)
    assert BENCHMARKS['reasonaff'].options['affordance_r1'] == {'profile': 'eval'}
    assert BENCHMARKS['umd'].options['affordance_r1'] == {'profile': 'zeroshot'}


def test_what_is_kept_of_an_answer():
    masks = np.zeros((2, 3, 4), np.bool_)
    masks[0, 0, 0] = masks[1, 2, 3] = True
    record = mask_record(replace(PREDICTION, masks=Masks(masks, np.array([0.5, np.nan]))))
    assert decode_mask(record['mask']).sum() == record['things'] == 2
    assert record['scores'] == [0.5, None]
    nothing = mask_record(replace(PREDICTION, masks=Masks(masks[:0])))
    assert (nothing['things'], decode_mask(nothing['mask']).shape) == (0, (3, 4))
    values = np.zeros((3, 4))
    values[1, 1], values[1, 2] = 0.6, 0.5
    heat = mask_record(replace(PREDICTION, heatmap=Heatmap(values)))
    assert np.argwhere(decode_mask(heat['mask'])).tolist() == [[1, 1]]
    with pytest.raises(AffordanceError, match='some_model gives no masks: add --option sam2='):
        mask_record(replace(PREDICTION, keypoints=Keypoints(np.zeros((1, 2)))))


def test_scoring_loads_no_network():
    code = 'import sys, affordance_ros.cli.benchmark; sys.exit("torch" in sys.modules or "transformers" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
