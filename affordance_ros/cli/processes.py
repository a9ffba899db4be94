# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node processes on a DDS domain of their own: started together, watched, and ended together whatever happens."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from affordance_ros.cli.domains import claim_domain
from affordance_ros.errors import AffordanceError, Code

PROFILE = Path(__file__).resolve().parent.parent / 'nodes' / 'fastdds_images.xml'
_GRACE_S = 6.0
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Processes:
    """Starts `python -m affordance_ros.nodes.<name>`; each writes `<name>.log` in `logs`. Use it in a `with`.

    own_domain: a DDS domain that nobody else uses; else that of this shell, to join nodes that run already.
    """

    def __init__(self, logs: Path, *, own_domain: bool = True) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)
        self._environment = {
            'FASTRTPS_DEFAULT_PROFILES_FILE': str(PROFILE),
            **os.environ,
            'ROS_LOG_DIR': str(logs.resolve()),
            'PYTHONUNBUFFERED': '1',
        }
        if own_domain:
            self._environment['ROS_DOMAIN_ID'] = str(claim_domain())
            self._environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
            self._environment.pop('ROS_LOCALHOST_ONLY', None)

    def __enter__(self) -> 'Processes':
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, arguments: list[str], *, piped: bool = False) -> subprocess.Popen[bytes]:
        """Start one node; `piped` gives its standard input and output to the caller."""
        command = [sys.executable, '-m', f'affordance_ros.nodes.{name}', *arguments]
        with self._log(name).open('wb') as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C comes to us alone, and we end them in order
                preexec_fn=_end_with_parent,
            )
        self._running[name] = process
        return process

    def started(self, name: str) -> bool:
        """Tell whether a node was started here and not finished."""
        return name in self._running

    def check(self) -> None:
        """Raise INTERNAL with the last log lines when a node has ended that should run."""
        for name, process in self._running.items():
            status = process.poll()
            if status not in (None, 0):
                text = f'{name} ended with status {status}; the last lines of {self._log(name)}:\n{self.tail(name)}'
                raise AffordanceError(Code.INTERNAL, text)

    def tail(self, name: str, lines: int = 12) -> str:
        """Return the last lines of a log."""
        text = self._log(name).read_text(encoding='utf-8', errors='replace')
        return '\n'.join(f'  {line}' for line in text.splitlines()[-lines:]) or '  (empty)'

    def finish(self, name: str, seconds: float = 1.0) -> None:
        """End a process that has done its work, before the others leave the graph.

        Fast DDS may spin without end in a process that leaves together with others (eProsima/Fast-DDS#6513).
        """
        process = self._running.pop(name)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """Ask every process group to end, then end it."""
        for process in self._running.values():
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + _GRACE_S
        for process in self._running.values():
            try:
                process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _signal(process, signal.SIGKILL)  # what the node started and left, such as a worker
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._logs / f'{name}.log'


def _end_with_parent() -> None:
    """Let the kernel ask this process to end when the one that started it is killed and cannot (Linux)."""
    prctl = getattr(_LIBC, 'prctl', None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
