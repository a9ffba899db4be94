# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said between a caller and the process of a model: requests, progress, answers, and falling silent."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import ProgressCallback, StopFlag, check_stop
from affordance_ros.models.worker_child import Child

POLL_S = 0.02
GRACE_S = 5.0  # how long a stopped model may take to notice before its process is ended


@dataclass
class Watch:
    """How a reply is waited for. deadline: of time.monotonic(). closed: whether the worker is being closed.

    taken: turns true when the child has begun with the request.
    """

    name: str
    deadline: float
    closed: Callable[[], bool]
    progress: ProgressCallback | None = None
    stop: StopFlag | None = None
    taken: bool = field(default=False, init=False)


def deadline_in(timeout_s: float | None) -> float:
    """Return the time.monotonic() of a time-out, infinity for None."""
    return float('inf') if timeout_s is None else time.monotonic() + timeout_s


def reply_of(child: Child, watch: Watch) -> tuple[Any, ...]:
    """Return the last word of the child on a request or on loading: ('answer' or 'ready', it, bytes) or ('error', it).

    Raises:
        AffordanceError: TIMEOUT, CANCELED, NOT_ACTIVE when the worker is closed.
        EOFError, ConnectionError: the child has died.
    """
    while True:
        message: tuple[Any, ...] | None = child.pipe.recv() if child.pipe.poll(POLL_S) else None
        if watch.closed():
            raise AffordanceError(Code.NOT_ACTIVE, f'model {watch.name!r} was closed')
        if message is not None and message[0] not in ('taken', 'progress'):
            return message
        watch.taken |= message is not None and message[0] == 'taken'
        if message is not None and message[0] == 'progress' and watch.progress is not None:
            watch.progress(message[1])
        check_stop(watch.stop)
        if time.monotonic() > watch.deadline:  # also of a child that talks without a pause
            late = 'did not answer in time; raise timeout_s'
            text = late if child.ready else 'is still being loaded; ask again later'
            raise AffordanceError(Code.TIMEOUT, f'model {watch.name!r} {text}')


def fell_silent(child: Child, closed: Callable[[], bool]) -> bool:
    """Stop the running request of a child; False when it does not notice within GRACE_S. Raises as `reply_of`."""
    child.set_stop(stop=True)
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end and not closed():
        if child.pipe.poll(POLL_S) and child.pipe.recv()[0] not in ('taken', 'progress'):
            return True
    return False
