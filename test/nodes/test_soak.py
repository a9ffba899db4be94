# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short run of the soak: under faults, cancels and killed models no request is lost and the graph serves on.

How fast it is depends on the machine, and is told by the long run, see docs/performance.md.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

pytestmark = [pytest.mark.ros, pytest.mark.slow]
SOAK = Path(__file__).parents[2] / 'benchmarks' / 'soak.py'


def test_under_faults_no_request_is_lost(tmp_path: Path) -> None:
    report = tmp_path / 'report.json'
    words = ['--minutes', '0.12', '--idle', '1', '--clean', '5', '--seed', '3', '--json', str(report)]
    done = subprocess.run([sys.executable, str(SOAK), *words], capture_output=True, text=True, timeout=180)
    assert report.is_file(), done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told['lost'] == 0, done.stderr
    assert told['serves after all'] is True
    assert told['answers asked'] >= 10
    refused = {name for name in told if name.startswith('answers ')} - {'answers asked', 'answers OK'}
    assert len(refused) >= 3  # faults have their codes
    assert told['overhead p50 ms'] > 0
    assert done.returncode == bool(told['goals missed'])
