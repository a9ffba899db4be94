# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small organised clouds: a crop of the depth image, the direction of a part, the table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.quantiles import quantiles
from affordance_ros.results import Intrinsics

Array = npt.NDArray[Any]
PLANE_SAMPLE = 3000


@dataclass(frozen=True)
class Patch:
    """A crop of the depth image. points: (h, w, 3) metres, NaN where invalid. origin: (u, v) of its first pixel."""

    points: Array
    origin: tuple[int, int]

    @property
    def cloud(self) -> Array:
        """The valid points (N, 3)."""
        flat = self.points.reshape(-1, 3)
        return np.asarray(flat[np.isfinite(flat[:, 2])])


def crop(
    depth: npt.NDArray[np.float32], intrinsics: Intrinsics, pixel: tuple[float, float], radius_px: int, step: int = 1
) -> Patch:
    """Return the points of the square of +-radius_px about a pixel (clipped to the image), every step-th pixel.

    The pixel itself is always among them.
    """
    u = min(max(round(pixel[0]), 0), depth.shape[1] - 1)
    v = min(max(round(pixel[1]), 0), depth.shape[0] - 1)
    left, top = u - min(u, radius_px) // step * step, v - min(v, radius_px) // step * step
    window = depth[top : v + radius_px + 1 : step, left : u + radius_px + 1 : step].astype(np.float64)
    window = np.where(np.isfinite(window) & (window > 0), window, np.nan)
    across, down = left + step * np.arange(window.shape[1]), top + step * np.arange(window.shape[0])
    if any(intrinsics.distortion):
        pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        return Patch(deproject(pixels, window.ravel(), intrinsics).reshape(*window.shape, 3), (left, top))
    points = np.empty((*window.shape, 3))
    points[..., 0] = window * ((across - intrinsics.cx) / intrinsics.fx)
    points[..., 1] = window * ((down - intrinsics.cy) / intrinsics.fy)[:, None]
    points[..., 2] = window
    return Patch(points, (left, top))


def main_axis(points: Array, normal: Array) -> tuple[Array, float]:
    """Return the unit tangent direction along which points (N, 3) extend most, and its anisotropy in [0, 1]."""
    centred = points - points.mean(axis=0)
    axes, anisotropy = main_axes((centred.T @ centred / max(1, len(points)))[None], np.asarray(normal)[None])
    return axes[0], float(anisotropy[0])


def main_axes(covariance: Array, normals: Array) -> tuple[Array, Array]:
    """Return the same for K clouds of covariance (K, 3, 3) with normals (K, 3): axes (K, 3), anisotropies (K,)."""
    x, y, z = normals.T
    none, facing = np.zeros_like(x), np.abs(z) >= 0.9
    side = np.where(facing, (none, z, -y), (y, -x, none)).T  # normal x (1, 0, 0), or normal x (0, 0, 1)
    side /= np.sqrt((side * side).sum(axis=1, keepdims=True))
    (a, b, c) = side.T
    other = np.stack((y * c - z * b, z * a - x * c, x * b - y * a), axis=1)
    frame = np.stack((side, other), axis=1)
    flat = frame @ covariance @ frame.transpose(0, 2, 1)
    xx, xy, yy = flat[:, 0, 0], flat[:, 0, 1], flat[:, 1, 1]
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    least, most = np.maximum(middle - spread, 0.0), np.maximum(middle + spread, 1e-18)
    return np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other, 1 - np.sqrt(least / most)


@dataclass(frozen=True)
class Plane:
    """Points p with normal @ p == offset. normal: unit, towards the camera. residual_m: robust spread about it."""

    normal: Array
    offset: float
    residual_m: float


def support_plane(cloud: Array, sigma: float, seed: int = 0) -> Plane | None:
    """Return the plane that holds most of a cloud (N, 3), None below 25 %.

    RANSAC with a fixed seed; a point p lies normal @ p - offset above the plane.
    """
    if len(cloud) < 50:
        return None
    rng = np.random.default_rng(seed)
    sample = cloud[rng.integers(len(cloud), size=600)] if len(cloud) > 600 else cloud
    corners = sample[rng.integers(len(sample), size=(40, 3))]
    (a, b, c), (d, e, f) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    normals = np.stack((b * f - c * e, c * d - a * f, a * e - b * d), axis=1)
    lengths = np.sqrt((normals * normals).sum(axis=1))
    fit = lengths > 1e-7
    normals, corners = normals[fit] / lengths[fit, None], corners[fit]
    if not len(normals):
        return None
    reach = max(3 * sigma, 0.003)
    away = normals @ sample.T
    away -= np.einsum('ij,ij->i', normals, corners[:, 0])[:, None]
    close = np.abs(away, out=away) < reach
    number = np.count_nonzero(close, axis=1)
    best = int(number.argmax())
    return None if number[best] < 0.25 * len(sample) else _refined(sample, sample[close[best]], reach)


def floor_of(cloud: Array, sigma: float) -> Plane | None:
    """Return the main plane of a cloud (N, 3) when hardly anything lies below it: the table."""
    sample = cloud[:: max(1, len(cloud) // PLANE_SAMPLE)].astype(np.float64)
    plane = support_plane(sample, sigma)
    if plane is None:
        return None
    below = np.count_nonzero(sample @ plane.normal < plane.offset - max(5 * plane.residual_m, 0.008))
    return plane if below < 0.12 * len(sample) else None


def _refined(sample: Array, inliers: Array, reach: float) -> Plane:
    """Fit a plane to its inliers twice, the second time to what is close by its own spread."""
    for _ in range(3):
        middle = np.ones(len(inliers)) @ inliers / len(inliers)  # quicker than the mean of a narrow array
        centred = inliers - middle
        normal = np.linalg.eigh(centred.T @ centred)[1][:, 0]
        normal = normal if normal @ middle < 0 else -normal
        residual = 1.4826 * quantiles(np.abs(centred @ normal), 0.5)[0]
        offset = float(normal @ middle)
        close = np.abs(sample @ normal - offset) < min(max(3 * residual, 0.001), reach)
        if np.count_nonzero(close) < 20:
            break
        inliers = sample[close]
    return Plane(normal, offset, residual)
