# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model in its own process: the caller stays responsive and a crash costs one answer, not the node."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import ModelInfo, ProgressCallback, StopFlag, check_stop
from affordance_ros.models.frame_transport import memory_file, write_frames
from affordance_ros.results import Frame, Prediction, Query

_LOG = logging.getLogger(__name__)
_POLL_S = 0.02
_CLOSE_S = 2.5
_GRACE_S = 5.0  # how long a stopped model may take to notice before its process is killed
_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = (
    'import json, sys; setup = json.loads(sys.argv[1]); '
    'sys.path = setup["path"] or [p for p in sys.path if p] + [setup["root"]]; '
    'from affordance_ros.models.worker_process import main; main(setup)'
)


@dataclass(frozen=True)
class WorkerSpec:
    """What `load_model` needs. options: of the model, and `threads` (2). python_executable: another Python."""

    name: str
    checkpoint: str | None = None
    device: str = 'cpu'
    dtype: str = 'float32'
    options: Mapping[str, Any] = field(default_factory=dict)
    python_executable: str = ''


@dataclass
class _Child:
    process: 'subprocess.Popen[bytes]'
    pipe: Connection
    frames: int
    flag: int

    def set_stop(self, *, stop: bool) -> None:
        with suppress(OSError):  # another thread has ended the child and closed the file
            os.pwrite(self.flag, b'\x01' if stop else b'\x00', 0)

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


class ModelWorker:
    """Runs one model in a child process; callable from any thread, one request at a time.

    The child ends with `close()`, with the `with` block, and when this process dies in whatever way.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._info: ModelInfo | None = None
        self._closed = False
        self._was_idle = False  # the child was there before the request and has not taken it up yet

    def __enter__(self) -> 'ModelWorker':
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None when there is none."""
        return None if self._child is None else self._child.process.pid

    def start(self, timeout_s: float | None = None) -> ModelInfo:
        """Start the child if need be, wait until the model is loaded and return what it is."""
        with self._one_at_a_time(None, timeout_s):
            self._closed = False
            return self._ensure_started(_deadline(timeout_s))

    def describe(self) -> ModelInfo:
        """Return what is loaded."""
        return self._info or self.start()

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
        timeout_s: float | None = None,
    ) -> Prediction:
        """Answer one query in the child; errors arrive with their codes.

        Raises:
            AffordanceError: TIMEOUT (the model is stopped), CANCELED, WORKER_DIED (the next call starts a new child),
                NOT_ACTIVE after `close()`, BUSY when another request kept the model for all of `timeout_s`, and
                whatever the model raises.
        """
        deadline = _deadline(timeout_s)
        with self._one_at_a_time(stop, timeout_s):
            if self._closed:
                raise AffordanceError(Code.NOT_ACTIVE, 'the model worker is closed; start it first')
            try:
                return self._ask(frame, query, deadline, (progress, stop))
            except AffordanceError as error:
                if error.code != Code.WORKER_DIED or not self._was_idle:
                    raise
            # The child was killed while it had nothing to do, which shows only now: a new one gets the request.
            return self._ask(frame, query, deadline, (progress, stop))

    def _ask(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        deadline: float,
        watch: tuple[ProgressCallback | None, StopFlag | None],
    ) -> Prediction:
        """Send one request to the child, started if need be, and wait for its answer."""
        was_there = self.pid
        self._was_idle = False
        self._ensure_started(deadline)
        child = self._require_child()
        self._was_idle = child.process.pid == was_there
        clip = isinstance(frame, Sequence)
        frames: Sequence[Frame] = frame if isinstance(frame, Sequence) else [frame]
        child.set_stop(stop=False)
        with self._dying():
            child.pipe.send(('predict', write_frames(child.frames, frames), clip, query))
        result = self._await(deadline, *watch)
        if not isinstance(result, Prediction):
            raise AffordanceError(Code.INTERNAL, f'the worker answered with {type(result).__name__}')
        return result

    def close(self) -> None:
        """End the child, also while it loads or answers; takes at most three seconds."""
        self._closed = True  # a thread that waits for the child sees it within one poll and ends the child
        if self._lock.acquire(timeout=_CLOSE_S):
            try:
                self._end_child()
            finally:
                self._lock.release()
        elif (child := self._child) is not None:  # that thread is held up, by a callback for example
            child.process.kill()

    @contextmanager
    def _one_at_a_time(self, stop: StopFlag | None, timeout_s: float | None) -> Iterator[None]:
        deadline = _deadline(timeout_s)
        while not self._lock.acquire(timeout=_POLL_S):
            check_stop(stop)
            if time.monotonic() > deadline:
                raise AffordanceError(Code.BUSY, f'the model was busy with another request for {timeout_s} s')
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _dying(self) -> Iterator[None]:
        """Turn a broken pipe into WORKER_DIED and forget the child."""
        try:
            yield
        except (EOFError, ConnectionError, BrokenPipeError) as error:
            status = self._end_child()
            reason = (
                f'signal {-status}{" (out of memory?)" if status == -9 else ""}' if status < 0 else f'status {status}'
            )
            raise AffordanceError(
                Code.WORKER_DIED,
                f'the process of model {self.spec.name!r} ended with {reason}; the next request starts it again',
            ) from error

    def _require_child(self) -> _Child:
        if self._child is None:
            raise AffordanceError(Code.WORKER_DIED, f'the process of model {self.spec.name!r} is gone')
        return self._child

    def _end_child(self) -> int:
        child, self._child = self._child, None
        return 0 if child is None else child.end()

    def _ensure_started(self, deadline: float) -> ModelInfo:
        if self._child is not None and self._child.process.poll() is None and self._info is not None:
            return self._info
        self._end_child()
        self._child = _launch(self.spec)
        try:
            info = self._await(deadline, None, None)
        except AffordanceError:
            self._end_child()
            raise
        if not isinstance(info, ModelInfo):
            raise AffordanceError(Code.INTERNAL, f'the worker started with {type(info).__name__}')
        self._info = info
        return info

    def _await(self, deadline: float, progress: ProgressCallback | None, stop: StopFlag | None) -> Any:
        """Return what the child sends at last, passing progress on; stop it on request or at the deadline."""
        child = self._require_child()
        try:
            while True:
                with self._dying():
                    message = child.pipe.recv() if child.pipe.poll(_POLL_S) else None
                if self._closed:
                    raise AffordanceError(Code.NOT_ACTIVE, f'model {self.spec.name!r} was closed')
                if message is None:
                    check_stop(stop)
                    if time.monotonic() > deadline:
                        raise AffordanceError(Code.TIMEOUT, f'model {self.spec.name!r} did not answer in time')
                elif message[0] == 'taken':
                    self._was_idle = False
                elif message[0] == 'progress':
                    if progress is not None:
                        progress(message[1])
                    check_stop(stop)
                elif message[0] == 'error':
                    raise message[1]
                else:
                    return message[1]
        except BaseException as error:
            if self._closed:
                self._end_child()
            elif self._child is not None and not _from_child(error, locals().get('message')):
                self._silence(child)
            raise

    def _silence(self, child: _Child) -> None:
        """Stop the running request; a child that does not notice is ended, the next call starts a new one."""
        child.set_stop(stop=True)
        end = time.monotonic() + _GRACE_S
        try:
            while time.monotonic() < end:
                if child.pipe.poll(_POLL_S) and child.pipe.recv()[0] not in ('taken', 'progress'):
                    return
        except (EOFError, ConnectionError):
            _LOG.info('the child of %s ended while it was stopped', self.spec.name)
        self._end_child()


