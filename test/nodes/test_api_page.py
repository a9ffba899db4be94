# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/ros_api.md is what the code says, and says everything."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')
    done = subprocess.run(
        [sys.executable, 'tools/ros_api.py', '--check'], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_page_names_every_interface_code_and_entry() -> None:
    page = (ROOT / 'docs' / 'ros_api.md').read_text()
    nested = {'Abstention', 'Affordance', 'Box2D', 'Contact', 'GraspTarget', 'HandTrajectory', 'Keypoint2D', 'Mask2D'}
    nested |= {'ModelInfo', 'Obstacle', 'Outcome', 'PlaceTarget', 'StageTime', 'Trace2D'}
    for kind in ('msg', 'srv', 'action'):
        for path in (ROOT / kind).iterdir():
            assert path.stem in nested or f'affordance_ros/{path.stem}' in page, path.name
    for code in Code:
        assert f'`{code.name}`' in page
    for name in ('~/predict', '~/query', '~/verify', '/tf_static', 'depth/image', 'prompt', 'qos_overrides'):
        assert name in page
