# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The example that takes hold of pixels of a recorded frame: from files to pictures, on a rendered frame."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.errors import Code
from affordance_ros.scenes import SensorModel, sample_scene

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'real_frames.py'


@pytest.fixture(scope='module')
def example():  # noqa: ANN201
    spec = importlib.util.spec_from_file_location('real_frames', EXAMPLE)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, np.ndarray]]:
    """The files of a frame as a depth camera records it, and pixels of parts."""
    folder = tmp_path_factory.mktemp('frame')
    scene = sample_scene(3, 'vga', must_have=('red', 'mug'))
    view = scene.render()
    frame = SensorModel().apply(view.frame, np.random.default_rng(3))
    cv2.imwrite(str(folder / 'rgb.png'), frame.rgb[..., ::-1])
    depth = np.nan_to_num(np.asarray(frame.depth)) * 1000
    cv2.imwrite(str(folder / 'depth.png'), depth.astype(np.uint16))
    k = scene.intrinsics
    numbers = ','.join(str(value) for value in (k.fx, k.fy, k.cx, k.cy))
    handle = scene.find('the handle of the red mug')
    table = view.part_ids == 0
    free = cv2.distanceTransform(table.astype(np.uint8), cv2.DIST_L2, 5)
    pixels = {
        'handle': canonical_point(view.part_ids == handle.id),
        'table': np.array(np.unravel_index(int(free.argmax()), free.shape))[::-1],
    }
    return [str(folder / 'rgb.png'), str(folder / 'depth.png'), '--intrinsics', numbers], pixels


def test_picks_end_in_pictures_and_numbers(example, recorded, tmp_path: Path, capsys) -> None:  # noqa: ANN001
    files, pixels = recorded
    handle, table = (f'{name}={pixels[name][0]},{pixels[name][1]}' for name in ('handle', 'table'))
    picks = ['--pick', handle, '--pick', 'beside the image=900,5', '--put', table]
    answers = example.main([*files, *picks, '--gripper', 'panda', '--out', str(tmp_path)])
    held, missed, put = answers
    target = held.targets[0]
    assert target.gripper == 'panda'
    assert target.wrist_frame == 'panda_hand'
    assert np.linalg.norm(target.grasp[:3, 3] - target.contact.point) < 0.06
    assert missed.abstentions[0].code == Code.OUT_OF_IMAGE
    assert put.places[0].radius_m > 0.03
    assert not put.targets
    said = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in said] == ['handle', 'beside the image', 'table']
    assert 'mm wide, panda' in said[0]
    records = json.loads((tmp_path / 'answers.json').read_text())
    assert [record['outcome'] for record in records] == ['OK', 'OUT_OF_IMAGE', 'OK']
    assert records[2]['places'][0]['pose_in_camera']['position_m'][2] > 0.2
    overlay = cv2.imread(str(tmp_path / 'overlay.png'))
    plain = cv2.imread(files[0])
    assert overlay.shape == plain.shape
    assert (overlay != plain).any(axis=2).mean() > 0.01
    for index in range(3):
        assert cv2.imread(str(tmp_path / f'view_{index}.png')).std() > 5  # not an empty picture


def test_a_missing_camera_is_told(example, recorded, tmp_path: Path) -> None:  # noqa: ANN001
    files, _ = recorded
    with pytest.raises(SystemExit):
        example.main([*files[:2], '--out', str(tmp_path)])