def _from_child(error: BaseException, message: Any) -> bool:
    """Whether the request is over because the child said so."""
    return message is not None and message[0] == 'error' and message[1] is error


def _deadline(timeout_s: float | None) -> float:
    return float('inf') if timeout_s is None else time.monotonic() + timeout_s


def _launch(spec: WorkerSpec) -> _Child:
    options = dict(spec.options)
    threads = int(options.pop('threads', 2))
    ours, theirs = Pipe(duplex=True)
    frames, flag = memory_file(1), memory_file(1)
    setup = {
        'root': _ROOT, 'path': None if spec.python_executable else [path for path in sys.path if path] + [_ROOT],
        'pipe': theirs.fileno(), 'frames': frames, 'flag': flag, 'parent': os.getpid(), 'threads': threads,
        'load': options
        | {'name': spec.name, 'checkpoint': spec.checkpoint, 'device': spec.device, 'dtype': spec.dtype},
    }  # fmt: skip
    command = [spec.python_executable or sys.executable, '-c', _BOOT, json.dumps(setup)]
    try:
        process = subprocess.Popen(
            command, pass_fds=(theirs.fileno(), frames, flag), stdin=subprocess.DEVNULL,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
        )  # fmt: skip
    except OSError as error:
        os.close(frames)
        os.close(flag)
        ours.close()
        raise AffordanceError(
            Code.BAD_INPUT, f'the model worker cannot be started with {command[0]!r}: {error}'
        ) from error
    finally:
        theirs.close()
    return _Child(process, ours, frames, flag)
