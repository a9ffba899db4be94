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


def hidden_fingers(pose: Array, opening_m: float, cloud: SceneCloud, gripper: GripperSettings) -> float:
    """Return the share of the fingers in [0, 1] that nobody knows to be free. pose: camera_from_tcp (4, 4)."""
    half, thick = opening_m / 2, gripper.finger_thickness_m
    grid = [
        (x * gripper.finger_width_m, side * (half + thick * t), -z)
        for side in (-1, 1)
        for t in (0.3, 0.8)
        for x in (-0.35, 0.35)
        for z in (0.001, 0.010, 0.022)
    ]
    behind, outside = _hidden(np.array(grid), pose, cloud)
    return float((behind | outside).mean())


def hidden_palm(pose: Array, sweep_m: float, cloud: SceneCloud, gripper: GripperSettings) -> float:
    """Return the share of the palm and its way in, in [0, 1], that lies behind what was seen."""
    x, y, z = gripper.palm_m
    grid = [
        (across * x, along * y, -gripper.finger_length_m - back * (z + sweep_m))
        for across in (-0.4, 0.4)
        for along in (-0.45, -0.15, 0.15, 0.45)
        for back in (0.1, 0.5, 0.9)
    ]
    behind, _ = _hidden(np.array(grid), pose, cloud)
    return float(behind.mean())


def _hidden(grid: Array, pose: Array, cloud: SceneCloud) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which points (N, 3) of the hand lie behind a seen surface, and which outside of the image."""
    assert cloud.frame.depth is not None
    assert cloud.frame.intrinsics is not None
    points = grid @ pose[:3, :3].T + pose[:3, 3]
    pixels = np.nan_to_num(project(points, cloud.frame.intrinsics), nan=-1).round().astype(int)
    height, width = cloud.frame.depth.shape
    outside = (pixels < 0).any(axis=1) | (pixels[:, 0] >= width) | (pixels[:, 1] >= height)
    seen = cloud.frame.depth[np.clip(pixels[:, 1], 0, height - 1), np.clip(pixels[:, 0], 0, width - 1)]
    with np.errstate(invalid='ignore'):
        behind = ~outside & (seen > 0) & (points[:, 2] > seen + BEHIND_M)
    return behind, outside
