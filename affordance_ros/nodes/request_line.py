# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is served when: one request runs, others wait, are refused or take its place. No ROS in here."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from affordance_ros.errors import AffordanceError, Code

POLL_S = 0.05
POLICIES = ('queue', 'reject', 'replace')


@dataclass(frozen=True)
class Policy:
    """What happens to a request that comes while another one runs.

    name: 'queue' (it waits, at most `max_waiting` do), 'reject' (BUSY), 'replace' (the others end with REPLACED).
    """

    name: str = 'queue'
    max_waiting: int = 1

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise AffordanceError(
                Code.BAD_INPUT, f'unknown policy {self.name!r} for requests; known: {", ".join(POLICIES)}'
            )


@dataclass(eq=False)
class Ticket:
    """A place in the line. replaced: a newer request has taken it; whoever holds it must end."""

    background: bool
    replaced: bool = False


class RequestLine:
    """First come, first served; callable from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: list[Ticket] = []

    @property
    def requests(self) -> int:
        """How many requests run or wait, background work not counted."""
        return sum(not ticket.background for ticket in list(self._line))

    @contextmanager
    def turn(
        self, policy: Policy, timeout_s: float, *, stop: Callable[[], bool], on_wait: Callable[[], None] | None = None
    ) -> Iterator[Ticket]:
        """Wait for the turn and keep it inside the `with` block, which must end when the ticket is `replaced`.

        Raises AffordanceError: BUSY when the policy lets no more wait, CANCELED when `stop()` turns true, REPLACED
        when a newer request came, TIMEOUT when the turn does not come in time.
        """
        deadline = time.monotonic() + timeout_s
        ticket = Ticket(background=False)
        with self._changed:
            self._admit(policy)
            self._line.append(ticket)
            waits = self._line[0] is not ticket
        try:
            if waits and on_wait is not None:
                on_wait()
            self._await(ticket, deadline, stop)
            yield ticket
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

    def _admit(self, policy: Policy) -> None:
        requests = [ticket for ticket in self._line if not ticket.background]
        if policy.name == 'replace':
            for ticket in requests:
                ticket.replaced = True
            self._changed.notify_all()
        elif policy.name == 'reject' and requests:
            raise AffordanceError(Code.BUSY, 'a request runs already (run.policy reject); ask again later')
        elif len(requests) > policy.max_waiting:  # the one that runs counts
            text = f'a request runs and {len(requests) - 1} wait already (run.max_pending {policy.max_waiting})'
            raise AffordanceError(Code.BUSY, f'{text}; ask again later')

    def _await(self, ticket: Ticket, deadline: float, stop: Callable[[], bool]) -> None:
        with self._changed:
            while self._line[0] is not ticket:
                if ticket.replaced:
                    raise replaced()
                if stop():
                    raise AffordanceError(Code.CANCELED, 'canceled while it waited for its turn')
                if time.monotonic() > deadline:
                    raise AffordanceError(Code.TIMEOUT, 'the requests before this one took too long; allow more time')
                self._changed.wait(POLL_S)

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            self._line.remove(ticket)
            self._changed.notify_all()


def replaced() -> AffordanceError:
    """Return what a request ends with whose place a newer one has taken."""
    return AffordanceError(Code.REPLACED, 'a newer request took the place of this one (run.policy replace)')
