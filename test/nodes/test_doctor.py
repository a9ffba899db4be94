# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance doctor --ros` sees what is right and what is wrong on a running graph, and says what to do."""

import re
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

from synthetic_camera import Shot  # noqa: E402

pytestmark = pytest.mark.ros


def doctor() -> tuple[int, str]:
    command = [sys.executable, '-c', 'from affordance_ros.cli import main; main()', 'doctor', '--ros']
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_an_empty_graph_is_told(ros_domain: int) -> None:
    assert ros_domain
    status, text = doctor()
    assert status == 1
    assert 'affordance up' in text


def test_a_good_graph_and_a_bad_camera(suite) -> None:
    suite.start_fake({'input.warn_after_s': 1.0})
    status, text = doctor()
    assert status == 0, text
    assert re.search(r'/image +.*640x480 rgb8', text)
    assert re.search(r'colour with depth +stamps 0.0 ms apart', text)
    assert re.search(r'/affordance_node model +fake', text)
    suite.camera.shot = Shot(depth_frame='depth_optical_frame', depth_delay_ns=40_000_000, info=False)
    status, text = doctor()
    assert status == 1
    assert 'input.slop_s' in text
    assert 'depth_optical_frame' in text
    assert re.search(r'/camera_info +nothing for 3 s', text)
