# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance up`: the graph of bringup.launch.py as one supervised command, where there is no `ros2 launch`."""

import contextlib
import ctypes
import difflib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer
import yaml

from affordance_ros.bringup import TRANSFORMS, NodePlan, config_folder, planned
from affordance_ros.cli.demo import require_ros
from affordance_ros.cli.failures import FAILED
from affordance_ros.errors import AffordanceError, Code

GRACE_S = 6.0
AGAIN_S, LONGEST_S = 1.0, 30.0  # a node that has died starts again after this; twice as long each time
STEADY_S = 20.0  # a node that has run for so long has not failed at its start
HOPELESS = 3  # as often in a row a node may fail at its start
_LIBC, _PR_SET_PDEATHSIG = ctypes.CDLL(None), 1


@dataclass
class _Watched:
    plan: NodePlan
    process: 'subprocess.Popen[bytes]'
    started: float
    failures: int = 0
    again_at: float = 0.0


class Supervisor:
    """Runs nodes until it is told to end, with their parameters in `folder`.

    respawn: start a node again that has died, unless it cannot start at all.
    """

    def __init__(self, plans: Sequence[NodePlan], folder: Path, *, respawn: bool) -> None:
        self._plans, self._folder, self._respawn = plans, folder, respawn
        self._ending = False

    def run(self) -> int:
        """Return the exit status: 0 after Ctrl-C or SIGTERM, 1 when a node has died for good."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        watched = [_Watched(plan, _start(plan, self._folder), time.monotonic()) for plan in self._plans]
        _say(f'{", ".join(plan.full_name for plan in self._plans)} start; Ctrl-C ends them')
        try:
            while not self._ending:
                for each in watched:
                    if not self._look_after(each):
                        return FAILED
                time.sleep(0.1)
            return 0
        finally:
            _stop([each.process for each in watched])

    def _end(self, _: int, __: FrameType | None) -> None:
        self._ending = True

    def _look_after(self, each: _Watched) -> bool:
        """Start a node again that has died; return False when that is no use."""
        status = each.process.poll()
        if status is None or self._ending:
            return True
        now = time.monotonic()
        if not each.again_at:
            each.failures = each.failures + 1 if now - each.started < STEADY_S else 1
            pause = min(LONGEST_S, AGAIN_S * 2 ** (each.failures - 1))
            if not self._respawn or each.failures >= HOPELESS:
                _say(f'{each.plan.name} ended with status {status}; everything ends')
                return False
            _say(f'{each.plan.name} ended with status {status}; it starts again in {pause:.0f} s')
            each.again_at = now + pause
        elif now >= each.again_at:
            each.process, each.started, each.again_at = _start(each.plan, self._folder), now, 0.0
        return True


def run_up(arguments: Mapping[str, str], *, scene: bool) -> None:
    """Start the suite, and with `scene` a simulated camera; returns by exiting.

    Raises:
        AffordanceError: BAD_INPUT for an argument, a camera or a file that there is not.
    """
    plans = planned(arguments, config_folder())
    if scene:
        first = plans[0]
        scene_node = NodePlan('scene_node', first.params_file, first.namespace, {}, TRANSFORMS, first.log_level)
        plans.insert(0, scene_node)
    _check_names(plans)
    require_ros()
    with tempfile.TemporaryDirectory(prefix='affordance_up_') as folder:
        status = Supervisor(plans, Path(folder), respawn=arguments.get('use_respawn') == 'true').run()
    raise typer.Exit(status)


def _check_names(plans: Sequence[NodePlan]) -> None:
    """Raise BAD_INPUT for a parameter file that is not one: ROS would say so only in the log of every node."""
    file = plans[0].params_file
    try:
        content: Any = yaml.safe_load(file.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{file} is no YAML: {error}') from error
    entries = content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(entry, dict) for entry in entries):
        text = f'{file} is no parameter file of ROS: it needs NODE, below it ros__parameters, below it the parameters'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; see config/affordance.yaml')
    names = [plan.name for plan in plans]
    for section in content:
        own = str(section).rsplit('/', 1)[-1]
        if own not in names and (near := difflib.get_close_matches(own, names, n=1)):
            _say(f'{file}: no node here is called {own}, its parameters do nothing; did you mean {near[0]}?')


def _start(plan: NodePlan, folder: Path) -> 'subprocess.Popen[bytes]':
    arguments = plan.ros_arguments(plan.winning_file(folder))
    command = [sys.executable, '-m', f'affordance_ros.nodes.{plan.name}', *arguments]
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    # A group of its own: Ctrl-C comes to us alone, and we end the nodes in order.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True, preexec_fn=_end_with_us
    )


def _end_with_us() -> None:
    """Let the kernel end a node when this process dies without a chance to do so (Linux)."""
    prctl = getattr(_LIBC, 'prctl', None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _stop(processes: Sequence['subprocess.Popen[bytes]']) -> None:
    """Ask every process to end, then end it and what it left."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.05, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _say(text: str) -> None:
    print(f'affordance up: {text}', file=sys.stderr, flush=True)
