# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model that a node serves: loaded and warmed up in a worker process, swapped while the one before goes on."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.results import Frame, Prediction, Query

BEARABLE = (Code.UNPARSABLE_ANSWER, Code.EMPTY_MODEL_OUTPUT)  # a grey image may well mean nothing to a model


@dataclass(frozen=True)
class ModelChoice:
    """What to load; empty strings stand for the parameters of the node."""

    name: str = ''
    checkpoint: str = ''
    device: str = ''
    dtype: str = ''


class ModelHost:
    """Owns the worker process. `log` takes one line of progress."""

    def __init__(self, log: Callable[[str], Any]) -> None:
        self.worker: ModelWorker | None = None
        self._log = log
        self._loading = threading.Lock()
        self._idle = threading.Condition()
        self._coming: ModelWorker | None = None
        self._users: list[ModelWorker] = []  # one entry per running request
        self._seconds: deque[float] = deque(maxlen=100)

    def load(self, choice: ModelChoice, settings: AffordanceParameters) -> None:
        """Load and warm up a model and let it serve; the one before ends when its running request has ended.

        Raises AffordanceError; the model before then goes on.
        """
        if not self._loading.acquire(blocking=False):
            raise AffordanceError(Code.BUSY, 'another model is being loaded; ask again later')
        try:
            new = self._started(choice, settings)
            with self._idle:
                before, self.worker = self.worker, new
                if before is not None:
                    self._idle.wait_for(lambda: before not in self._users, settings.run_timeout_s)
            if before is not None:
                before.close()
        finally:
            self._loading.release()

    def close(self) -> None:
        """End the worker process: this gives the GPU back."""
        worker, self.worker = self.worker, None
        for each in (worker, self._coming):  # one that is still loading ends as well
            if each is not None:
                each.close()

    def _started(self, choice: ModelChoice, settings: AffordanceParameters) -> ModelWorker:
        worker = self._coming = ModelWorker(_spec(choice, settings))
        try:
            info = worker.start(timeout_s=settings.model_load_timeout_s)
            if settings.model_warmup:
                _warm_up(worker, settings.model_load_timeout_s)
        except BaseException:
            worker.close()
            raise
        finally:
            self._coming = None
        self._log(f'{info.name} is loaded: {info.parameters / 1e6:.1f} M parameters, {info.dtype} on {info.device}')
        return worker

    def predict(self, frame: Frame, query: Query, timeout_s: float, progress: Any, stop: Any) -> Prediction:
        """Ask the model. Raises AffordanceError."""
        with self._idle:
            worker = self.worker
            if worker is None:
                raise AffordanceError(Code.NOT_ACTIVE, 'no model is loaded; call ~/load_model')
            self._users.append(worker)
        start = time.monotonic()
        try:
            prediction = worker.predict(frame, query, progress=progress, stop=stop, timeout_s=max(0.05, timeout_s))
        finally:
            with self._idle:
                self._users.remove(worker)
                self._idle.notify_all()
        self._seconds.append(time.monotonic() - start)
        return prediction

    def info(self) -> msg.ModelInfo:
        """Return what serves now; an empty name: nothing."""
        if self.worker is None:
            return msg.ModelInfo()
        spec = self.worker.spec
        known = {entry.name: entry for entry in list_models()}[spec.name]
        outputs = known.outputs | ({'masks'} if spec.options.get('refine') else frozenset())
        info = msg.ModelInfo(name=spec.name, description=known.summary, outputs=sorted(outputs))
        info.checkpoint, info.device, info.dtype = str(spec.checkpoint or ''), spec.device, spec.dtype
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

    def health(self) -> dict[str, str]:
        """Return what the diagnostics show."""
        values = {'model': self.worker.spec.name if self.worker else 'none'}
        values['model process'] = str(self.worker.pid or 'none') if self.worker else 'none'
        if self._seconds:
            half, most = np.percentile(self._seconds, (50, 95))
            values |= {'model p50 s': f'{half:.3f}', 'model p95 s': f'{most:.3f}'}
        return values


def _spec(choice: ModelChoice, settings: AffordanceParameters) -> WorkerSpec:
    s = settings
    try:
        options = {**_refinement(s), **json.loads(s.model_options), 'threads': s.model_threads}
    except (ValueError, TypeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'model.options is no JSON object: {error}') from error
    checkpoint = _checkpoint(choice.checkpoint, s)
    device, dtype = choice.device or s.model_device, choice.dtype or s.model_dtype
    return WorkerSpec(choice.name or s.model_name, checkpoint, device, dtype, options, s.model_python)


def _refinement(settings: AffordanceParameters) -> dict[str, str]:
    kind = settings.model_refine
    path = {'sam2': settings.model_sam2, 'sam': settings.model_sam}.get(kind, '')
    return ({'refine': kind} if kind else {}) | ({kind: path} if path else {})


def _checkpoint(asked: str, settings: AffordanceParameters) -> str | None:
    """Return the checkpoint to open: a request may only name 'pocket', the node's own one, or one in model.folders."""
    if asked in ('', 'pocket', settings.model_checkpoint):
        return asked or settings.model_checkpoint or None
    path = Path(asked).resolve()
    folders = [Path(folder).resolve() for folder in settings.model_folders.split(':') if folder]
    if not any(path.is_relative_to(folder) for folder in folders):
        where = ', '.join(map(str, folders)) or 'empty'
        text = f'checkpoint {asked!r} lies outside the folders that requests may load from (model.folders: {where})'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; add its folder to model.folders')
    return str(path)


def _warm_up(worker: ModelWorker, timeout_s: float) -> None:
    """Ask once about a grey image: the first answer of a GPU model is slower than all others."""
    frame = Frame(np.full((240, 320, 3), 128, np.uint8))
    try:
        worker.predict(frame, Query(text='point at the middle of the table'), timeout_s=timeout_s)
    except AffordanceError as error:
        if error.code not in BEARABLE:
            raise
