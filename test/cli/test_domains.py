# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs beside each other never share a domain, and a run that is killed gives its domain back."""

import os
import subprocess
import sys

import pytest

from affordance_ros.cli import domains

CLAIM = 'from affordance_ros.cli.domains import claim_domain; print(claim_domain(), flush=True); input()'


def test_every_process_gets_its_own_domain(tmp_path, monkeypatch):
    runs = [
        subprocess.Popen(
            [sys.executable, '-c', CLAIM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, 'TMPDIR': str(tmp_path)},
        )
        for _ in range(5)
    ]
    claimed = [int(run.stdout.readline()) for run in runs]
    for run in runs:
        run.kill()
        run.wait()
    assert len(set(claimed)) == 5
    # They were killed, and still all of their domains are free again: one process can have every single one.
    held: list[int] = []
    monkeypatch.setattr('tempfile.gettempdir', lambda: str(tmp_path))
    monkeypatch.setattr(domains, '_HELD', held)
    assert {domains.claim_domain() for _ in domains.DOMAINS} == set(domains.DOMAINS)
    with pytest.raises(RuntimeError, match='taken'):
        domains.claim_domain()
    for descriptor in held:
        os.close(descriptor)
