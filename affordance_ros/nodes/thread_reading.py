# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that a thread reads instead of the executor, and messages that are read only when they are wanted.

rclpy builds its wait set anew for every message: two 1280x720 streams at 30 Hz would take 40 % of a core, and /tf with
30 messages per second another 7 %. A thread that takes what has arrived every few milliseconds needs a sixth of that.
"""

import struct
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

READ_EVERY_S = 0.008


class ReadByThread(CallbackGroup):
    """Keeps a subscription and its events away from the executor."""

    def can_execute(self, entity: Any) -> bool:  # noqa: ARG002 - rclpy's signature
        """Say no."""
        return False

    beginning_execution = can_execute

    def ending_execution(self, entity: Any) -> None:
        """Nothing ever began."""


class Unread:
    """A stamped message as it came over the wire. Most images are never looked at: only the stamp is read at once."""

    __slots__ = ('_data', '_kind', 'stamp_ns')

    def __init__(self, kind: Any, data: bytes) -> None:
        self._kind, self._data = kind, data
        # CDR: four bytes of which the second tells the byte order, then the header, which begins with the stamp.
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
        self.stamp_ns = int(seconds) * 10**9 + int(nanoseconds)

    def message(self) -> Any:
        """Return the message; the pixels of an Image are a read-only view of what came."""
        start = _pixels_at(self._data) if self._kind is Image else 0
        if not start:
            return deserialize_message(self._data, self._kind)
        message = deserialize_message(self._data[: start - 4] + bytes(4), self._kind)
        (count,) = struct.unpack_from('<I', self._data, start - 4)
        # The setter would check millions of numbers; rclpy itself would copy them twice.
        message._data = memoryview(self._data)[start : start + count]  # noqa: SLF001
        return message


def _pixels_at(data: bytes) -> int:
    """Return where the pixels of a serialised Image begin, after their number; 0 where rclpy is to read the message.

    CDR: numbers begin at a multiple of their size, counted from behind the first four bytes; strings have their length
    before them.
    """
    if not data[1] & 1:
        return 0
    try:
        at = _behind_string(data, 12) + 8  # stamp and frame_id; height and width
        at = _behind_string(data, at, align=1) + 1  # encoding; is_bigendian
        at += -at % 4 + 4  # step
        (count,) = struct.unpack_from('<I', data, at)
    except struct.error:
        return 0
    return at + 4 if at + 4 + count <= len(data) else 0


def _behind_string(data: bytes, at: int, align: int = 4) -> int:
    at += 4 + struct.unpack_from('<I', data, at)[0]
    return int(at + -at % align)


def never_called(_: Any) -> None:
    """Stand in for the callback of a subscription: the thread takes the messages."""


def take_all(subscription: Any, take: Callable[[Any], None], *, raw: bool = False) -> None:
    """Hand over everything that has arrived; raw: as bytes."""
    with subscription.handle:
        while (taken := subscription.handle.take_message(subscription.msg_type, raw)) is not None:
            take(taken[0])


class ReadingThread:
    """Calls every reader every few milliseconds while it is open."""

    def __init__(self, name: str, readers: Sequence[Callable[[], None]], logger: Any) -> None:
        self._name, self._readers, self._logger = name, tuple(readers), logger
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin."""
        self._end.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; returns when no reader runs any more."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._end.wait(READ_EVERY_S):
            for reader in self._readers:
                try:
                    reader()
                except Exception:  # one bad message must not end the thread
                    self._logger.error(f'reading {self._name} failed:\n{traceback.format_exc()}')
