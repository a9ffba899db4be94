# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GLOVER from the command line: files that show the map, numbers as options, the code of an answer without a map."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from affordance_ros.cli import app

pytest.importorskip('open3d')
PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'glover'
QUESTION = 'Where should I interact with the {} it? Please output segmentation mask.'


def ask(variant, image, what, out, *options):
    arguments = [
        'predict', PARITY / 'inputs' / image, QUESTION.format(what), '--model', variant, '--out', out,
        '--checkpoint', PARITY / variant / 'checkpoint', '--option', f'clip={PARITY / "clip-vit-tiny-patch14"}',
    ]  # fmt: skip
    return CliRunner().invoke(app, [str(each) for each in (*arguments, *options)])


@pytest.mark.parametrize('variant', ['glover', 'glover_plus'])
def test_a_map_is_drawn_and_written(variant, tmp_path):
    expected = json.loads((PARITY / variant / 'expected' / 'expected.json').read_text())['cases']['c0']['peak']
    result = ask(variant, 'img0.png', 'mug to pick up', tmp_path, '--option', 'max_points=1')
    assert result.exit_code == 0, result.output + result.stderr
    answer = json.loads((tmp_path / 'answer.json').read_text())['prediction']
    peak = [expected['x'], expected['y']]
    assert answer['heatmap_peak_uv_px'] == peak
    assert answer['keypoints_uv_px'] == [peak]
    assert len(answer['boxes']) == 1
    drawn, image = (
        cv2.imread(str(path)).astype(int) for path in (tmp_path / 'overlay.png', PARITY / 'inputs/img0.png')
    )
    x0, y0, x1, y1 = (int(value) for value in answer['boxes'][0]['xyxy_px'])
    changed = np.abs(drawn - image).mean(-1)
    assert changed[y0:y1, x0:x1].mean() > 20
    assert changed[100:140].mean() < changed[y0:y1, x0:x1].mean() / 2  # far from the peak the image shows through


def test_an_answer_without_a_map_is_exit_code_3_and_says_what_the_model_said(tmp_path):
    result = ask('glover', 'img0.png', 'ladder to climb', tmp_path)
    assert result.exit_code == 3
    assert 'NO_ANSWER_TOKEN' in result.stderr
    assert 'Sorry, I cannot find it in the image.' in result.stderr
    answer = json.loads((tmp_path / 'answer.json').read_text())
    assert answer['outcome'] == 'NO_ANSWER_TOKEN'
    assert answer['prediction']['heatmap_peak_uv_px'] is None


def test_a_wrong_number_is_a_sentence(tmp_path):
    result = ask('glover', 'img0.png', 'mug to pick up', tmp_path, '--option', 'max_points=0')
    assert result.exit_code == 2
    assert 'max_points must be at least 1' in result.stderr
