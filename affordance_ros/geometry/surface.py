# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shape of the visible surface around a point: normal, main direction, the patch it belongs to, the table."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from affordance_ros.geometry.camera import deproject
from affordance_ros.results import Intrinsics

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """A crop of the depth image as points. points: (h, w, 3) metres, NaN where invalid. origin: (u, v) of its first pixel."""

    points: Array
    origin: tuple[int, int]

    @property
    def cloud(self) -> Array:
        """The valid points (N, 3)."""
        flat = self.points.reshape(-1, 3)
        return np.asarray(flat[np.isfinite(flat[:, 2])])


def crop(depth: npt.NDArray[np.float32], intrinsics: Intrinsics, pixel: tuple[float, float], radius_px: int) -> Patch:
    """Return the points of the square of +-radius_px about a pixel (clipped to the image)."""
    u, v = round(pixel[0]), round(pixel[1])
    left, top = max(0, u - radius_px), max(0, v - radius_px)
    window = depth[top : v + radius_px + 1, left : u + radius_px + 1].astype(np.float64)
    window = np.where(np.isfinite(window) & (window > 0), window, np.nan)
    rows, columns = np.mgrid[: window.shape[0], : window.shape[1]]
    pixels = np.column_stack((columns.ravel() + left, rows.ravel() + top))
    return Patch(deproject(pixels, window.ravel(), intrinsics).reshape(*window.shape, 3), (left, top))


def normal_of(points: Array, center: Array, sigma: float) -> tuple[Array, float, float]:
    """Return the unit normal towards the camera, the surface variation in [0, 1/3] and the RMS residual of points (N, 3).

    Principal component analysis, trimmed three times at 2.5 residuals (at least sigma) so that a neighbour surface drops out.
    """
    kept = points
    normal, variation, residual = -center / np.linalg.norm(center), 0.0, sigma
    for _ in range(3):
        offsets = kept - kept.mean(axis=0)
        values, vectors = np.linalg.eigh(offsets.T @ offsets / len(kept))
        normal = vectors[:, 0]
        variation = float(max(values[0], 0) / max(values.sum(), 1e-18))
        distance = np.abs(offsets @ normal)
        residual = float(np.sqrt(np.mean(distance**2)))
        close = distance <= 2.5 * max(residual, sigma)
        if close.all() or close.sum() < 8:
            break
        kept = kept[close]
    return (normal if normal @ center < 0 else -normal), variation, residual


def main_axis(points: Array, normal: Array) -> tuple[Array, float]:
    """Return the unit direction in the tangent plane along which points (N, 3) extend most, and its anisotropy in [0, 1]."""
    side = np.cross(normal, (0.0, 0.0, 1.0) if abs(normal[2]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    other = np.cross(normal, side)
    flat = (points - points.mean(axis=0)) @ np.column_stack((side, other))
    values, vectors = np.linalg.eigh(flat.T @ flat / max(1, len(points)))
    axis = vectors[0, 1] * side + vectors[1, 1] * other
    return axis / np.linalg.norm(axis), float(1 - np.sqrt(max(values[0], 0) / max(values[1], 1e-18)))


def connected(patch: Patch, seed: tuple[int, int], jump_m: float, excluded: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Return the pixels (h, w) joined to `seed` (row, column) without a depth jump above jump_m between neighbours."""
    z = patch.points[..., 2]
    usable = np.isfinite(z)
    if excluded is not None:
        usable &= ~excluded
    far = np.where(usable, z, np.inf)
    spread = ndimage.maximum_filter(np.where(usable, z, -np.inf), size=3) - ndimage.minimum_filter(far, size=3)
    smooth = usable & (spread <= jump_m)
    smooth[seed] = usable[seed]
    labels, _ = ndimage.label(smooth, structure=np.ones((3, 3)))
    if not labels[seed]:
        return np.zeros(z.shape, bool)
    core = labels == labels[seed]
    return np.asarray(ndimage.binary_dilation(core) & usable & (np.abs(z - z[seed]) < np.inf))


def support_plane(cloud: Array, sigma: float, seed: int = 0) -> tuple[Array, float] | None:
    """Return (unit normal towards the camera, offset) of the plane that holds most of a cloud (N, 3), None below 25 %.

    RANSAC with a fixed seed; a point p lies normal @ p - offset above the plane.
    """
    if len(cloud) < 50:
        return None
    rng = np.random.default_rng(seed)
    sample = cloud[rng.choice(len(cloud), min(len(cloud), 1200), replace=False)]
    corners = sample[rng.integers(len(sample), size=(80, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    fit = lengths > 1e-7
    normals, corners = normals[fit] / lengths[fit, None], corners[fit]
    if not len(normals):
        return None
    close = np.abs(sample @ normals.T - np.einsum('ij,ij->i', normals, corners[:, 0])) < max(3 * sigma, 0.003)
    best = int(close.sum(axis=0).argmax())
    inliers = sample[close[:, best]]
    if len(inliers) < 0.25 * len(sample):
        return None
    middle = inliers.mean(axis=0)
    normal = np.linalg.eigh((inliers - middle).T @ (inliers - middle))[1][:, 0]
    normal = normal if normal @ middle < 0 else -normal
    return normal, float(normal @ middle)
