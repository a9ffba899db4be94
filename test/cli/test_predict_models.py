# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance predict` with every registered model, loaded by nothing but its options."""

import json
import sys
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from affordance_ros.cli import app
from affordance_ros.models import list_models

pytest.importorskip('torch')
sys.path.insert(0, str(Path(__file__).parents[1]))  # for test_model_contract
from test_model_contract import LOADED, PARITY, QUESTION, TASKS  # noqa: E402

IMAGE = PARITY / 'robopoint' / 'inputs' / 'images' / 'counter_640x480.png'
WRITTEN = {
    'keypoints': 'keypoints_uv_px', 'boxes': 'boxes', 'heatmap': 'heatmap_peak_uv_px', 'hands': 'hands', 'text': 'text',
}  # fmt: skip


@pytest.mark.parametrize('entry', list_models(), ids=lambda entry: entry.name)
def test_a_model_answers_on_the_command_line(entry, tmp_path):
    options = dict(LOADED[entry.name])
    arguments = ['predict', str(IMAGE), QUESTION, '--model', entry.name, '--out', str(tmp_path)]
    if checkpoint := options.pop('checkpoint', None):
        arguments += ['--checkpoint', checkpoint]
    if tasks := TASKS.get(entry.name):
        arguments += ['--task', tasks[0]]
    for name, value in options.items():
        arguments += ['--option', f'{name}={value}']
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output + result.stderr
    answer = json.loads((tmp_path / 'answer.json').read_text())
    assert answer['outcome'] == 'OK'
    assert answer['prediction']['model'] == entry.name
    filled = {kind for kind, key in WRITTEN.items() if answer['prediction'].get(key)}
    assert filled & entry.outputs - {'text'}, answer['prediction'].keys()
    image, overlay = cv2.imread(str(IMAGE)), cv2.imread(str(tmp_path / 'overlay.png'))
    assert overlay.shape == image.shape
    assert (overlay != image).any()
