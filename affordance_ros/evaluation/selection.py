# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames of a bag are asked: all, every Nth, those at given stamps, or those where the picture has changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Frame

Grey = npt.NDArray[np.uint8]
_WIDTH = 64
_NEAR_NS = 500_000
_FORMS = 'all, every:N, stamps:S1,S2,... (seconds) or change:T (mean grey-level change, 0 to 255)'


@dataclass(frozen=True)
class Chosen:
    """A frame that is asked, its place among the frames of the bag, and how much changed since the one asked before.

    change: mean absolute difference of grey levels, 0 to 255, on a small copy; 0 for the first frame.
    """

    frame: Frame
    index: int
    change: float


@dataclass(frozen=True)
class FrameChoice:
    """kind: 'all', 'every', 'stamps' or 'change'; `every`, `stamps_ns` and `threshold` belong to the last three."""

    kind: str = 'all'
    every: int = 1
    stamps_ns: tuple[int, ...] = ()
    threshold: float = 0.0

    @classmethod
    def parse(cls, text: str) -> 'FrameChoice':
        """Read 'all', 'every:5', 'stamps:12.5,13.0' or 'change:4'. Raises BAD_INPUT."""
        kind, _, value = text.partition(':')
        try:
            if kind == 'every':
                return cls('every', every=int(value))
            if kind == 'stamps':
                return cls('stamps', stamps_ns=tuple(nanoseconds(item) for item in value.split(',')))
            if kind == 'change':
                return cls('change', threshold=float(value))
            return cls(text)
        except ValueError as error:
            raise AffordanceError(Code.BAD_INPUT, f'frames {text!r} is none of: {_FORMS}') from error

    def __post_init__(self) -> None:
        if self.kind not in ('all', 'every', 'stamps', 'change') or self.every < 1 or not self.threshold >= 0:
            raise ValueError('a known kind, every >= 1 and threshold >= 0 are needed')

    def select(self, frames: Iterable[Frame]) -> Iterator[Chosen]:
        """Yield the chosen ones. Raises BAD_INPUT at the end when a stamp was not there."""
        missing = set(self.stamps_ns)
        last: Grey | None = None
        for index, frame in enumerate(frames):
            if self.kind == 'every' and index % self.every:
                continue
            if self.kind == 'stamps':
                near = {stamp for stamp in missing if abs(stamp - frame.stamp_ns) <= _NEAR_NS}
                missing -= near
                if not near:
                    continue
            small = thumbnail(frame)
            change = difference(last, small)
            if self.kind == 'change' and last is not None and change < self.threshold:
                continue
            last = small
            yield Chosen(frame, index, change)
        if missing:
            names = ', '.join(f'{stamp / 1e9:.3f}' for stamp in sorted(missing))
            raise AffordanceError(Code.BAD_INPUT, f'the bag has no image at {names} s (within 0.5 ms)')


def nanoseconds(seconds: str) -> int:
    """Return the nanoseconds of decimal seconds, exactly: a float would lose the last three digits of a stamp."""
    whole, _, part = seconds.strip().partition('.')
    return int(whole) * 10**9 + int((part + '0' * 9)[:9])


def difference(before: Grey | None, small: Grey) -> float:
    """Return the mean difference of grey levels, 0 to 255, of two small copies; 0 without one before."""
    return 0.0 if before is None else float(cv2.absdiff(before, small).mean())


def thumbnail(frame: Frame) -> Grey:
    """Return a small grey copy about 64 pixels wide, uint8: means of square blocks, which are quick to make."""
    block = max(1, frame.width // _WIDTH)
    width, height = frame.width // block, max(1, frame.height // block)
    whole = frame.rgb[: height * block, : width * block]
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
