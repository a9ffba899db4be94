# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starting and ending the process of a model: its interpreter, its pipe and its memory files."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.frame_transport import memory_file

_ROOT = str(Path(__file__).resolve().parents[2])
# What another interpreter lacks is told through the pipe, with the standard library alone.
_BOOT = """
import json, sys
setup = json.loads(sys.argv[1])
sys.path = setup['path'] or [path for path in sys.path if path] + [setup['root']]
try:
    from affordance_ros.models.worker_process import main
except Exception as error:
    from multiprocessing.connection import Connection
    from affordance_ros.errors import AffordanceError, Code
    text = f'{sys.executable} cannot run the model: {type(error).__name__}: {error}'
    way = 'install the requirements of affordance_ros there, or name another Python (model.python)'
    Connection(setup['pipe']).send(('error', AffordanceError(Code.BAD_INPUT, f'{text}; {way}')))
    sys.exit(1)
main(setup)
"""
# They belong to the interpreter of the caller. With ROS, PYTHONPATH names packages for another version of Python.
_OF_ANOTHER_PYTHON = ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV', '__PYVENV_LAUNCHER__')


@dataclass(frozen=True)
class WorkerSpec:
    """What `load_model` needs. options: of the model, and `threads` (2). python_executable: another Python.

    warm_up: answer once before the model counts as ready, since the first answer on a GPU is slower than all others.
    """

    name: str
    checkpoint: str | None = None
    device: str = 'cpu'
    dtype: str = 'float32'
    options: Mapping[str, Any] = field(default_factory=dict)
    python_executable: str = ''
    warm_up: bool = False


@dataclass
class Child:
    """A running process. ready: the model is loaded and warm."""

    process: 'subprocess.Popen[bytes]'
    pipe: Connection
    frames: int
    flag: int
    ready: bool = False

    def set_stop(self, *, stop: bool) -> None:
        """Ask the child to end its request, or allow the next one."""
        with suppress(OSError):  # another thread has ended the child and closed the file
            os.pwrite(self.flag, b'\x01' if stop else b'\x00', 0)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def end(self) -> int:
        """End the process within two seconds and return its exit status."""
        self.process.terminate()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(1.0)
        self.pipe.close()
        os.close(self.frames)
        os.close(self.flag)
        return int(self.process.returncode)


def launch(spec: WorkerSpec) -> Child:
    """Start the process; it sends 'ready' or an error when it has loaded the model. Raises BAD_INPUT."""
    options = dict(spec.options)
    threads = int(options.pop('threads', 2))
    ours, theirs = Pipe(duplex=True)
    frames, flag = memory_file(1), memory_file(1)
    setup = {
        'root': _ROOT, 'path': None if spec.python_executable else [path for path in sys.path if path] + [_ROOT],
        'pipe': theirs.fileno(), 'frames': frames, 'flag': flag, 'parent': os.getpid(), 'threads': threads,
        'warm_up': spec.warm_up, 'load': options
        | {'name': spec.name, 'checkpoint': spec.checkpoint, 'device': spec.device, 'dtype': spec.dtype},
    }  # fmt: skip
    command = [spec.python_executable or sys.executable, '-c', _BOOT, json.dumps(setup)]
    left_out = _OF_ANOTHER_PYTHON if spec.python_executable else ()
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    try:
        process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(), frames, flag), stdin=subprocess.DEVNULL,
            env=environment | {'OMP_NUM_THREADS': str(threads)},
        )  # fmt: skip
    except OSError as error:
        os.close(frames)
        os.close(flag)
        ours.close()
        text = f'the model worker cannot be started with {command[0]!r}: {error}'
        raise AffordanceError(Code.BAD_INPUT, text) from error
    finally:
        theirs.close()
    return Child(process, ours, frames, flag)


def ending(status: int) -> str:
    """Return how a process ended, in words."""
    if status >= 0:
        return f'status {status}'
    return f'signal {-status}{" (out of memory?)" if status == -9 else ""}'
