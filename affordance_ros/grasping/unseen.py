# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much of a hand goes where the camera saw nothing: behind a surface, or outside of the image."""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import project
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.gripper import GripperSettings

Array = npt.NDArray[Any]
BEHIND_M = 0.008


def _grid(*axes: tuple[float, ...]) -> tuple[Array, ...]:
    return tuple(part.ravel() for part in np.meshgrid(*axes, indexing='ij'))


SIDE, THICK, WIDE, UP_M = _grid((-1, 1), (0.3, 0.8), (-0.35, 0.35), (0.001, 0.010, 0.022))
ACROSS, ALONG, BACK = _grid((-0.4, 0.4), (-0.45, -0.15, 0.15, 0.45), (0.1, 0.5, 0.9))


def hidden_fingers(pose: Array, opening_m: Array | float, cloud: SceneCloud, gripper: GripperSettings) -> Array:
    """Return the share of the fingers in [0, 1] that nobody knows to be free, of one hand or of many.

    pose: camera_from_tcp (..., 4, 4). opening_m: (...).
    """
    half = np.asarray(opening_m)[..., None] / 2
    grid = np.empty((*half.shape[:-1], len(SIDE), 3))
    grid[..., 0], grid[..., 2] = gripper.finger_width_m * WIDE, -UP_M
    grid[..., 1] = SIDE * (half + gripper.finger_thickness_m * THICK)
    behind, outside = _hidden(grid, pose, cloud)
    return np.asarray((behind | outside).mean(axis=-1))


def hidden_palm(pose: Array, sweep_m: float, cloud: SceneCloud, gripper: GripperSettings) -> Array:
    """Return the share of the palm and its way in, in [0, 1], that lies behind what was seen: (...) of (..., 4, 4)."""
    x, y, z = gripper.palm_m
    grid = np.stack((ACROSS * x, ALONG * y, -gripper.finger_length_m - BACK * (z + sweep_m)), axis=-1)
    behind, _ = _hidden(grid, pose, cloud)
    return np.asarray(behind.mean(axis=-1))


def seen_share(hidden: Array | float, palm: Array | float) -> Array:
    """Return what is left of the worth of a hand by the hidden shares of its fingers and of its palm."""
    return np.asarray((1 - np.asarray(hidden)) ** 4 * (1 - 0.6 * np.asarray(palm)))


def _hidden(grid: Array, pose: Array, cloud: SceneCloud) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which points (..., N, 3) of hands (..., 4, 4) lie behind a seen surface, which outside of the image."""
    assert cloud.frame.depth is not None
    assert cloud.frame.intrinsics is not None
    points = grid @ np.swapaxes(pose[..., :3, :3], -1, -2) + pose[..., None, :3, 3]
    pixels = np.nan_to_num(project(points, cloud.frame.intrinsics), nan=-1).round().astype(int)
    u, v = pixels.T.reshape(2, *points.shape[:-1])
    height, width = cloud.frame.depth.shape
    outside = (u < 0) | (v < 0) | (u >= width) | (v >= height)
    seen = cloud.frame.depth[np.minimum(np.maximum(v, 0), height - 1), np.minimum(np.maximum(u, 0), width - 1)]
    with np.errstate(invalid='ignore'):
        behind = ~outside & (seen > 0) & (points[..., 2] > seen + BEHIND_M)
    return behind, outside
