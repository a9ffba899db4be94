# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One runs, others wait in order, are refused or take its place; background work gives way."""

import threading
import time

import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes.request_line import Policy, RequestLine


def never() -> bool:
    return False


def test_turns_come_in_order() -> None:
    line, order, gate = RequestLine(), [], threading.Event()

    def request(name: int) -> None:
        with line.turn(Policy(max_waiting=8), 5.0, stop=never):
            gate.wait(2.0)
            order.append(name)

    threads = []
    for name in range(4):
        threads.append(threading.Thread(target=request, args=(name,)))
        threads[-1].start()
        while line.requests <= name:
            time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(5.0)
    assert order == [0, 1, 2, 3]
    assert line.requests == 0


@pytest.mark.parametrize('max_waiting', [0, 1])
def test_more_than_may_wait_are_refused(max_waiting: int) -> None:
    line, gate = RequestLine(), threading.Event()

    def request() -> None:
        with line.turn(Policy(max_waiting=max_waiting), 5.0, stop=never):
            gate.wait(2.0)

    threads = [threading.Thread(target=request) for _ in range(max_waiting + 1)]
    for count, thread in enumerate(threads):
        thread.start()
        while line.requests <= count:
            time.sleep(0.001)
    with pytest.raises(AffordanceError) as refused, line.turn(Policy(max_waiting=max_waiting), 1.0, stop=never):
        pass
    assert refused.value.code == Code.BUSY
    gate.set()
    for thread in threads:
        thread.join(5.0)
    with line.turn(Policy(max_waiting=max_waiting), 0.1, stop=never):
        assert line.requests == 1


def test_waiting_can_be_canceled_and_times_out() -> None:
    line, told = RequestLine(), []
    with line.turn(Policy(max_waiting=1), 1.0, stop=never):
        with (
            pytest.raises(AffordanceError) as refused,
            line.turn(Policy(max_waiting=1), 5.0, stop=lambda: True, on_wait=lambda: told.append(1)),
        ):
            pass
        assert refused.value.code == Code.CANCELED
        with pytest.raises(AffordanceError) as refused, line.turn(Policy(max_waiting=1), 0.05, stop=never):
            pass
        assert refused.value.code == Code.TIMEOUT
    assert told == [1]
    assert line.requests == 0


def test_background_work_gives_way() -> None:
    line, served = RequestLine(), threading.Event()

    def request() -> None:
        with line.turn(Policy(max_waiting=0), 2.0, stop=never):
            served.set()

    with line.background_turn() as free:
        assert free
        assert line.requests == 0
        thread = threading.Thread(target=request)
        thread.start()
        while not line.requests:  # the background work sees it and ends
            time.sleep(0.001)
        assert not served.is_set()
    thread.join(2.0)
    assert served.is_set()
    with line.turn(Policy(max_waiting=0), 1.0, stop=never), line.background_turn() as free:
        assert not free


def test_reject_refuses_whoever_comes_second() -> None:
    line = RequestLine()
    with line.turn(Policy('reject', 8), 1.0, stop=never):
        with pytest.raises(AffordanceError) as refused, line.turn(Policy('reject', 8), 1.0, stop=never):
            pass
        assert refused.value.code == Code.BUSY
    with line.turn(Policy('reject'), 1.0, stop=never):
        assert line.requests == 1


def test_replace_ends_those_before_and_serves_the_newest() -> None:
    line, ends = RequestLine(), []

    def request(name: int) -> None:
        try:
            with line.turn(Policy('replace'), 5.0, stop=never) as ticket:
                end = time.monotonic() + 5.0
                while not ticket.replaced and time.monotonic() < end and name != 2:
                    time.sleep(0.005)
                ends.append((name, 'replaced' if ticket.replaced else 'served'))
        except AffordanceError as error:
            ends.append((name, error.code.name))

    threads = [threading.Thread(target=request, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join(5.0)
    assert ('2', 'served') in [(str(name), how) for name, how in ends]
    assert {how for name, how in ends if name != 2} <= {'replaced', 'REPLACED'}
    assert len(ends) == 3


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(AffordanceError, match='queue, reject, replace'):
        Policy('jump')
