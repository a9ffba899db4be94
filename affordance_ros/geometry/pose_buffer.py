# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a frame was at a stamp: transforms of a robot or of a bag, chained and interpolated, never "latest"."""

import bisect
import threading
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import interpolate, inverse, quaternion_from_matrix
from affordance_ros.results import FloatArray

JUMP_NS = 1_000_000_000  # one frame has one broadcaster: its stamps do not go back this far by themselves
GAP_NS = 2_000_000_000
STILL_M, STILL = 0.001, 0.9999985  # what moved by less than 1 mm and 0.2 degrees (half the cosine's angle) stood still


@dataclass(frozen=True)
class StaticTransform:
    """A pose that holds for ever. parent_from_child: (4, 4)."""

    parent: str
    child: str
    parent_from_child: FloatArray


class PoseBuffer:
    """Transforms by child frame: (stamp, parent_from_child). Static ones hold for ever; callable from any thread.

    keep_ns: how long moving ones are kept; None keeps all and takes a jump back in time for a recording that repeats
    itself, as a bag may, instead of forgetting what was before.
    gap_ns: longest time between two poses that is bridged where the frame moved: what it did between them is not known.
    """

    def __init__(self, keep_ns: int | None = 30_000_000_000, gap_ns: int = GAP_NS) -> None:
        self.keep_ns, self.gap_ns = keep_ns, gap_ns
        self._lock = threading.Lock()
        self._parent: dict[str, str] = {}
        self._static: dict[str, FloatArray] = {}
        self._moving: dict[str, list[tuple[int, FloatArray]]] = defaultdict(list)

    def add(
        self, parent: str, child: str, stamp_ns: int, parent_from_child: FloatArray, *, static: bool = False
    ) -> None:
        """Take one transform; a leading slash of a frame name, as old drivers write it, is dropped."""
        parent, child = parent.lstrip('/'), child.lstrip('/')
        with self._lock:
            if self._parent.get(child, parent) != parent:
                self._moving.pop(child, None)  # hung up elsewhere: the old poses are in another frame
                self._static.pop(child, None)
            self._parent[child] = parent
            if static:
                self._static[child] = parent_from_child
                return
            entries = self._moving[child]
            if self.keep_ns is not None and entries and stamp_ns < entries[-1][0] - JUMP_NS:
                entries.clear()  # time jumped back: a bag loops, a simulation starts again
            bisect.insort(entries, (stamp_ns, parent_from_child), key=lambda entry: entry[0])
            while self.keep_ns is not None and entries[-1][0] - entries[0][0] > self.keep_ns:
                entries.pop(0)

    def root_of(self, frame: str) -> str:
        """Return the topmost known ancestor of a frame, or the frame itself."""
        with self._lock:
            return self._ancestors(frame.lstrip('/'))[-1]

    def forget_moving(self) -> None:
        """Forget all but the static transforms."""
        with self._lock:
            self._moving.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> FloatArray:
        """Return target_from_source (4, 4) at a stamp. Raises AffordanceError TF that names what is missing."""
        with self._lock:
            source, target = source.lstrip('/'), target.lstrip('/')
            upward, downward = self._ancestors(source), self._ancestors(target)
            common = next((name for name in upward if name in downward), None)
            if common is None:
                text = f'no transform joins {source!r} and {target!r}; publish the camera pose on /tf or /tf_static'
                raise AffordanceError(Code.TF, text)
            # Only the way between the two is looked at: what moves further up need not be known.
            result: FloatArray = inverse(self._climb(target, common, stamp_ns)) @ self._climb(source, common, stamp_ns)
        return result

    def _ancestors(self, frame: str) -> list[str]:
        names = [frame]
        while (parent := self._parent.get(names[-1])) is not None and parent not in names:
            names.append(parent)
        return names

    def _climb(self, frame: str, ancestor: str, stamp_ns: int) -> FloatArray:
        """Return ancestor_from_frame."""
        pose: FloatArray = np.eye(4)
        while frame != ancestor:
            pose = self._at(frame, stamp_ns) @ pose
            frame = self._parent[frame]
        return pose

    def _at(self, child: str, stamp_ns: int) -> FloatArray:
        entries = self._moving.get(child)
        if not entries:
            if child not in self._static:
                raise AffordanceError(Code.TF, f'the pose of {child!r} is not known any more; is it broadcast?')
            return self._static[child]
        index = bisect.bisect_left(entries, stamp_ns, key=lambda entry: entry[0])
        if index < len(entries) and entries[index][0] == stamp_ns:
            return entries[index][1]
        if index in (0, len(entries)):
            known = f'from {entries[0][0] / 1e9:.3f} s to {entries[-1][0] / 1e9:.3f} s'
            text = f'the pose of {child!r} is known {known}, the image is of {stamp_ns / 1e9:.3f} s'
            raise AffordanceError(Code.TF, f'{text}; check clocks, or raise tf.timeout_s')
        (before, start), (after, end) = entries[index - 1], entries[index]
        if after - before > self.gap_ns and not _alike(start, end):
            text = f'{child!r} moved and its pose is not known from {before / 1e9:.3f} s to {after / 1e9:.3f} s'
            raise AffordanceError(Code.TF, f'{text}; the image is of {stamp_ns / 1e9:.3f} s; broadcast more often')
        return interpolate(start, end, (stamp_ns - before) / (after - before))


def _alike(first: FloatArray, second: FloatArray) -> bool:
    """Tell whether two poses are the same to a millimetre and a fifth of a degree."""
    a, b = quaternion_from_matrix(first[:3, :3]), quaternion_from_matrix(second[:3, :3])
    return bool(np.linalg.norm(first[:3, 3] - second[:3, 3]) < STILL_M and abs(float(a @ b)) > STILL)
