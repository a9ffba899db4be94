# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model in its own process: the caller stays responsive and a crash costs one answer, not the node."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import ModelInfo, ProgressCallback, StopFlag, check_stop
from affordance_ros.models.frame_transport import write_frames
from affordance_ros.models.worker_child import Child, WorkerSpec, ending, launch
from affordance_ros.models.worker_dialogue import POLL_S, Watch, deadline_in, fell_silent, reply_of
from affordance_ros.results import Frame, Prediction, Query

__all__ = ['ModelWorker', 'WorkerSpec']

_LOG = logging.getLogger(__name__)
_CLOSE_S = 2.5


class ModelWorker:
    """Runs one model in a child process; callable from any thread, one request at a time.

    A child that dies, runs out of memory or does not stop is replaced at once; requests wait while the new one loads.
    The child ends with `close()`, with the `with` block, and when this process dies in whatever way.

    deaths: how many children ended that should not have. gpu_bytes: what the model held after its last answer.
    """

    def __init__(self, spec: WorkerSpec, tell: Callable[[str], Any] = _LOG.warning) -> None:
        self.spec = spec
        self.deaths = self.gpu_bytes = 0
        self._tell = tell
        self._lock = threading.Lock()
        self._child: Child | None = None
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
        child = self._child
        return None if child is None else child.process.pid

    @property
    def state(self) -> str:
        """'ready', 'loading' or 'ended' (the next request starts it)."""
        child = self._child
        if child is None or not child.alive:
            return 'ended'
        return 'ready' if child.ready else 'loading'

    def start(self, timeout_s: float | None = None) -> ModelInfo:
        """Start the child if need be, wait until the model is loaded and return what it is."""
        with self._one_at_a_time(None, timeout_s):
            self._closed = False
            try:
                return self._ensure_started(deadline_in(timeout_s), None)
            except AffordanceError:
                self._end_child()
                raise

    def describe(self) -> ModelInfo:
        """Return what is loaded."""
        return self._info or self.start()

    def look_after(self) -> None:
        """Replace a child that has died while it had nothing to do; to be called now and then."""
        if not self._lock.acquire(blocking=False):
            return  # a request runs: whoever waits for it sees what happens
        try:
            child = self._child
            if child is None or self._closed:
                return
            if child.ready and not child.alive:
                self._bury(child)
            elif not child.ready and child.pipe.poll():
                self._ensure_started(deadline_in(0.0), None)
        except AffordanceError as error:
            self._tell(f'model {self.spec.name!r}: {error.code.name}: {error.message}')
        finally:
            self._lock.release()

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
            AffordanceError: TIMEOUT (the model is stopped), CANCELED, WORKER_DIED and OOM (a new child is started),
                NOT_ACTIVE after `close()`, BUSY when another request kept the model for all of `timeout_s`, and
                whatever the model raises.
        """
        deadline = deadline_in(timeout_s)
        with self._one_at_a_time(stop, timeout_s):
            if self._closed:
                raise AffordanceError(Code.NOT_ACTIVE, 'the model worker is closed; start it first')
            try:
                return self._ask(frame, query, deadline, (progress, stop))
            except AffordanceError as error:
                if error.code != Code.WORKER_DIED or not self._was_idle:
                    raise
            # The child was killed while it had nothing to do, which shows only now: the new one gets the request.
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
        self._ensure_started(deadline, watch[1])
        child = self._require_child()
        self._was_idle = child.process.pid == was_there
        clip = isinstance(frame, Sequence)
        frames: Sequence[Frame] = frame if isinstance(frame, Sequence) else [frame]
        child.set_stop(stop=False)
        with self._dying():
            child.pipe.send(('predict', write_frames(child.frames, frames), clip, query))
        result = self._reply(self._watch(deadline, *watch))
        if not isinstance(result, Prediction):
            raise AffordanceError(Code.INTERNAL, f'the worker answered with {type(result).__name__}')
        return result

    def _watch(self, deadline: float, progress: ProgressCallback | None = None, stop: StopFlag | None = None) -> Watch:
        return Watch(self.spec.name, deadline, lambda: self._closed, progress, stop)

    def _reply(self, watch: Watch) -> Any:
        """Return what the child answers or loaded; a request that nobody waits for any more is stopped."""
        child = self._require_child()
        try:
            with self._dying():
                kind, content, *held = reply_of(child, watch)
        except BaseException:
            self._was_idle &= not watch.taken
            if self._closed:
                self._end_child()
            elif self._child is child and child.ready:
                self._silence(child)
            raise
        if kind == 'error':
            if content.code == Code.OOM and child.ready:
                self._renew('ran out of memory')
            raise content
        self.gpu_bytes = held[0]
        return content

    def _silence(self, child: Child) -> None:
        """Stop the running request; a child that does not notice is replaced."""
        try:
            if not fell_silent(child, lambda: self._closed):
                self._renew('did not stop')
        except (EOFError, ConnectionError):
            self._bury(child)

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
        deadline = deadline_in(timeout_s)
        while not self._lock.acquire(timeout=POLL_S):
            check_stop(stop)
            if time.monotonic() > deadline:
                raise AffordanceError(Code.BUSY, f'the model was busy with another request for {timeout_s} s')
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _dying(self) -> Iterator[None]:
        """Turn a broken pipe into WORKER_DIED and replace the child."""
        try:
            yield
        except (EOFError, ConnectionError, BrokenPipeError) as error:
            why = self._bury(self._require_child())
            text = f'the process of model {self.spec.name!r} {why}; the next request goes to a new one'
            raise AffordanceError(Code.WORKER_DIED, text) from error

    def _require_child(self) -> Child:
        if self._child is None:
            raise AffordanceError(Code.WORKER_DIED, f'the process of model {self.spec.name!r} is gone')
        return self._child

    def _end_child(self) -> int:
        child, self._child = self._child, None
        return 0 if child is None else child.end()

    def _bury(self, child: Child) -> str:
        """Count a death and start the next child, unless this one died while it loaded: the next would as well."""
        why = f'ended with {ending(self._end_child())}'
        self.deaths += not self._closed
        if child.ready:
            self._renew(why)
        return why if child.ready else f'{why} while the model was being loaded'

    def _renew(self, why: str) -> None:
        """End the child and start a new one without waiting for it."""
        self._end_child()
        if not self._closed:
            self._tell(f'the process of model {self.spec.name!r} {why}; it is being started again')
            self._child = launch(self.spec)

    def _ensure_started(self, deadline: float, stop: StopFlag | None) -> ModelInfo:
        """Wait until a child is ready; one that is still loading goes on when the caller gives up."""
        child = self._child
        if child is not None and child.ready and child.alive and self._info is not None:
            return self._info
        if child is None or child.ready:
            self._end_child()
            child = self._child = launch(self.spec)
        try:
            info = self._reply(self._watch(deadline, stop=stop))
        except AffordanceError as error:
            if error.code not in (Code.TIMEOUT, Code.CANCELED):
                self._end_child()
            raise
        if not isinstance(info, ModelInfo):
            raise AffordanceError(Code.INTERNAL, f'the worker started with {type(info).__name__}')
        self._info, child.ready = info, True
        return info
