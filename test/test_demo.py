# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: four processes over DDS, one answer against the truth, and nothing left behind, also after Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from affordance_ros.bags import read_frames, read_recorded_answer
from affordance_ros.cli.demo import find_setting
from affordance_ros.cli.processes import Processes
from affordance_ros.errors import AffordanceError, Code

pytest.importorskip('rclpy')
pytest.importorskip('affordance_ros.srv', reason='the interfaces are not built')
pytestmark = [pytest.mark.ros, pytest.mark.slow]
MAIN = 'from affordance_ros.cli import main; main()'


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, '-c', MAIN, 'demo', *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def left_behind(out: Path) -> list[str]:
    """Command lines of the processes that log into `out`."""
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            if f'ROS_LOG_DIR={out.resolve()}'.encode() in (entry / 'environ').read_bytes():
                found.append((entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode())
        except OSError:
            continue  # it has ended meanwhile, or is not ours
    return found


def test_the_whole_graph_answers_on_the_asked_part(tmp_path: Path) -> None:
    setting = find_setting('grasp the red mug by its handle', 1)
    inside = cv2.distanceTransform(setting.truth.mask.astype(np.uint8), cv2.DIST_L2, 5)
    v, u = np.unravel_index(int(inside.argmax()), inside.shape)
    out = tmp_path / 'out'
    process = start(f'grasp the red mug by its handle at {u},{v}', '--seed', 1, '--model', 'fake', '--out', out)
    text, _ = process.communicate(timeout=150)
    assert process.returncode in (0, 3), text
    for name in ('overlay.png', 'view_3d.png', 'report.html', 'answer.json'):
        assert (out / name).stat().st_size > 1000
    record = json.loads((out / 'answer.json').read_text())
    assert record['prediction']['keypoints_uv_px'] == [[u, v]]
    assert record['frame']['target_frame'] == 'table'
    assert (process.returncode == 0) == bool(record['targets']), text
    for target in record['targets']:
        assert setting.truth.distance_m(target['contact']['point_m']) < 0.015
    answer = read_recorded_answer(out / 'bag', slop_s=0.5)
    assert answer.frame.depth is not None
    assert len(list(read_frames(out / 'bag'))) >= 1
    assert left_behind(out) == []


def test_the_pocket_model_finds_the_asked_part_within_a_centimetre(tmp_path: Path) -> None:
    setting = find_setting('grasp the red mug by its handle', 3)
    out = tmp_path / 'out'
    process = start('grasp the red mug by its handle', '--seed', 3, '--out', out)
    text, _ = process.communicate(timeout=150)
    assert process.returncode == 0, text
    record = json.loads((out / 'answer.json').read_text())
    best = record['targets'][0]
    assert setting.truth.distance_m(best['contact']['point_m']) < 0.010
    assert best['width_m'] == pytest.approx(setting.truth.width_m, abs=0.006)


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    process = start('--seed', 1, '--model', 'fake', '--out', out)
    deadline = time.monotonic() + 60
    while len(left_behind(out)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left_behind(out)) >= 3
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 130, text
    assert left_behind(out) == []


def test_a_checkpoint_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    process = start('--seed', 1, '--checkpoint', tmp_path / 'nowhere', '--out', out)
    text, _ = process.communicate(timeout=60)  # waiting for the graph would take longer
    assert process.returncode == 2, text
    assert 'MISSING_WEIGHTS: /affordance_node is not active (unconfigured)' in text
    assert str(tmp_path / 'nowhere') in text.replace('\n', '')
    assert left_behind(out) == []


def test_a_sentence_about_nothing_there_starts_no_process(tmp_path: Path) -> None:
    process = start('grasp the elephant', '--out', tmp_path / 'out')
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert 'there is: ' in text
    assert not (tmp_path / 'out').exists()


def test_a_node_that_dies_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        node = processes.start('scene_node', ['--ros-args', '-p', 'scene.rate:=fast'])
        node.wait(60)
        with pytest.raises(AffordanceError, match=r'scene_node ended with status 1(?s:.*)scene.rate') as caught:
            processes.check()
    assert caught.value.code is Code.INTERNAL


def test_a_process_that_does_not_end_is_not_left_behind(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        node = processes.start('scene_node', [])
        os.kill(node.pid, signal.SIGSTOP)  # as one that spins inside DDS: it hears no signal and never ends
        start = time.monotonic()
        processes.finish('scene_node', 0.5)
        assert node.poll() == -signal.SIGKILL
        assert time.monotonic() - start < 2.0
    assert left_behind(tmp_path) == []
