# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays the camera and the transforms of a bag to a graph: one image at a time, or at the pace of the recording.

Messages go out as the bytes that were recorded. /clock is ours alone: a clock in the bag is not played.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from affordance_ros.bags.recorded_frames import BagIndex, Entry
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message
from affordance_ros.nodes.lifecycle import LATCHED

CAMERA, TRANSFORMS = QoSProfile(depth=10), QoSProfile(depth=100)
CLOCK_S = 0.02
AROUND_NS = 1_000_000_000  # transforms this near an image go out with it
SAME_CLOCK_NS = 5_000_000_000  # a recorder that is this far from the stamps had another clock than the camera
KINDS = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}


@dataclass
class Pace:
    """How a real-time replay went. late_s: how far the player was behind the recording at worst."""

    images: int = 0
    late_s: float = 0.0


class BagPlayer:
    """Publishes on `prefix`/image and so on, /tf, /tf_static and /clock. now_ns: what /clock says."""

    def __init__(self, node: Any, index: BagIndex, prefix: str = '') -> None:
        self._node, self._index = node, index
        self.now_ns = index.first_stamp_ns
        self.shown: Entry | None = None  # the newest image that went out
        self.played = 0  # images
        self._stamps: Counter[int] = Counter()
        self._ended: tuple[float, int, float] | None = None  # when by our clock and by /clock, and the rate
        self._sent: dict[str, set[int]] = {}
        color, depth = (KINDS[index.kinds[name]] if name else None for name in (index.image, index.depth))
        self._out = {index.image: self._publisher(color, f'{prefix}/image', 'compressed')}
        if depth is not None:
            self._out[index.depth] = self._publisher(depth, f'{prefix}/depth/image', 'compressedDepth')
        self._info = node.create_publisher(CameraInfo, f'{prefix}/camera_info', CAMERA)
        if index.topics.depth_info:
            beside = f'{prefix}/depth/camera_info'
            self._out[index.topics.depth_info] = node.create_publisher(CameraInfo, beside, CAMERA)
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self._moving: Any = None
        self._static: Any = None
        self._open_transforms()
        self._end = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    def close(self) -> None:
        """Stop the clock."""
        self._end.set()
        self._ticker.join(2.0)

    def show(self, stamp_ns: int, nth: int = 0) -> AffordanceError | None:
        """Publish the nth image of a stamp with its depth and transforms, the clock set to it, or say what it lacks.

        Called again for the image that was shown last, it goes out again with its transforms: a node that hears of a
        jump of the clock after them forgets them.
        """
        entry = self._index.image_at(stamp_ns, nth)
        if entry is None:
            return AffordanceError(Code.NO_IMAGE, f'the bag has no image {nth} at {stamp_ns} ns')
        partner = self._index.depth_of(entry)
        if self._index.depth and partner is None:
            text = 'no depth image of the bag is near enough to the image: the nodes never see it'
            return AffordanceError(Code.NO_DEPTH, f'{text}; raise input.slop_s, or set input.need_depth to false')
        if self.shown is not None and (stamp_ns < self.shown.stamp_ns or entry == self.shown):
            self._sent.clear()  # a jump back in time: the nodes forget what moved
        self.shown = entry
        self._set_clock(stamp_ns)
        self._send_transforms(stamp_ns)
        self._send_info(entry)
        depth_info = self._index.info_of(entry, self._index.topics.depth_info or None)
        for item in (depth_info, partner, entry):
            if item is not None:
                self._out[item.topic].publish(self._index.data(item))
        return None

    def rewind(self) -> None:
        """Forget what was shown: `play` begins."""
        self.shown, self.played = None, 0
        self._stamps.clear()

    def nth(self, stamp_ns: int) -> int:
        """Return how many images of a stamp were played before the last one that has it."""
        return max(0, self._stamps[stamp_ns] - 1)

    def play(self, rate: float, stop: threading.Event) -> Pace:
        """Publish the whole bag at `rate` times the pace of the recording."""
        pace, start, first = Pace(), time.monotonic(), None
        shift = last = None
        for entry, data in self._index.recorded():
            first = entry.received_ns if first is None else first
            due = start + (entry.received_ns - first) / 1e9 / rate
            while (left := due - time.monotonic()) > 0 and not stop.is_set():
                if shift is not None:
                    self.now_ns = max(self.now_ns, entry.received_ns - shift - int(left * rate * 1e9))
                time.sleep(min(left, CLOCK_S / 2))
            if stop.is_set():
                break
            pace.late_s = max(pace.late_s, time.monotonic() - due)
            if entry.topic == self._index.image:
                shift = _shift(entry, shift, last)
                last = entry.stamp_ns
            if shift is not None:
                self._set_clock(entry.received_ns - shift)
            self._send(entry, data)
            pace.images += entry.topic == self._index.image
        self._ended = time.monotonic(), self.now_ns, rate  # time goes on for the answers that are still to come
        return pace

    def _send(self, entry: Entry, data: bytes) -> None:
        if entry.topic == self._index.image:
            if self._index.info is None:
                self._send_info(entry)
            self._stamps[entry.stamp_ns] += 1
            self.shown, self.played = entry, self.played + 1
        publisher = self._out.get(entry.topic)
        if publisher is not None:
            publisher.publish(data)
        elif entry.topic == self._index.info:
            self._info.publish(data)
        elif entry.topic == '/tf' and self._moving is not None:
            self._moving.publish(data)

    def _send_info(self, entry: Entry) -> None:
        found = self._index.info_of(entry, self._index.info)
        if found is not None:
            self._info.publish(self._index.data(found))
        elif self._index.topics.intrinsics is not None:
            head = Header(stamp=convert.time_message(entry.stamp_ns), frame_id=self._index.frame_of(entry))
            self._info.publish(camera_info_message(self._index.topics.intrinsics, head))

    def _publisher(self, kind: Any, topic: str, transport: str) -> Any:
        return self._node.create_publisher(kind, topic if kind is Image else f'{topic}/{transport}', CAMERA)

    def _open_transforms(self) -> None:
        """Publish what holds for ever, at once and latched: a late node gets it too."""
        if not (self._index.moving or self._index.static or self._index.topics.static_transforms):
            return
        from tf2_msgs.msg import TFMessage

        self._kind = TFMessage
        self._moving = self._node.create_publisher(TFMessage, '/tf', TRANSFORMS)
        self._static = self._node.create_publisher(TFMessage, '/tf_static', LATCHED)
        given = [
            convert.transform_message(np.asarray(item.parent_from_child), item.parent, item.child, 0)
            for item in self._index.topics.static_transforms
        ]
        known = {item.child_frame_id: item for item in given}
        for data in self._index.static:
            known |= {item.child_frame_id: item for item in deserialize_message(data, TFMessage).transforms}
        self._static.publish(TFMessage(transforms=list(known.values())))

    def _send_transforms(self, stamp_ns: int) -> None:
        """Publish the poses around a stamp, all in one message: many small ones overflow a queue."""
        chosen = []
        for child, entries in self._index.moving.items():
            sent = self._sent.setdefault(child, set())
            for number in _around(entries, stamp_ns):
                if number not in sent:
                    sent.add(number)
                    chosen.append(entries[number])
        if chosen and self._moving is not None:
            messages = [
                convert.transform_message(item.parent_from_child, item.parent, item.child, item.stamp_ns)
                for item in chosen
            ]
            self._moving.publish(self._kind(transforms=messages))

    def _set_clock(self, now_ns: int) -> None:
        self._ended, self.now_ns = None, now_ns
        self._clock.publish(Clock(clock=convert.time_message(now_ns)))

    def _tick(self) -> None:
        """Say the time again and again: a node that starts later must not stand at zero."""
        while not self._end.wait(CLOCK_S):
            if self._ended is not None:
                start, then_ns, rate = self._ended
                self.now_ns = then_ns + int((time.monotonic() - start) * rate * 1e9)
            self._clock.publish(Clock(clock=convert.time_message(self.now_ns)))


def _around(entries: Any, stamp_ns: int) -> Iterator[int]:
    """Yield the numbers of the poses near a stamp and of the nearest on both sides; `entries` are sorted by stamp."""
    stamps = [item.stamp_ns for item in entries]
    low = int(np.searchsorted(stamps, stamp_ns - AROUND_NS))
    high = int(np.searchsorted(stamps, stamp_ns + AROUND_NS, side='right'))
    before = int(np.searchsorted(stamps, stamp_ns, side='right')) - 1
    after = int(np.searchsorted(stamps, stamp_ns))
    yield from range(max(0, min(low, before)), min(len(stamps), max(high, after + 1)))


def _shift(entry: Entry, shift: int | None, last: int | None) -> int:
    """Return what to take off the time of recording for /clock: 0, or what brings another clock to the stamps."""
    delay = entry.received_ns - entry.stamp_ns
    if shift is None:
        return 0 if 0 <= delay < SAME_CLOCK_NS else delay
    jumped = last is not None and (entry.stamp_ns < last or abs(delay - shift) > SAME_CLOCK_NS)
    return delay if jumped else shift
