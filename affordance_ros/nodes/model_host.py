# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that a node serves: loaded and warmed up in a worker process, swapped while the one before goes on."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.models.base import ModelInfo
from affordance_ros.models.registry import MODELS, ModelEntry
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.nodes.model_choice import ModelChoice, check_memory, worker_spec
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.results import Frame, Prediction, Query


@dataclass(frozen=True)
class HeldModel:
    """A model that a request is answered with, whatever is loaded meanwhile."""

    worker: ModelWorker

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.worker.spec.name

    @property
    def checkpoint(self) -> str:
        """Folder of its checkpoint, 'pocket' or empty."""
        return self.worker.spec.checkpoint or ''

    def predict(
        self, frame: Frame | Sequence[Frame], query: Query, timeout_s: float, progress: Any, stop: Any
    ) -> Prediction:
        """Ask about a frame or a clip. Raises AffordanceError."""
        return self.worker.predict(frame, query, progress=progress, stop=stop, timeout_s=max(0.05, timeout_s))


class ModelHost:
    """Owns the worker process. `log` is the logger of the node."""

    def __init__(self, log: Any) -> None:
        self.worker: ModelWorker | None = None
        self._deaths = 0  # of the models before
        self._loaded: ModelInfo | None = None
        self._log = log
        self._loading = threading.Lock()
        self._idle = threading.Condition()
        self._coming: ModelWorker | None = None
        self._closed = 0  # how often `close` was called: a load that began before must not go on
        self._users: list[ModelWorker] = []  # one entry per running request

    def load(self, choice: ModelChoice, settings: AffordanceParameters) -> None:
        """Load and warm up a model and let it serve; the one before ends when its running request has ended.

        Raises AffordanceError; the model before then goes on.
        """
        if not self._loading.acquire(blocking=False):
            raise AffordanceError(Code.BUSY, 'another model is being loaded; ask again later')
        closed = self._closed
        try:
            new, info = self._started(choice, settings, closed)
            with self._idle:
                if self._closed != closed:
                    new.close()
                    raise AffordanceError(Code.NOT_ACTIVE, 'the node was shut down while the model was being loaded')
                before, self.worker, self._loaded = self.worker, new, info
                self._deaths += before.deaths if before else 0
                if before is not None:
                    self._idle.wait_for(lambda: before not in self._users, settings.run_timeout_s)
            if before is not None:
                before.close()
        finally:
            self._loading.release()

    def close(self) -> None:
        """End the worker process, also one that is still loading: this gives the GPU back."""
        with self._idle:
            self._closed += 1
            self._deaths = self.deaths
            worker, self.worker = self.worker, None
        for each in (worker, self._coming):
            if each is not None:
                each.close()

    def _started(self, choice: ModelChoice, settings: AffordanceParameters, closed: int) -> tuple[ModelWorker, Any]:
        spec = worker_spec(choice, settings)
        if settings.model_check_memory:
            check_memory(spec)
        worker = self._coming = ModelWorker(spec, self._log.error)
        start = time.monotonic()
        try:
            if self._closed != closed:
                raise AffordanceError(Code.NOT_ACTIVE, 'the node was shut down before the model was loaded')
            info = worker.start(settings.model_load_timeout_s)
        except BaseException:
            worker.close()
            raise
        finally:
            self._coming = None
        size, seconds = f'{info.parameters / 1e6:.1f} M parameters', time.monotonic() - start
        self._log.info(f'{info.name} is loaded: {size}, {info.dtype} on {info.device}, {seconds:.1f} s')
        return worker, info

    @property
    def wants_clip(self) -> bool:
        """Whether the model that serves looks at the last seconds of a camera."""
        worker = self.worker
        return worker is not None and MODELS[worker.spec.name].clip

    @contextmanager
    def hold(self) -> Iterator[HeldModel]:
        """Give a request its model: one that is loaded meanwhile serves the next one. Raises NOT_ACTIVE."""
        with self._idle:
            worker = self.worker
            if worker is None:
                raise AffordanceError(Code.NOT_ACTIVE, 'no model is loaded; call ~/load_model')
            self._users.append(worker)
        try:
            yield HeldModel(worker)
        finally:
            with self._idle:
                self._users.remove(worker)
                self._idle.notify_all()

    def look_after(self) -> None:
        """Notice a worker that died while it had nothing to do; to be called every second or so."""
        if (worker := self.worker) is not None:
            worker.look_after()

    @property
    def deaths(self) -> int:
        """How many processes ended that should not have."""
        return self._deaths + (self.worker.deaths if self.worker else 0)

    @property
    def state(self) -> str:
        """'none', 'loading', 'ready', 'answering', 'restarting' or 'ended' (the next request starts it again)."""
        worker = self.worker
        if worker is None:
            return 'loading' if self._coming is not None else 'none'
        if worker.state == 'ready':
            return 'answering' if self._users else 'ready'
        return 'restarting' if worker.state == 'loading' else 'ended'

    def info(self) -> msg.ModelInfo:
        """Return what serves now; an empty name: nothing."""
        if self.worker is None:
            return msg.ModelInfo()
        spec = self.worker.spec
        known = {entry.name: entry for entry in list_models()}[spec.name]
        info = msg.ModelInfo(name=spec.name, description=known.summary, outputs=_outputs(known, spec))
        info.checkpoint, info.device, info.dtype = str(spec.checkpoint or ''), spec.device, spec.dtype
        info.memory_bytes = self._loaded.memory_bytes if self._loaded else 0
        info.loaded, info.obtain = True, known.get_checkpoint
        return info

    def answer_list(self, _: Any, response: Any) -> Any:
        """Answer ListModels: every model that can be loaded; the one that serves is marked."""
        serving = self.info()
        for entry in list_models():
            info = msg.ModelInfo(name=entry.name, description=entry.summary, outputs=sorted(entry.outputs))
            info.obtain = entry.get_checkpoint
            response.models.append(serving if entry.name == serving.name else info)
        return response


def _outputs(entry: ModelEntry, spec: WorkerSpec) -> list[str]:
    return sorted(entry.outputs | ({'masks'} if spec.options.get('refine') else frozenset()))
