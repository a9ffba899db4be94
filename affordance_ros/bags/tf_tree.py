# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transforms of a bag: where the camera was in another frame at a stamp."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.geometry.transforms import interpolate, inverse, pose_from
from affordance_ros.results import FloatArray

_LONGEST_CHAIN = 50


@dataclass(frozen=True)
class StaticTransform:
    """parent_from_child: (4, 4)."""

    parent: str
    child: str
    parent_from_child: FloatArray


class TransformTree:
    """parent_from_child per child frame: static, or a list by time that is interpolated and never extrapolated."""

    def __init__(self) -> None:
        self._static: dict[str, tuple[str, FloatArray]] = {}
        self._moving: dict[str, tuple[str, list[tuple[int, FloatArray]]]] = {}

    def add_static(self, transform: StaticTransform) -> None:
        """Take up a transform that came from elsewhere."""
        self._static[transform.child.lstrip('/')] = (transform.parent.lstrip('/'), transform.parent_from_child)

    def add(self, transforms: Iterable[Any], *, static: bool) -> None:
        """Take up the transforms of one TFMessage."""
        for item in transforms:
            t, q = item.transform.translation, item.transform.rotation
            pose = pose_from((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
            child, parent = item.child_frame_id.lstrip('/'), item.header.frame_id.lstrip('/')
            if static:
                self._static[child] = (parent, pose)
            else:
                stamp = int(item.header.stamp.sec) * 10**9 + int(item.header.stamp.nanosec)
                self._moving.setdefault(child, (parent, []))[1].append((stamp, pose))

    def pose_of(self, frame: str, target: str, stamp_ns: int) -> tuple[FloatArray | None, str]:
        """Return (target_from_frame (4, 4), name of the target); (None, '') when the way is not known at that stamp.

        An empty `target` means the root above `frame`.
        """
        up = self._chain(frame.lstrip('/'), stamp_ns)
        if not target:
            root = list(up)[-1]
            return (up[root], root) if len(up) > 1 else (None, '')
        other = self._chain(target.lstrip('/'), stamp_ns)
        for name, ancestor_from_target in other.items():
            if name in up:
                return np.asarray(inverse(ancestor_from_target) @ up[name]), target
        return None, ''

    def _chain(self, frame: str, stamp_ns: int) -> dict[str, FloatArray]:
        """Return ancestor_from_frame for the frame and every ancestor known at the stamp, nearest first."""
        chain: dict[str, FloatArray] = {frame: np.eye(4)}
        while len(chain) < _LONGEST_CHAIN:
            step = self._step(frame, stamp_ns)
            if step is None or step[0] in chain:
                break
            chain[step[0]] = step[1] @ chain[frame]
            frame = step[0]
        return chain

    def _step(self, child: str, stamp_ns: int) -> tuple[str, FloatArray] | None:
        if child in self._static:
            return self._static[child]
        if child not in self._moving:
            return None
        parent, poses = self._moving[child]
        poses.sort(key=lambda item: item[0])
        stamps = [stamp for stamp, _ in poses]
        after = bisect_left(stamps, stamp_ns)
        if after < len(stamps) and stamps[after] == stamp_ns:
            return parent, poses[after][1]
        if not 0 < after < len(stamps):
            return None
        (t0, first), (t1, second) = poses[after - 1], poses[after]
        return parent, interpolate(first, second, (stamp_ns - t0) / (t1 - t0))
