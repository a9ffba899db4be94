# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the open hand fit: fingers, palm and the way in, against the seen cloud and the plane below."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.transforms import transform_points
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.neighborhood import Neighborhood

Array = npt.NDArray[Any]
FREE_M = 0.02  # farther than this is simply free


@dataclass(frozen=True)
class Clearance:
    """touching: cloud points inside the hand or its way in. free_m: distance of the nearest other, to 20 mm."""

    touching: int
    free_m: float
    between: int


def clearance(
    pose: Array, opening_m: float, around: Neighborhood, gripper: GripperSettings, sweep_m: float
) -> Clearance:
    """Check a camera_from_tcp pose with the jaws open. sweep_m: length of the straight way in."""
    local = (around.scene - pose[:3, 3]) @ pose[:3, :3]
    boxes = gripper.boxes(opening_m, sweep_m)
    low, high = boxes[:, 0].min(axis=0) - FREE_M, boxes[:, 1].max(axis=0) + FREE_M
    local = local[((local > low) & (local < high)).all(axis=1)]
    outside = np.maximum(np.maximum(boxes[:, None, 0] - local, local - boxes[:, None, 1]), 0)
    squared = (outside**2).sum(axis=-1).min(axis=0)
    inside = int((squared <= 0).sum())
    nearest = min(float(np.sqrt(squared.min(initial=np.inf))), FREE_M)
    held = (np.abs(local[:, 0]) < gripper.finger_width_m / 2) & (np.abs(local[:, 1]) < opening_m / 2)
    held &= np.abs(local[:, 2]) < 0.03
    below = _below_plane(pose, opening_m, around, gripper)
    free = min(nearest, max(below, 0.0)) if inside == 0 else 0.0
    return Clearance(inside + (1000 if below < 0 else 0), free, int(held.sum()))


def _below_plane(pose: Array, opening_m: float, around: Neighborhood, gripper: GripperSettings) -> float:
    """Return the height (m) of the lowest fingertip corner over the support plane; infinite when there is none."""
    if around.plane is None:
        return float('inf')
    y, x = opening_m / 2 + gripper.finger_thickness_m, gripper.finger_width_m / 2
    tips = transform_points(pose, [(sx * x, sy * y, 0.0) for sx in (-1, 1) for sy in (-1, 1)])
    return float((tips @ around.plane.normal - around.plane.offset).min())
