# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The example that makes a bag a test of a package: it passes, and it fails when a gate fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / 'examples' / 'replay_test'
BIN = Path(sys.executable).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BIN / 'cmake').exists() or not (BIN / 'affordance').exists(),
        reason='needs cmake and the installed command',
    ),
]


def test_ctest_follows_the_gates(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(EXAMPLE, source)
    build = tmp_path / 'build'
    environment = {**os.environ, 'PATH': f'{BIN}{os.pathsep}{os.environ["PATH"]}'}

    def run(*command):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    status, text = run('cmake', '-S', str(source), '-B', str(build))
    assert status == 0, text
    status, text = run('ctest', '--test-dir', str(build), '--output-on-failure')
    assert status == 0, text
    results = build / 'test_results' / 'mug_on_the_table'
    assert '<failure' not in (results / 'junit.xml').read_text()
    (source / 'gates.yaml').write_text('answered_ratio: {min: 1.1}\n')
    status, text = run('ctest', '--test-dir', str(build), '-R', 'mug_on_the_table', '-FS', '^scene$')
    assert status != 0
    assert 'answered_ratio' in (results / 'junit.xml').read_text()
    assert '<failure' in (results / 'junit.xml').read_text()
