# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth of one camera in the image of another."""

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject, project
from affordance_ros.geometry.transforms import transform_points
from affordance_ros.results import FloatArray, Intrinsics

Float32 = npt.NDArray[np.float32]


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
