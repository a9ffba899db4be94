# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the console shows of an answer in a picture without depth: points, boxes, paths and words of the text models."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affordance_ros.cli import app

pytest.importorskip('torch')
pytest.importorskip('llguidance')
sys.path.insert(0, str(Path(__file__).parents[1]))  # for test_model_contract
sys.path.insert(0, str(Path(__file__).parents[1] / 'models'))  # for tiny_sam2
from test_model_contract import LOADED, PARITY  # noqa: E402
from tiny_sam2 import build_package  # noqa: E402

IMAGE = PARITY / 'robointer' / 'images' / 'droid_320x180.png'
OTHER = PARITY / 'robointer' / 'images' / 'droid_320x180.png'
DIALECT = {'dialect': 'embodied_r1', 'think': False, 'max_new_tokens': 300, 'seed': 2}


def predict(tmp_path, name, *more, **options):
    given = {**LOADED[name], **options}
    arguments = ['predict', str(IMAGE), *more, '--model', name, '--checkpoint', given.pop('checkpoint')]
    for key, value in given.items():
        if value is None:
            continue
        arguments += ['--option', f'{key}={json.dumps(value) if isinstance(value, bool) else value}']
    result = CliRunner().invoke(app, [*arguments, '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output + result.stderr
    return result.output, json.loads((tmp_path / 'answer.json').read_text())['prediction']


@pytest.mark.parametrize(
    ('asked', 'options', 'shown', 'kind'),
    [
        (('robointer_qwen', 'contact_box'), {}, 'boxes in the image, pixels: (', 'boxes'),
        (('robointer_qwen', 'trace'), {}, 'path in the image, pixels: (', 'traces_uv_px'),
        (('qwen_vl', 'boxes'), {}, 'boxes in the image, pixels: (', 'boxes'),
        (('qwen_vl', 'trace'), DIALECT, 'path in the image, pixels: (', 'traces_uv_px'),
        (('qwen_vl', 'contact'), DIALECT, 'points in the image, pixels: (', 'keypoints_uv_px'),
        (('affordance_r1', 'affordance'), {'seed': 1}, 'boxes in the image, pixels: (', 'boxes'),
    ],
)
def test_places_of_every_kind_are_shown(tmp_path, asked, options, shown, kind):
    name, task = asked
    output, prediction = predict(tmp_path, name, 'pick up the mug', '--task', task, **options)
    assert prediction[kind]
    line = next(line for line in output.splitlines() if line.startswith(shown.partition(':')[0]))
    assert shown in line


def test_a_choice_of_the_qwen_variant_is_shown_in_words(tmp_path):
    words = ('which way?', '--task', 'choice', '--choice', 'left', '--choice', 'right')
    output, prediction = predict(tmp_path, 'robointer_qwen', *words)
    assert prediction['text'] in ('left', 'right')
    assert prediction['text'] in output.splitlines()


def test_several_images_and_a_plan(tmp_path):
    output, prediction = predict(
        tmp_path, 'robointer_qwen', str(OTHER), 'what next?', '--task', 'plan', max_new_tokens=8, decode='free'
    )
    assert prediction['text']
    assert prediction['text'].split()[0] in output


def test_points_of_the_pocket_model_get_masks(tmp_path):
    sam2 = build_package(tmp_path / 'sam2')
    options = {'checkpoint': 'pocket', 'clip': None, 'refine': 'sam2', 'sam2': sam2, 'decode': 'constrained'}
    output, prediction = predict(tmp_path / 'out', 'robopoint', 'grasp the red mug by its handle', **options)
    assert 'refine' in output
    assert len(prediction['mask_areas_px']) == len(prediction['keypoints_uv_px']) > 0
    assert all(0 <= area <= 320 * 180 for area in prediction['mask_areas_px'])
