# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance scene` and `affordance predict` with depth: grasps of any gripper, cups and free places, to the files."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affordance_ros.cli import app

RUN = CliRunner()


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments that name the files of a simulated table with a mug and a pan."""
    folder = tmp_path_factory.mktemp('scene')
    done = RUN.invoke(app, ['scene', '--out', str(folder), '--seed', '3', '--must-have', 'red mug'])
    assert done.exit_code == 0, done.output
    k = json.loads((folder / 'truth.json').read_text())['intrinsics_px']
    numbers = ','.join(str(k[name]) for name in ('fx', 'fy', 'cx', 'cy'))
    return [str(folder / 'rgb.png'), '--depth', str(folder / 'depth.png'), '--intrinsics', numbers]


def predicted(scene: list[str], sentence: str, out: Path, *more: str) -> tuple[str, dict]:
    """Return what was printed and answer.json."""
    done = RUN.invoke(app, ['predict', scene[0], sentence, *scene[1:], '--out', str(out), *more])
    assert done.exit_code == 0, done.output
    assert (out / 'overlay.png').stat().st_size > 10_000
    return done.output, json.loads((out / 'answer.json').read_text())


def test_a_question_for_a_place_ends_in_a_free_place(scene: list[str], tmp_path: Path) -> None:
    said, answer = predicted(scene, 'put the mug beside the pan', tmp_path)
    assert 'free places' in said
    assert (answer['outcome'], answer['targets']) == ('OK', [])
    place = answer['places'][0]
    assert 0 < place['score'] <= 1
    assert place['pose_in_camera']['position_m'][2] > 0.2
    assert 'Free places' in (tmp_path / 'report.html').read_text()


def test_a_cup_lies_on_the_flat_of_the_pan(scene: list[str], tmp_path: Path) -> None:
    said, answer = predicted(scene, 'fill the black pan', tmp_path, '--gripper', 'suction')
    target = answer['targets'][0]
    assert (target['gripper'], target['wrist_frame']) == ('suction', 'suction_base')
    assert 'suction' in said
    apart = np.subtract(target['wrist_in_camera']['position_m'], target['grasp_in_camera']['position_m'])
    assert np.linalg.norm(apart) == pytest.approx(0.12, abs=1e-6)


def test_the_wrist_of_the_chosen_gripper_is_printed(scene: list[str], tmp_path: Path) -> None:
    said, answer = predicted(scene, 'grasp the red mug by its handle', tmp_path, '--gripper', 'panda')
    assert 'panda_hand' in said
    target = answer['targets'][0]
    assert target['width_m'] < target['opening_m'] <= 0.08
    apart = np.subtract(target['wrist_in_camera']['position_m'], target['grasp_in_camera']['position_m'])
    assert np.linalg.norm(apart) == pytest.approx(0.1034, abs=1e-6)
