# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The child's side of `worker.py`: load one model, answer requests until the pipe closes or the parent is gone."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import AffordanceModel, Progress
from affordance_ros.models.frame_transport import read_frames
from affordance_ros.models.registry import load_model
from affordance_ros.results import Frame, Query

_LOG = logging.getLogger(__name__)
_PROGRESS_EVERY_S = 0.03
# A grey image may well mean nothing to a model.
_BEARABLE = (Code.UNPARSABLE_ANSWER, Code.EMPTY_MODEL_OUTPUT, Code.NO_ANSWER_TOKEN, Code.NO_CLIP)


def main(setup: Mapping[str, Any]) -> None:
    """Serve requests; `setup` is what `worker_child.launch` wrote."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent closes us
    threading.Thread(target=_leave_with_parent, args=(setup['parent'],), daemon=True).start()
    pipe = Connection(setup['pipe'])
    try:
        model = load_model(**setup['load'])
        if 'torch' in sys.modules:
            sys.modules['torch'].set_num_threads(setup['threads'])
        if setup['warm_up']:
            _warm_up(model)
        pipe.send(('ready', model.describe(), _gpu_bytes()))
        while True:
            _, slots, clip, query = pipe.recv()
            pipe.send(('taken', None))
            pipe.send(_answer(model, setup, pipe, (slots, clip, query)))
    except (EOFError, ConnectionError):
        _LOG.debug('the pipe is closed')  # the parent ended or closed us: nobody to tell
    except BaseException as error:
        pipe.send(('error', _as_affordance_error(error)))


def _answer(
    model: AffordanceModel, setup: Mapping[str, Any], pipe: Connection, request: tuple[Any, ...]
) -> tuple[Any, ...]:
    slots, clip, query = request
    frames = read_frames(setup['frames'], slots)
    sent = [('', 0.0)]

    def progress(step: Progress) -> None:
        stage, when = sent[0]
        now = time.monotonic()
        if step.stage != stage or now - when >= _PROGRESS_EVERY_S:
            sent[0] = (step.stage, now)
            pipe.send(('progress', step))

    def stop() -> bool:
        return os.pread(setup['flag'], 1, 0) == b'\x01'

    try:
        answer = model.predict(frames if clip else frames[0], query, progress=progress, stop=stop)
        return 'answer', answer, _gpu_bytes()
    except ConnectionError:
        raise
    except Exception as error:
        return 'error', _as_affordance_error(error)


def _warm_up(model: AffordanceModel) -> None:
    """Ask once about a grey image."""
    try:
        model.predict(Frame(np.full((240, 320, 3), 128, np.uint8)), Query(text='point at the middle of the table'))
    except AffordanceError as error:
        if error.code not in _BEARABLE:
            raise


def _gpu_bytes() -> int:
    """Return what this process holds on its GPUs, 0 without one."""
    torch = sys.modules.get('torch')
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count()))


def _as_affordance_error(error: BaseException) -> AffordanceError:
    if isinstance(error, AffordanceError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError':  # the latter is torch's
        return AffordanceError(Code.OOM, 'the model process ran out of memory')
    _LOG.error('the model process failed', exc_info=error)
    return AffordanceError(Code.INTERNAL, f'the model process failed: {type(error).__name__}: {error}')


def _leave_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
