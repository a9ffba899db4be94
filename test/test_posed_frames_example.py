# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of posed frames becomes a bag that is read as those frames."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from affordance_ros.bags import read_frames

EXAMPLE = Path(__file__).resolve().parents[1] / 'examples' / 'bag_of_posed_frames.py'


def test_frames_come_back_with_their_poses(tmp_path, monkeypatch):
    folder = tmp_path / 'frames'
    folder.mkdir()
    np.savetxt(folder / 'camera-intrinsics.txt', [[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]])
    for number in (5, 10):
        stem = folder / f'frame-{number:06d}'
        cv2.imwrite(str(stem.with_suffix('.color.png')), np.full((48, 64, 3), (number, 0, 0), np.uint8))
        depth = np.full((48, 64), 700 + number, np.uint16)
        depth[0, :2] = (0, 65535)
        cv2.imwrite(str(stem.with_suffix('.depth.png')), depth)
        pose = np.eye(4)
        pose[0, 3] = number / 100
        np.savetxt(stem.with_suffix('.pose.txt'), pose)
    monkeypatch.setattr(sys, 'argv', [str(EXAMPLE), str(folder), str(tmp_path / 'bag'), '5'])
    runpy.run_path(str(EXAMPLE), run_name='__main__')
    first, second = read_frames(tmp_path / 'bag')
    assert second.stamp_ns - first.stamp_ns == 200_000_000
    assert (first.intrinsics.fx, first.intrinsics.fy) == (60, 61)
    assert first.rgb[0, 0].tolist() == [0, 0, 5]
    assert np.isnan(first.depth[0, :2]).all()
    assert second.depth[5, 5] == pytest.approx(0.710)
    assert second.target_frame == 'world'
    assert second.target_from_camera[0, 3] == pytest.approx(0.10)
