# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that a node serves: loaded and warmed up in a worker process, swapped while the one before goes on."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.models.base import ModelInfo
from affordance_ros.models.registry import MODELS, ModelEntry
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.model_choice import ModelChoice, check_memory, worker_spec
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.results import Frame, Prediction, Query

# A grey image may well mean nothing to a model.
BEARABLE = (Code.UNPARSABLE_ANSWER, Code.EMPTY_MODEL_OUTPUT, Code.NO_ANSWER_TOKEN, Code.NO_CLIP)


class ModelHost:
    """Owns the worker process. `log` takes one line of progress."""

    def __init__(self, log: Callable[[str], Any]) -> None:
        self.worker: ModelWorker | None = None
        self.deaths = 0
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
            new, info = self._started(choice, settings)
            with self._idle:
                if self._closed != closed:
                    new.close()
                    raise AffordanceError(Code.NOT_ACTIVE, 'the node was shut down while the model was being loaded')
                before, self.worker, self._loaded = self.worker, new, info
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
            worker, self.worker = self.worker, None
        for each in (worker, self._coming):
            if each is not None:
                each.close()

    def _started(self, choice: ModelChoice, settings: AffordanceParameters) -> tuple[ModelWorker, ModelInfo]:
        spec = worker_spec(choice, settings)
        if settings.model_check_memory:
            check_memory(spec)
        closed = self._closed
        worker = self._coming = ModelWorker(spec)
        start = time.monotonic()
        try:
            info = worker.start(settings.model_load_timeout_s)
            if settings.model_warmup and self._closed == closed:
                _warm_up(worker, settings.model_load_timeout_s)
        except BaseException:
            worker.close()
            raise
        finally:
            self._coming = None
        size, seconds = f'{info.parameters / 1e6:.1f} M parameters', time.monotonic() - start
        self._log(f'{info.name} is loaded: {size}, {info.dtype} on {info.device}, {seconds:.1f} s')
        return worker, info

    @property
    def wants_clip(self) -> bool:
        """Whether the model that serves looks at the last seconds of a camera."""
        worker = self.worker
        return worker is not None and MODELS[worker.spec.name].clip

    def predict(
        self, frame: Frame | Sequence[Frame], query: Query, timeout_s: float, progress: Any, stop: Any
    ) -> Prediction:
        """Ask the model about a frame or a clip. Raises AffordanceError."""
        with self._idle:
            worker = self.worker
            if worker is None:
                raise AffordanceError(Code.NOT_ACTIVE, 'no model is loaded; call ~/load_model')
            self._users.append(worker)
        try:
            return worker.predict(frame, query, progress=progress, stop=stop, timeout_s=max(0.05, timeout_s))
        except AffordanceError as error:
            self.deaths += error.code == Code.WORKER_DIED
            raise
        finally:
            with self._idle:
                self._users.remove(worker)
                self._idle.notify_all()

    @property
    def state(self) -> str:
        """'none', 'loading', 'ready', 'answering' or 'ended' (the next request starts it again)."""
        worker = self.worker
        if worker is None:
            return 'loading' if self._coming is not None else 'none'
        if self._users:
            return 'answering'
        return 'ready' if worker.pid else 'ended'

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

    def answer_load(self, request: Any, response: Any, settings: AffordanceParameters, refuse: Any) -> Any:
        """Answer LoadModel, when the model is warm or refused."""
        try:
            self.load(ModelChoice(request.name, request.checkpoint, request.device, request.dtype), settings)
        except AffordanceError as error:
            refuse(error)
            response.outcome = convert.outcome_message(error)
        response.model = self.info()
        return response


def _warm_up(worker: ModelWorker, timeout_s: float) -> None:
    """Ask once about a grey image: the first answer of a GPU model is slower than all others."""
    frame = Frame(np.full((240, 320, 3), 128, np.uint8))
    try:
        worker.predict(frame, Query(text='point at the middle of the table'), timeout_s=timeout_s)
    except AffordanceError as error:
        if error.code not in BEARABLE:
            raise


def _outputs(entry: ModelEntry, spec: WorkerSpec) -> list[str]:
    return sorted(entry.outputs | ({'masks'} if spec.options.get('refine') else frozenset()))
