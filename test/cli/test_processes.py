# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that a command started end with it, also when it is killed and cannot end them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('affordance_ros.srv', reason='the interfaces are not built')
pytestmark = pytest.mark.ros
WAIT_S = 30.0
STARTER = """
import sys, time
from pathlib import Path
from affordance_ros.cli.processes import Processes
with Processes(Path(sys.argv[1])) as processes:
    print(processes.start('scene_node', []).pid, flush=True)
    time.sleep(600)
"""


def runs(pid):
    """Tell whether a process is there and not only waits to be reaped."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_nodes_end_when_the_command_is_killed(tmp_path):
    starter = subprocess.Popen([sys.executable, '-c', STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    node = int(starter.stdout.readline())
    assert runs(node)
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + WAIT_S
    while runs(node):
        assert time.monotonic() < deadline, 'the node was left behind'
        time.sleep(0.05)
