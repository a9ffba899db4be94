# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own, as on a robot; every log is kept and shown when something goes wrong."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

END_S = 10.0
IN_TIME_S = 3.0


class NodeProcess:
    """One running node."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open('wb') as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )

    @property
    def text(self) -> str:
        """What the node has written so far."""
        return self.log.read_text(errors='replace')

    def children(self) -> list[int]:
        """Return the ids of the processes that the node started."""
        listed = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(self.process.pid)], capture_output=True, text=True)
        return [int(line) for line in listed.stdout.split()]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit status; a node that hangs writes its stacks to the log and is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER
            time.sleep(0.5)
            return self.kill()

    def kill(self) -> int:
        """End the node and what it left, the hard way."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class Gate:
    """A Python for model processes that does not start before the gate is open: loading takes until a test says so."""

    def __init__(self, folder: Path) -> None:
        self._open, self._script = folder / 'open', folder / 'gated_python'
        wait = f'while [ ! -e "{self._open}" ]; do sleep 0.05; done'
        self._script.write_text(f'#!/bin/sh\n{wait}\nexec "{sys.executable}" "$@"\n')
        self._script.chmod(0o755)

    @property
    def python(self) -> str:
        """Value of the parameter model.python."""
        return str(self._script)

    def open(self) -> None:
        """Let processes start."""
        self._open.touch()

    def shut(self) -> None:
        """Hold up those that are started from now on."""
        self._open.unlink()


class NodeProcesses:
    """Starts `python -m affordance_ros.nodes.<executable>` with parameters from a file, and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: list[NodeProcess] = []

    def start(
        self, executable: str, parameters: dict | None = None, *, namespace: str = '', remap: tuple = (), file=None
    ):
        """Start a node, with a parameter file of the user's below its parameters, and return it."""
        number = len(self.running)
        own = self._folder / f'{number}_{executable}.yaml'
        own.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters or {}}}) if parameters else '')
        command = [sys.executable, '-m', f'affordance_ros.nodes.{executable}', '--ros-args']
        command += ['--params-file', str(file)] if file else []
        command += ['--params-file', str(own)] if parameters else []
        command += ['-r', f'__ns:={namespace}'] if namespace else []
        for rule in remap:
            command += ['-r', rule]
        node = NodeProcess(executable, command, self._folder / f'{number}_{executable}.log')
        self.running.append(node)
        return node

    def stop(self) -> None:
        """End everything, and fail for a node that takes long, ends with an error or leaves its worker behind."""
        ending = [node for node in self.running if node.process.poll() is None]
        children = {pid: node for node in ending for pid in node.children()}
        for node in ending:
            node.process.send_signal(signal.SIGINT)
        deadline, wrong = time.monotonic() + IN_TIME_S, []
        for node in ending:
            try:
                status = node.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER: the log tells where it hangs
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.process.wait(1.0)
                node.kill()
                wrong.append(f'{node.name} did not end within {IN_TIME_S} s')
            else:
                wrong += [f'{node.name} ended with status {status}'] if status else []
        for pid, node in children.items():
            if Path(f'/proc/{pid}').exists():
                os.kill(pid, signal.SIGKILL)
                wrong.append(f'{node.name} left its worker behind')
        assert not wrong, '; '.join(wrong)

    def logs(self) -> str:
        """Return the ends of all logs."""
        return '\n'.join(f'--- {node.name}\n{node.text[-3000:]}' for node in self.running)
