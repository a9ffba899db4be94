# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest colour and depth image that belong together. Nothing is queued: what is not newest is dropped and counted.

Pure logic over objects with a stamp, so that it is tested without ROS; it is called from several threads.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

KEEP = 8  # images that wait for their partner
JUMP_NS = 500_000_000  # a stamp this far back is no late message but another time


@dataclass(frozen=True)
class Bundle:
    """Messages that belong together. All but the image may be None. number: counts bundles, 1 is the first.

    info: intrinsics of the image; depth_info: those of the depth image, where it comes from a camera of its own.
    """

    stamp_ns: int
    image: Any
    depth: Any = None
    info: Any = None
    number: int = 0
    depth_info: Any = None


@dataclass(frozen=True)
class Counters:
    """What came in and what became of it."""

    images: int = 0
    depths: int = 0
    bundles: int = 0
    unpaired: int = 0
    jumps: int = 0


class BundleStore:
    """Pairs images with depth within `slop_ns`; `need_depth` False makes a bundle of every image."""

    def __init__(self, slop_ns: int, *, need_depth: bool = True) -> None:
        self.slop_ns = slop_ns
        self.need_depth = need_depth
        self.counters = Counters()
        self._arrived = threading.Condition()
        self._images: deque[tuple[int, Any]] = deque(maxlen=KEEP)
        self._depths: deque[tuple[int, Any]] = deque(maxlen=KEEP)
        self._info: Any = None
        self._depth_info: Any = None
        self._newest: Bundle | None = None
        self._last_ns: dict[str, int] = {}

    def add_image(self, stamp_ns: int, message: Any) -> None:
        """Take a colour image."""
        with self._arrived:
            self._count(images=1)
            if not self._in_order('image', stamp_ns):
                return
            if self.need_depth:
                self._add(self._images, stamp_ns, message)
            else:
                self._complete(stamp_ns, message, None)

    def add_depth(self, stamp_ns: int, message: Any) -> None:
        """Take a depth image."""
        with self._arrived:
            self._count(depths=1)
            if self.need_depth and self._in_order('depth', stamp_ns):
                self._add(self._depths, stamp_ns, message)

    def add_info(self, message: Any) -> None:
        """Take the newest camera info."""
        with self._arrived:
            self._info = message
            if self._newest is not None and self._newest.info is None:
                self._newest = replace(self._newest, info=message)
                self._arrived.notify_all()

    def add_depth_info(self, message: Any) -> None:
        """Take the newest camera info of the depth camera."""
        with self._arrived:
            self._depth_info = message
            if self._newest is not None and self._newest.depth_info is None:
                self._newest = replace(self._newest, depth_info=message)

    @property
    def newest(self) -> Bundle | None:
        """The newest bundle, None before the first."""
        return self._newest

    def wait(self, timeout_s: float, after: int = 0, stop: Any = None) -> Bundle | None:
        """Return the newest bundle with camera info and a number above `after`, or None.

        None comes at the time-out or when `stop()` turns true.
        """
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while self._newest is None or self._newest.number <= after or self._newest.info is None:
                left = deadline - time.monotonic()
                if left <= 0 or (stop is not None and stop()):
                    return None
                self._arrived.wait(min(left, 0.05))
            return self._newest

    def missing(self) -> str:
        """Return what keeps the next bundle from coming: 'image', 'depth', 'pair', 'info' or '' when nothing does."""
        with self._arrived:
            if 'image' not in self._last_ns:
                return 'image'
            if self.need_depth and 'depth' not in self._last_ns:
                return 'depth'
            if self._newest is None:
                return 'pair'
            return '' if self._newest.info is not None else 'info'

    def clear(self) -> None:
        """Forget everything: the camera may be another one the next time."""
        with self._arrived:
            self._forget()
            self._info = self._depth_info = None

    def forget_images(self) -> None:
        """Forget what was seen, for example after a jump of the clock."""
        with self._arrived:
            self._forget()

    def _forget(self) -> None:
        self._images.clear()
        self._depths.clear()
        self._newest = None
        self._last_ns.clear()

    def _count(self, **changes: int) -> None:
        self.counters = replace(
            self.counters, **{name: getattr(self.counters, name) + by for name, by in changes.items()}
        )

    def _in_order(self, stream: str, stamp_ns: int) -> bool:
        """Whether a message is to be used; a jump back in time forgets everything that came before."""
        last = self._last_ns.get(stream, stamp_ns)
        if last - JUMP_NS < stamp_ns < last:  # overtaken on the way: a newer one is here already
            self._count(unpaired=1)
            return False
        if stamp_ns < last:  # a bag that loops, a simulation that starts again
            self._count(jumps=1)
            self._forget()
        self._last_ns[stream] = stamp_ns
        return True

    def _add(self, queue: deque[tuple[int, Any]], stamp_ns: int, message: Any) -> None:
        self._count(unpaired=int(len(queue) == KEEP))
        queue.append((stamp_ns, message))
        other = self._depths if queue is self._images else self._images
        partner = min(other, key=lambda entry: abs(entry[0] - stamp_ns), default=None)
        if partner is None or abs(partner[0] - stamp_ns) > self.slop_ns:
            return
        image, depth = ((stamp_ns, message), partner) if queue is self._images else (partner, (stamp_ns, message))
        self._complete(image[0], image[1], depth[1])
        for side, used in ((self._images, image[0]), (self._depths, depth[0])):
            while side and side[0][0] <= used:
                dropped = side.popleft()
                self._count(unpaired=int(dropped[0] != used))

    def _complete(self, stamp_ns: int, image: Any, depth: Any) -> None:
        self._count(bundles=1)
        self._newest = Bundle(stamp_ns, image, depth, self._info, self.counters.bundles, self._depth_info)
        self._arrived.notify_all()
