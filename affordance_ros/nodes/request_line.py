# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is served when: one request runs, a bounded number waits in order, background work gives way. No ROS in here."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from affordance_ros.errors import AffordanceError, Code

POLL_S = 0.05


@dataclass(eq=False)
class Ticket:
    """A place in the line."""

    background: bool


class RequestLine:
    """First come, first served; callable from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: list[Ticket] = []

    @property
    def requests(self) -> int:
        """How many requests run or wait, background work not counted."""
        return sum(not ticket.background for ticket in self._line)

    @contextmanager
    def turn(
        self, max_waiting: int, timeout_s: float, *, stop: Callable[[], bool], on_wait: Callable[[], None] | None = None
    ) -> Iterator[None]:
        """Wait for the turn and keep it inside the `with` block.

        Raises AffordanceError: BUSY when `max_waiting` requests wait already, CANCELED when `stop()` turns true,
        TIMEOUT when the turn does not come in time.
        """
        deadline = time.monotonic() + timeout_s
        ticket = Ticket(background=False)
        with self._changed:
            if self.requests > max_waiting:  # the one that runs counts
                text = f'a request runs and {self.requests - 1} wait already (run.max_pending {max_waiting})'
                raise AffordanceError(Code.BUSY, f'{text}; ask again later')
            self._line.append(ticket)
        try:
            if self._line[0] is not ticket and on_wait is not None:
                on_wait()
            self._await(ticket, deadline, stop)
            yield
        finally:
            self._leave(ticket)

    @contextmanager
    def background_turn(self) -> Iterator[bool]:
        """Yield True when nobody is in the line: the work inside may run, and must end once `requests` is not 0."""
        ticket = Ticket(background=True)
        with self._changed:
            free = not self._line
            if free:
                self._line.append(ticket)
        try:
            yield free
        finally:
            if free:
                self._leave(ticket)

    def _await(self, ticket: Ticket, deadline: float, stop: Callable[[], bool]) -> None:
        with self._changed:
            while self._line[0] is not ticket:
                if stop():
                    raise AffordanceError(Code.CANCELED, 'canceled while it waited for its turn')
                if time.monotonic() > deadline:
                    raise AffordanceError(Code.TIMEOUT, 'the requests before this one took too long; allow more time')
                self._changed.wait(POLL_S)

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            self._line.remove(ticket)
            self._changed.notify_all()
