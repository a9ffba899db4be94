# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera was when the image was taken: a small buffer of /tf and /tf_static, looked up at the image's stamp, never at "latest"."""

import bisect
import threading
from collections import defaultdict

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import interpolate, inverse
from affordance_ros.results import FloatArray


class PoseBuffer:
    """Transforms by child frame: (stamp, parent_from_child), at most `keep_ns` old. Static ones count for every time."""

    def __init__(self, keep_ns: int = 30_000_000_000) -> None:
        self.keep_ns = keep_ns
        self._lock = threading.Lock()
        self._parent: dict[str, str] = {}
        self._static: dict[str, FloatArray] = {}
        self._moving: dict[str, list[tuple[int, FloatArray]]] = defaultdict(list)

    def add(
        self, parent: str, child: str, stamp_ns: int, parent_from_child: FloatArray, *, static: bool = False
    ) -> None:
        """Take one transform."""
        with self._lock:
            self._parent[child] = parent
            if static:
                self._static[child] = parent_from_child
                return
            entries = self._moving[child]
            if entries and stamp_ns < entries[-1][0] - self.keep_ns:
                entries.clear()  # time jumped back
            bisect.insort(entries, (stamp_ns, parent_from_child), key=lambda entry: entry[0])
            while entries[-1][0] - entries[0][0] > self.keep_ns:
                entries.pop(0)

    def lookup(self, target: str, source: str, stamp_ns: int) -> FloatArray:
        """Return target_from_source (4, 4) at a stamp. Raises AffordanceError TF that names what is missing."""
        with self._lock:
            upward, downward = self._chain(source, stamp_ns), self._chain(target, stamp_ns)
        common = next((name for name in upward if name in downward), None)
        if common is None:
            text = f'no transform joins {source!r} and {target!r}; publish the pose of the camera on /tf or /tf_static'
            raise AffordanceError(Code.TF, text)
        result: FloatArray = inverse(downward[common]) @ upward[common]
        return result

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, FloatArray]:
        """Return ancestor_from_frame for the frame itself and all its ancestors."""
        chain: dict[str, FloatArray] = {frame: np.eye(4)}
        pose, current = np.eye(4), frame
        while current in self._parent and self._parent[current] not in chain:
            pose = self._at(current, stamp_ns) @ pose
            current = self._parent[current]
            chain[current] = pose
        return chain

    def _at(self, child: str, stamp_ns: int) -> FloatArray:
        entries = self._moving.get(child)
        if not entries:
            return self._static[child]
        index = bisect.bisect_left(entries, stamp_ns, key=lambda entry: entry[0])
        if index < len(entries) and entries[index][0] == stamp_ns:
            return entries[index][1]
        if index in (0, len(entries)):
            first, last = entries[0][0] / 1e9, entries[-1][0] / 1e9
            text = f'the pose of {child!r} is known from {first:.3f} s to {last:.3f} s, the image is of {stamp_ns / 1e9:.3f} s'
            raise AffordanceError(Code.TF, f'{text}; check clocks, or raise tf.timeout_s')
        (before, start), (after, end) = entries[index - 1], entries[index]
        return interpolate(start, end, (stamp_ns - before) / (after - before))
