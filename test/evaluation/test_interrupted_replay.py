# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replay that was killed or stopped by Ctrl-C goes on where it was, and its files are those of an undisturbed one."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from affordance_ros.cli.evaluate import BagRequest, run_bag
from affordance_ros.evaluation.synthetic_bags import BagRecipe, write_synthetic_bag
from affordance_ros.scenes import sample_scene

MAIN = 'from affordance_ros.cli import main; main()'
SENTENCES = ['grasp at 80,60', 'nothing here']
FRAMES, DELAY_S, WAIT_S = 6, 0.15, 60.0


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A bag, its prompts, and the run that nobody disturbed."""
    path = tmp_path_factory.mktemp('interrupted')
    write_synthetic_bag(path, sample_scene(3, 'pocket'), BagRecipe(frames=FRAMES, turn_deg=3.0, noise=True))
    (path / 'asked.json').write_text(json.dumps(SENTENCES))
    run_bag(request(path, 'whole'))
    return path


def request(folder, name, **more):
    options = {'delay_s': DELAY_S}
    return BagRequest(folder / 'bag', str(folder / 'asked.json'), folder / name, model='fake', options=options, **more)


def start(folder, name):
    command = [sys.executable, '-c', MAIN, 'eval', 'bag', folder / 'bag', '--prompts', folder / 'asked.json']
    command += ['--out', folder / name, '--model', 'fake', '--option', f'delay_s={DELAY_S}']
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_lines(path, count, process):
    deadline = time.monotonic() + WAIT_S
    while not path.is_file() or path.read_text().count('\n') < count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def content(folder):
    """Every file by name, without what depends on the time of day."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob('*')) if path.is_file()}
    timed = {'times.jsonl', 'metrics.json', 'report.html', 'answers.csv'}
    same = {name: path.read_bytes() for name, path in files.items() if name not in timed}
    assert timed <= set(files)
    with files['answers.csv'].open() as file:
        rows = [{name: value for name, value in row.items() if name != 'seconds'} for row in csv.DictReader(file)]
    metrics = json.loads(files['metrics.json'].read_text())
    asked = [[line['stamp_ns'], line['prompt']] for line in map(json.loads, files['times.jsonl'].open())]
    return same, rows, {name: value for name, value in metrics.items() if name != 'seconds'}, asked


def test_a_killed_replay_goes_on(folder):
    process = start(folder, 'killed')
    wait_for_lines(folder / 'killed' / 'answers.jsonl', 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = (folder / 'killed' / 'answers.jsonl').read_text().count('\n')
    assert 3 <= done < FRAMES * len(SENTENCES)
    assert not (folder / 'killed' / 'report.html').exists()
    run_bag(request(folder, 'killed', resume=True))
    assert content(folder / 'killed') == content(folder / 'whole')


def test_ctrl_c_ends_without_noise_and_keeps_what_was_answered(folder):
    process = start(folder, 'stopped')
    wait_for_lines(folder / 'stopped' / 'answers.jsonl', 2, process)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert 'stopped by Ctrl-C' in text
    assert 'Traceback' not in text
    run_bag(request(folder, 'stopped', resume=True))
    assert content(folder / 'stopped') == content(folder / 'whole')
