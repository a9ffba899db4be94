# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of a bag that make its frames, as bytes and by stamp, for playing them again."""

import bisect
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.highlevel import AnyReader

from affordance_ros.bags.topics import BagTopics, choose_topics, open_bag
from affordance_ros.camera_messages import is_calibrated
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.results import FloatArray


@dataclass(frozen=True)
class Entry:
    """One recorded message. number: its place among all of them. stamp_ns: of its header."""

    number: int
    topic: str
    received_ns: int
    stamp_ns: int


@dataclass(frozen=True)
class Moved:
    """One transform of /tf."""

    stamp_ns: int
    parent: str
    child: str
    parent_from_child: FloatArray


class BagIndex:
    """Where every image, depth image and camera info of a bag is; use it in a `with` statement.

    topics: with the names filled in. static: messages of /tf_static. moving: transforms of /tf by child, by stamp.

    Raises:
        AffordanceError: BAD_INPUT for what is no bag, NO_IMAGE when it holds no image.
    """

    def __init__(self, folder: Path, topics: BagTopics | None = None) -> None:
        self._folder, self._wanted = folder, topics or BagTopics()
        self._stack = ExitStack()

    def __enter__(self) -> 'BagIndex':
        self._reader: AnyReader = self._stack.enter_context(open_bag(self._folder))
        self.topics = choose_topics(self._reader, self._wanted)
        self.image, self.depth = self.topics.image, self.topics.depth
        self.kinds = {c.topic: c.msgtype for c in self._reader.connections}
        topics = self.topics
        names = [name for name in (self.image, self.depth, topics.camera_info, topics.depth_info) if name]
        self._entries = [
            Entry(number, topic, received, header_stamp(data))
            for number, (topic, received, data) in enumerate(self._raw(*names))
        ]
        self._images = [entry for entry in self._entries if entry.topic == self.image]
        if not self._images:
            raise AffordanceError(Code.NO_IMAGE, f'the topic {self.image} of the bag holds no image')
        self.static = [bytes(data) for _, _, data in self._raw('/tf_static')]
        self.moving = self._transforms()
        first = next((entry for entry in self._entries if entry.topic == self.topics.camera_info), None)
        usable = first is not None and self._calibrated(first)
        self.info: str | None = self.topics.camera_info if usable else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def first_stamp_ns(self) -> int:
        """Stamp of the first image."""
        return self._images[0].stamp_ns

    def image_at(self, stamp_ns: int, nth: int = 0) -> Entry | None:
        """Return the nth image of a stamp: a bag that loops has several."""
        same = [entry for entry in self._images if entry.stamp_ns == stamp_ns]
        return same[nth] if nth < len(same) else None

    def depth_of(self, image: Entry) -> Entry | None:
        """Return the depth image nearest to the stamp of an image, and of those the one recorded nearest to it."""
        slop = int(self.topics.slop_s * 1e9)
        near = [e for e in self._entries if e.topic == self.depth and abs(e.stamp_ns - image.stamp_ns) <= slop]
        return min(
            near,
            key=lambda e: (abs(e.stamp_ns - image.stamp_ns), abs(e.number - image.number)),
            default=None,
        )

    def info_of(self, image: Entry, topic: str | None) -> Entry | None:
        """Return the camera info of an image: of its stamp, else the last one before it, else the first."""
        infos = [entry for entry in self._entries if entry.topic == topic]
        same = [entry for entry in infos if entry.stamp_ns == image.stamp_ns]
        if same:
            return min(same, key=lambda entry: abs(entry.number - image.number))
        before = [entry for entry in infos if entry.number < image.number]
        return before[-1] if before else next(iter(infos), None)

    def data(self, entry: Entry) -> bytes:
        """Return the bytes of a message."""
        connections = [c for c in self._reader.connections if c.topic == entry.topic]
        for _, _, data in self._reader.messages(connections, start=entry.received_ns, stop=entry.received_ns + 1):
            if header_stamp(data) == entry.stamp_ns:
                return bytes(data)
        raise AffordanceError(Code.INTERNAL, f'the bag lost a message of {entry.topic}')

    def frame_of(self, entry: Entry) -> str:
        """Return the frame_id of a message."""
        message: Any = self._reader.deserialize(self.data(entry), self.kinds[entry.topic])
        return str(message.header.frame_id)

    def recorded(self) -> Iterator[tuple[Entry, bytes]]:
        """Yield the messages of the camera and of /tf in the order of their recording."""
        names = {name for name in (self.image, self.depth, self.info, self.topics.depth_info, '/tf') if name}
        for number, (topic, received, data) in enumerate(self._raw(*names)):
            stamp = 0 if topic == '/tf' else header_stamp(data)
            yield Entry(number, topic, received, stamp), bytes(data)

    def _raw(self, *topics: str) -> Iterator[tuple[str, int, bytes]]:
        connections = [c for c in self._reader.connections if c.topic in topics]
        if connections:
            for connection, received, data in self._reader.messages(connections):
                yield connection.topic, received, data

    def _transforms(self) -> dict[str, list[Moved]]:
        moving: dict[str, list[Moved]] = {}
        for _, _, data in self._raw('/tf'):
            message: Any = self._reader.deserialize(data, 'tf2_msgs/msg/TFMessage')
            for item in message.transforms:
                t, q, stamp = item.transform.translation, item.transform.rotation, item.header.stamp
                pose = pose_from((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                moved = Moved(stamp.sec * 10**9 + stamp.nanosec, item.header.frame_id, item.child_frame_id, pose)
                bisect.insort(moving.setdefault(item.child_frame_id, []), moved, key=lambda each: each.stamp_ns)
        return moving

    def _calibrated(self, entry: Entry) -> bool:
        return is_calibrated(self._reader.deserialize(self.data(entry), self.kinds[entry.topic]))


def header_stamp(data: bytes) -> int:
    """Return the stamp in ns of a message that begins with a header: it follows the four bytes that CDR puts first."""
    order = '<' if data[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)
