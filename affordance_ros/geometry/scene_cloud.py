# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole cloud of a frame, thinned to a few millimetres and made once: what a hand must not touch.

It stays organised, so the surroundings of a point are a window of it and cost next to nothing to find.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.depth import NoiseModel, forget
from affordance_ros.geometry.surface import PLANE_SAMPLE, Plane, floor_of
from affordance_ros.results import Frame

Array = npt.NDArray[Any]
PITCH_M = 0.0025


class SceneCloud:
    """points: (h, w, 3) metres in the camera frame, NaN where invalid; every `step`-th pixel of the frame."""

    def __init__(self, frame: Frame, noise: NoiseModel, range_m: tuple[float, float] = (0.15, 3.0)) -> None:
        if frame.depth is None or frame.intrinsics is None:
            raise ValueError('a cloud needs depth and intrinsics')
        k, self.noise = frame.intrinsics, noise
        self.frame = frame
        coarse = frame.depth[::16, ::16]
        known = coarse[(coarse >= range_m[0]) & (coarse <= range_m[1])]
        self.middle_m = float(np.median(known)) if len(known) else 1.0
        self.step = max(1, round(PITCH_M * k.fx / self.middle_m))
        self.pitch_m = self.step * self.middle_m / k.fx
        z = without_flying(frame.depth, self.step, noise.sigma(self.middle_m))
        forget(z, ~((z >= range_m[0]) & (z <= range_m[1])))
        rows, columns = (np.arange(size) * self.step for size in z.shape)
        self.points = np.empty((*z.shape, 3), np.float32)
        if any(k.distortion):
            from affordance_ros.geometry.camera import rays

            pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
            self.points[...] = (rays(pixels, k) * z.reshape(-1, 1)).reshape(*z.shape, 3)
            return
        self.points[..., 0] = z * ((columns - k.cx) / k.fx).astype(np.float32)
        self.points[..., 1] = z * ((rows - k.cy) / k.fy).astype(np.float32)[:, None]
        self.points[..., 2] = z

    def near(self, point: npt.ArrayLike, reach_m: float, every: int = 1) -> tuple[Array, Array]:
        """Return the points (N, 3) within reach of a point, relative to it, and their (row, column) in the grid."""
        center = np.asarray(point, dtype=np.float64)
        k = self.frame.intrinsics
        assert k is not None
        nearest = max(0.1, center[2] - reach_m)
        bounds = []
        for axis, focal, offset, size in ((1, k.fy, k.cy, self.points.shape[0]), (0, k.fx, k.cx, self.points.shape[1])):
            # The window that holds every point within reach whatever its depth.
            ends = [(center[axis] + sign * reach_m) / nearest * focal + offset for sign in (-1, 1)]
            ends += [(center[axis] + sign * reach_m) / (center[2] + reach_m) * focal + offset for sign in (-1, 1)]
            low, high = int(min(ends) // self.step), int(max(ends) // self.step) + 2
            bounds.append((max(0, low) // every * every, min(size, max(0, high))))
        (top, bottom), (left, right) = bounds
        window = self.points[top:bottom:every, left:right:every]
        offsets = window - center.astype(np.float32)
        kept = np.nonzero(np.einsum('hwc,hwc->hw', offsets, offsets) <= reach_m**2)
        place = np.column_stack((kept[0] * every + top, kept[1] * every + left))
        return offsets[kept].astype(np.float64), place

    @cached_property
    def plane(self) -> Plane | None:
        """The plane that holds most of what is seen, if everything else lies above it: the table."""
        flat = self.points.reshape(-1, 3)
        known = np.flatnonzero(np.isfinite(self.points[..., 2]))
        known = known[:: max(1, len(known) // PLANE_SAMPLE)]
        return floor_of(flat[known], self.noise.sigma(self.middle_m))

    def plane_near(self, point: npt.ArrayLike, reach_m: float = 0.3) -> Plane | None:
        """Return the table under a point: the plane of the frame where it runs near, else the one of what is near."""
        around, _ = self.near(point, reach_m, every=3)
        around = around + np.asarray(point)
        plane = self.plane
        if plane is not None and len(around):
            band = max(3 * plane.residual_m, 0.004)
            if (np.abs(around @ plane.normal - plane.offset) < band).mean() > 0.08:
                return plane
        return floor_of(around, self.noise.sigma(self.middle_m))

    @property
    def up(self) -> Array | None:
        """Unit vector upwards in the camera frame: z of the target frame, else the normal of the table, else None."""
        if self.frame.target_from_camera is not None:
            return np.asarray(self.frame.target_from_camera)[2, :3].copy()
        return None if self.plane is None else np.asarray(self.plane.normal)


def without_flying(depth: npt.NDArray[np.float32], step: int, sigma_m: float) -> npt.NDArray[np.float32]:
    """Return every step-th depth; NaN where it hangs between its two neighbours, as mixed pixels at an edge do.

    A pixel is flying when it lies farther than 6 sigma (at least 6 mm) from both neighbours of a row or column, and
    between them: a slanted surface has small steps, a thin part lies before both of its neighbours.
    """
    height, width = depth.shape
    rows, columns = np.arange(0, height, step), np.arange(0, width, step)
    z = _believed(depth[::step, ::step])
    jump = np.float32(max(6 * sigma_m, 0.006))
    flying = np.zeros(z.shape, bool)
    before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, height - 1)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns + 1, width - 1)
    for first, second in (
        (depth[before, ::step], depth[after, ::step]),
        (depth[::step][:, left], depth[::step][:, right]),
    ):
        first, second = _believed(first), _believed(second)
        up, down = z - first, second - z
        flying |= (np.minimum(np.abs(up), np.abs(down)) > jump) & (up * down > 0)
    forget(z, flying)
    return z


def _believed(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the depth with NaN for what no camera measures."""
    depth = depth.copy()
    forget(depth, ~((depth > 0) & (depth < 100)))
    return depth
