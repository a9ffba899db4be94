# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last seconds of a camera stream, for models that look at a clip: frames by stamp at an even rate, or a refusal.

Pure logic over objects with a stamp, for the node and for the offline replay; it may be called from several threads.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from affordance_ros.errors import AffordanceError, Code

SECOND_NS = 1_000_000_000
LATE_NS = 500_000_000  # a stamp that is less than this behind is a message that was overtaken, not another time
KEPT_PER_PERIOD = 4  # images kept per period of the clip: so a frame is little more than an eighth of a period off


@dataclass(frozen=True)
class ClipShape:
    """frames: how many, the newest included. rate_hz: of the clip. slack: share of a period a frame may be off."""

    frames: int = 10
    rate_hz: float = 4.0
    slack: float = 0.5

    def __post_init__(self) -> None:
        if self.frames < 1 or self.rate_hz <= 0 or not 0 < self.slack <= 1:
            raise AffordanceError(
                Code.BAD_INPUT, f'a clip needs at least 1 frame, a rate above 0 and a slack in (0, 1], got {self}'
            )

    @property
    def period_ns(self) -> int:
        """Time from one frame to the next."""
        return round(SECOND_NS / self.rate_hz)

    @property
    def span_ns(self) -> int:
        """Time from the oldest frame to the newest."""
        return (self.frames - 1) * self.period_ns


class ClipBuffer:
    """Keeps as many images as the newest clip may need; `clip` picks them or says why there is none."""

    def __init__(self, shape: ClipShape = ClipShape()) -> None:  # noqa: B008  (immutable)
        self.shape = shape
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, Any]] = deque()
        self._jump_s = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, stamp_ns: int, image: Any) -> None:
        """Take an image. One that was overtaken is dropped; a jump back in time forgets what was seen before."""
        with self._lock:
            if self._kept and stamp_ns <= self._kept[-1][0]:
                behind = self._kept[-1][0] - stamp_ns
                if behind < LATE_NS:
                    return
                self._jump_s = behind / SECOND_NS
                self._kept.clear()
            spacing = self.shape.period_ns // KEPT_PER_PERIOD
            if len(self._kept) > 1 and self._kept[-1][0] - self._kept[-2][0] < spacing:
                self._kept.pop()  # it was the newest, and is too close to its neighbour to be worth its memory
            self._kept.append((stamp_ns, image))
            oldest = stamp_ns - self.shape.span_ns - 2 * self.shape.period_ns  # a request may be some images behind
            while self._kept[0][0] < oldest:
                self._kept.popleft()

    def clear(self) -> None:
        """Forget everything: the camera may be another one the next time."""
        with self._lock:
            self._kept.clear()
            self._jump_s = 0.0

    def clip(self, now_ns: int, max_age_s: float, ending: tuple[int, Any] | None = None) -> list[Any]:
        """Return the images of a clip, oldest first.

        Args:
            now_ns: the time of the clock that the stamps belong to.
            max_age_s: how old the newest image may be.
            ending: (stamp, image) that the clip must end with; None: the newest there is.

        Raises:
            AffordanceError: NO_CLIP, when the clip is too short, too old or has a gap, with what to do.
        """
        with self._lock:
            kept, jump_s = list(self._kept), self._jump_s
        if ending is not None:
            kept = [entry for entry in kept if entry[0] < ending[0]] + [ending]
        if not kept:
            raise _refusal(f'no image has come yet, the model needs {self._needs()}; start the camera')
        age_s = (now_ns - kept[-1][0]) / SECOND_NS
        if abs(age_s) > max_age_s:
            text = f'{age_s:.2f} s old' if age_s > 0 else f'{-age_s:.2f} s in the future'
            raise _refusal(f'the newest image of the clip is {text}, the limit is {max_age_s} s; check the camera')
        return self._pick(kept, jump_s)

    def _pick(self, kept: Sequence[tuple[int, Any]], jump_s: float) -> list[Any]:
        shape, newest = self.shape, kept[-1][0]
        slack = shape.slack * shape.period_ns
        missing_ns = kept[0][0] - (newest - shape.span_ns)
        if missing_ns > slack:
            jumped = f' (the stamps jumped back by {jump_s:.2f} s, so it began anew)' if jump_s else ''
            text = f'the clip is {(newest - kept[0][0]) / SECOND_NS:.2f} s long so far{jumped}'
            wait = f'ask again in {missing_ns / SECOND_NS:.2f} s'
            raise _refusal(f'{text}, the model needs {self._needs()}; {wait}')
        picked, used = [], -1
        for back in range(shape.frames - 1, -1, -1):
            wanted = newest - back * shape.period_ns
            index = min(range(len(kept)), key=lambda i: abs(kept[i][0] - wanted))
            if abs(kept[index][0] - wanted) > slack or index <= used:
                raise _refusal(self._gap(kept))
            picked.append(kept[index][1])
            used = index
        return picked

    def _gap(self, kept: Sequence[tuple[int, Any]]) -> str:
        """Tell where in the clip the most images are missing."""
        stamps = [stamp for stamp, _ in kept]
        width, end = max((after - before, after) for before, after in zip(stamps[:-1], stamps[1:], strict=True))
        text = f'the images jump by {width / SECOND_NS:.2f} s, {(stamps[-1] - end) / SECOND_NS:.2f} s before the newest'
        return f'{text}; the model needs {self._needs()}: ask again, or raise the rate of the camera'

    def _needs(self) -> str:
        shape = self.shape
        return f'{shape.frames} frames at {shape.rate_hz:g} Hz over {shape.span_ns / SECOND_NS:.2f} s'


def _refusal(text: str) -> AffordanceError:
    return AffordanceError(Code.NO_CLIP, text)
