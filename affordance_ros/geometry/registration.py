# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of one camera in the image of another, and whether a depth image fits its colour image at all."""

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject, project
from affordance_ros.geometry.transforms import transform_points
from affordance_ros.results import FloatArray, Intrinsics

Float32 = npt.NDArray[np.float32]
_JUMP = 0.05
_FEWEST_EDGES = 50


def register_depth(depth: Float32, of: Intrinsics, to: Intrinsics, to_from_of: FloatArray) -> Float32:
    """Return depth (H, W) in metres as the camera `to` sees it, NaN where nothing falls.

    Every measured pixel is moved to the other camera and covers the square that it is large there, so that a larger
    image has no holes between the pixels of one surface; where several fall on one pixel the nearest counts. Nothing is
    invented where the depth camera did not look.

    Args:
        depth: float32 (h, w) metres, NaN where invalid.
        of: intrinsics of the depth camera, with its distortion.
        to: intrinsics of the other camera, with its distortion.
        to_from_of: (4, 4) pose of the depth camera in the frame of the other.
    """
    rows, columns = np.nonzero(np.isfinite(depth) & (depth > 0))
    nearest = np.full(to.height * to.width, np.inf, np.float32)
    if len(rows):
        z_of = depth[rows, columns].astype(np.float64)
        points = transform_points(to_from_of, deproject(np.column_stack((columns, rows)), z_of, of))
        seen = points[:, 2] > 0
        points, z_of = points[seen], z_of[seen]
        side = np.maximum(1.0, to.fx / of.fx * z_of / points[:, 2])  # of a pixel in the other image
        _cover(nearest, to, project(points, to), side, points[:, 2].astype(np.float32))
    nearest[np.isinf(nearest)] = np.nan
    return nearest.reshape(to.height, to.width)


def _cover(nearest: Float32, to: Intrinsics, middles: FloatArray, side: FloatArray, z: Float32) -> None:
    """Write the nearest depth of the squares of `side` about `middles` (N, 2) into `nearest` (H * W)."""
    if not len(z):
        return
    half = side[:, None] / 2
    first = np.ceil(middles - half - 1e-9).astype(np.int64)
    last = np.floor(middles + half - 1e-9).astype(np.int64)  # the square is half open, so that squares do not overlap
    span = range(int((last - first).max()) + 1)
    for down in span:
        v = first[:, 1] + down
        in_rows = (v <= last[:, 1]) & (v >= 0) & (v < to.height)
        for right in span:
            u = first[:, 0] + right
            inside = in_rows & (u <= last[:, 0]) & (u >= 0) & (u < to.width)
            np.minimum.at(nearest, v[inside] * to.width + u[inside], z[inside])


def edge_agreement(rgb: npt.NDArray[np.uint8], depth: Float32, reach_px: int = 12) -> tuple[float, tuple[int, int]]:
    """Tell how well the edges of depth and colour fit, and the shift of the depth that would fit best.

    Returns:
        (score, (du, dv)): score is the mean colour gradient on the depth edges as they are, over the mean on them at
        all shifts up to `reach_px`: about 1 for unrelated images, well above for aligned ones. NaN and (0, 0) when the
        depth has too few edges to tell.
    """
    edges = np.argwhere(_depth_edges(depth))
    inner = (edges >= reach_px).all(1) & (edges < np.array(depth.shape) - reach_px).all(1)
    edges = edges[inner]
    if len(edges) < _FEWEST_EDGES:
        return float('nan'), (0, 0)
    gradient = _color_gradient(rgb)
    shifts = [(du, dv) for dv in range(-reach_px, reach_px + 1, 2) for du in range(-reach_px, reach_px + 1, 2)]
    means = np.array([gradient[edges[:, 0] + dv, edges[:, 1] + du].mean() for du, dv in shifts])
    here = means[shifts.index((0, 0))]
    return float(here / means.mean()), shifts[int(means.argmax())]


def _depth_edges(depth: Float32) -> npt.NDArray[np.bool_]:
    """Return the near side of every jump of more than 5 % between neighbours."""
    known = np.isfinite(depth) & (depth > 0)
    filled = np.where(known, depth, np.inf).astype(np.float32)
    far = cv2.dilate(np.where(known, depth, 0).astype(np.float32), np.ones((3, 3), np.uint8))
    return np.asarray(known & (far > filled * (1 + _JUMP)))


def _color_gradient(rgb: npt.NDArray[np.uint8]) -> Float32:
    """Return the strength of the colour edges (H, W), each spread by one pixel."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.dilate(np.hypot(across, down), np.ones((3, 3), np.uint8)), np.float32)
