# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera: pixels (u, v) with centres at integers, optical frame x right, y down, z forward."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Intrinsics

Array = npt.NDArray[Any]
ROUNDS, ENOUGH_PX = 20, 1e-4
DISTORTION_MODELS = ('', 'plumb_bob', 'rational_polynomial', 'equidistant')


def rays(pixels: npt.ArrayLike, intrinsics: Intrinsics) -> Array:
    """Return the points (N, 3) at z = 1 behind pixels (N, 2), with the lens distortion removed.

    Raises AffordanceError BAD_INPUT for a distortion model that is not known.
    """
    points = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    k = intrinsics
    found = np.ones((len(points), 3))
    if not any(k.distortion):
        found[:, 0] = (points[:, 0] - k.cx) / k.fx
        found[:, 1] = (points[:, 1] - k.cy) / k.fy
        return found
    if k.distortion_model == 'equidistant':
        flat: Array = cv2.fisheye.undistortPoints(points[:, None], k.matrix, np.array(k.distortion[:4]))[:, 0]
    elif k.distortion_model in DISTORTION_MODELS:
        flat = _polished(cv2.undistortPoints(points[:, None], k.matrix, np.array(k.distortion))[:, 0], points, k)
    else:
        known = ', '.join(name for name in DISTORTION_MODELS if name)
        raise AffordanceError(Code.BAD_INPUT, f'unknown distortion model {k.distortion_model!r}; known: {known}')
    found[:, :2] = flat
    return found


def _polished(flat: Array, points: Array, intrinsics: Intrinsics) -> Array:
    """Return undistorted points (N, 2) that project to `points`: OpenCV's five rounds leave up to 0.1 pixel."""
    for _ in range(ROUNDS):
        error = project(np.column_stack((flat, np.ones(len(flat)))), intrinsics) - points
        if not np.isfinite(error).all() or np.abs(error).max(initial=0) < ENOUGH_PX:
            break
        flat = flat - error / (intrinsics.fx, intrinsics.fy)
    return flat


def deproject(pixels: npt.ArrayLike, depth: npt.ArrayLike, intrinsics: Intrinsics) -> Array:
    """Return points (N, 3) in metres of pixels (N, 2) with depth (N,) along the optical axis."""
    return rays(pixels, intrinsics) * np.asarray(depth, dtype=np.float64).reshape(-1, 1)


def project(points: npt.ArrayLike, intrinsics: Intrinsics) -> Array:
    """Return pixels (N, 2) of points (N, 3), distorted as the image is; NaN for points not before the camera."""
    array = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    k = intrinsics
    z = np.where(array[:, 2] > 1e-6, array[:, 2], np.nan)
    if not any(k.distortion):
        return np.column_stack((array[:, 0] / z * k.fx + k.cx, array[:, 1] / z * k.fy + k.cy))
    model = cv2.fisheye if k.distortion_model == 'equidistant' else cv2
    flat = np.nan_to_num(np.column_stack((array[:, 0] / z, array[:, 1] / z, np.ones(len(array)))))
    distortion = np.array(k.distortion[:4] if k.distortion_model == 'equidistant' else k.distortion)
    pixels = model.projectPoints(flat[:, None], np.zeros(3), np.zeros(3), k.matrix, distortion)[0].reshape(-1, 2)
    return np.where(np.isfinite(z)[:, None], pixels, np.nan)


def scaled(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """Return the intrinsics of the same picture resized to width x height (pixel centres at integers)."""
    sx, sy = width / intrinsics.width, height / intrinsics.height
    cx, cy = (intrinsics.cx + 0.5) * sx - 0.5, (intrinsics.cy + 0.5) * sy - 0.5
    return Intrinsics(
        intrinsics.fx * sx,
        intrinsics.fy * sy,
        cx,
        cy,
        width,
        height,
        intrinsics.distortion,
        intrinsics.distortion_model,
    )
