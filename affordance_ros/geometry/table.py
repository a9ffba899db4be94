# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table under the things: found once per frame, and what of a crop of depth stands above it.

A flat tool lies a centimetre above the table, less than the noise of one pixel at a metre. The table is known from
thousands of pixels and the height of a pixel from its neighbours, so that the two can still be told apart.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject, rays
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.quantiles import quantiles
from affordance_ros.geometry.surface import PLANE_SAMPLE, Plane, floor_of
from affordance_ros.results import Frame, Intrinsics

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
STEP = 12  # every so many pixels of a row or column are enough for a plane
FEWEST = 100
LEAST_M = 0.002
SMOOTH_PX = 5
KNOTS = 7  # rays of a crop to each side that a lens is followed at
NO_DEPTH = np.float32(-1000)


def table_of(frame: Frame, noise: NoiseModel, range_m: tuple[float, float]) -> Plane | None:
    """Return the plane that most of a coarse sample of the frame lies on, if hardly anything lies below it."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    depth = frame.depth[::STEP, ::STEP].copy()
    chosen = np.flatnonzero((depth >= range_m[0]) & (depth <= range_m[1]))
    if len(chosen) < FEWEST:
        return None
    z = depth.ravel()[chosen].astype(np.float64)
    sigma = noise.sigma(quantiles(z, 0.5)[0])
    every = max(1, len(z) // PLANE_SAMPLE)
    rows, columns = np.divmod(chosen[::every], depth.shape[1])
    return floor_of(deproject(np.stack((columns, rows), axis=1) * STEP, z[::every], frame.intrinsics), sigma)


def heights(z: Array, place: tuple[Array, Array], table: Plane, intrinsics: Intrinsics) -> Array:
    """Return the height over the table of a crop (h, w) of depth; NaN where there is none.

    place: image coordinates of its columns (w,) and rows (h,).
    """
    columns, rows = place
    if any(intrinsics.distortion):
        return np.asarray(z * _along(table.normal, place, intrinsics) - table.offset)
    x = (columns - intrinsics.cx) * (table.normal[0] / intrinsics.fx)
    y = (rows - intrinsics.cy) * (table.normal[1] / intrinsics.fy) + table.normal[2]
    height: Array = z * (x.astype(z.dtype) + y.astype(z.dtype)[:, None])
    height -= table.offset
    return height


def _along(normal: Array, place: tuple[Array, Array], intrinsics: Intrinsics) -> Array:
    """Return (h, w): the rays of a crop along a direction; a lens bends slowly, so few rays are enough."""
    columns, rows = (np.asarray(at, dtype=np.float64) for at in place)
    across, down = (np.linspace(at[0], at[-1], KNOTS) for at in (columns, rows))
    pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    knots = (rays(pixels, intrinsics) @ normal).reshape(KNOTS, KNOTS)
    return np.asarray(_hats(rows, down) @ knots @ _hats(columns, across).T)


def _hats(at: Array, knots: Array) -> Array:
    """Return (N, K): the weights of linear interpolation between knots."""
    step = max(float(knots[1] - knots[0]), 1e-9)
    weights = np.clip(1 - np.abs(at[:, None] - knots[None]) / step, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def least_height(sigma_m: float) -> float:
    """Return the smoothed height above which something is not the table: a median of 25 has a quarter of the noise."""
    return 0.9 * sigma_m + LEAST_M


def median_of(values: Array, size: int) -> Array:
    """Return the median of size x size values, NaN where the value itself is not known; unknown ones count as far."""
    known = np.fmax(values, NO_DEPTH, dtype=np.float32)
    smooth: Array = cv2.medianBlur(known, size)
    lost = smooth == NO_DEPTH
    if np.count_nonzero(lost):
        smooth = np.where(lost, known, smooth)  # a value among unknown ones stays as it is
    smooth += values - values  # NaN where the value itself is
    return smooth
