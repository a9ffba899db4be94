# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and the depth images that belong to them, paired by their header stamps as they come out of a bag."""

from collections import deque
from collections.abc import Iterator
from typing import Any

PENDING = 60  # images or depth images that wait for their partner
Pair = tuple[int, Any, Any]


class Pairing:
    """Takes both streams in the order of the bag; `ready` gives (stamp_ns, image, depth or None) in that of the images.

    One depth image may serve two images. Where the stamps of a stream go back, time begins anew: images of before are
    not paired with depth of after. has_depth False: there is no depth stream to wait for.
    """

    def __init__(self, slop_ns: int, *, has_depth: bool) -> None:
        self._slop_ns, self._has_depth = slop_ns, has_depth
        self._images: deque[tuple[int, Any]] = deque()
        self._depths: dict[int, Any] = {}
        self._used: set[int] = set()
        self._done: deque[Pair] = deque()
        self._last = {'image': 0, 'depth': 0}
        self._jumps = {'image': 0, 'depth': 0}

    def add_image(self, stamp_ns: int, image: Any) -> None:
        """Take an image."""
        self._look_for_jump('image', 'depth', stamp_ns)
        self._images.append((stamp_ns, image))
        self._match(at_end=False)

    def add_depth(self, stamp_ns: int, depth: Any) -> None:
        """Take a depth image."""
        self._look_for_jump('depth', 'image', stamp_ns)
        self._depths[stamp_ns] = depth
        self._used.discard(stamp_ns)
        while len(self._depths) > PENDING:
            del self._depths[next(iter(self._depths))]
        self._match(at_end=False)

    def ready(self, *, at_end: bool = False) -> Iterator[Pair]:
        """Yield the pairs that are known; at_end: nothing more will come."""
        if at_end:
            self._match(at_end=True)
        while self._done:
            yield self._done.popleft()

    def _look_for_jump(self, stream: str, other: str, stamp_ns: int) -> None:
        """Close what was before when a stream goes back by more than a message that was overtaken may."""
        jumped = stamp_ns < self._last[stream] - 2 * self._slop_ns
        self._last[stream] = stamp_ns
        if jumped:
            self._jumps[stream] += 1
            if self._jumps[stream] > self._jumps[other]:  # the first stream of the two; the other one follows
                self._match(at_end=True)
                of_now = {} if stream == 'depth' else self._depths
                self._depths = {s: d for s, d in of_now.items() if s not in self._used and s <= stamp_ns}
                self._used.clear()

    def _match(self, *, at_end: bool) -> None:
        """Move the oldest images whose partner is known: the same stamp is there, or nothing nearer can come."""
        while self._images:
            stamp, image = self._images[0]
            nearest = min(self._depths, key=lambda other: abs(other - stamp), default=None)
            passed = any(other > stamp for other in self._depths)
            known = not self._has_depth or nearest == stamp or passed or len(self._images) > PENDING
            if not (known or at_end):
                return
            self._images.popleft()
            fits = nearest is not None and abs(nearest - stamp) <= self._slop_ns
            if fits and nearest is not None:
                self._used.add(nearest)
                self._done.append((stamp, image, self._depths[nearest]))
            else:
                self._done.append((stamp, image, None))
