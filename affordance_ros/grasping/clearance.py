# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the open hand fit: fingers, palm and the way in, against the seen cloud and the plane below."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.transforms import inverse, transform_points
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.neighborhood import Neighborhood

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clearance:
    """touching: cloud points inside the hand or its way in. free_m: distance of the nearest other point, 0 when touching."""

    touching: int
    free_m: float
    between: int


def clearance(pose: Array, opening_m: float, around: Neighborhood, gripper: GripperSettings, sweep_m: float) -> Clearance:
    """Check a camera_from_tcp pose with the jaws open. sweep_m: length of the straight way in."""
    local = transform_points(inverse(pose), around.scene)
    boxes = gripper.boxes(opening_m, sweep_m)
    inside, nearest = 0, np.inf
    for low, high in boxes:
        outside = np.maximum(np.maximum(low - local, local - high), 0)
        distance = np.linalg.norm(outside, axis=1)
        inside += int((distance <= 0).sum())
        nearest = min(nearest, float(distance[distance > 0].min(initial=np.inf)))
    half = opening_m / 2
    held = (np.abs(local[:, 0]) < gripper.finger_width_m / 2) & (np.abs(local[:, 1]) < half) & (np.abs(local[:, 2]) < 0.03)
    below = _below_plane(pose, opening_m, around, gripper)
    free = nearest if below >= 0 else 0.0
    return Clearance(inside + (1000 if below < 0 else 0), min(free, max(below, 0.0)) if inside == 0 else 0.0, int(held.sum()))


def _below_plane(pose: Array, opening_m: float, around: Neighborhood, gripper: GripperSettings) -> float:
    """Return the height (m) of the lowest fingertip corner over the support plane; infinite when there is none."""
    if around.plane is None:
        return float('inf')
    y, x = opening_m / 2 + gripper.finger_thickness_m, gripper.finger_width_m / 2
    tips = transform_points(pose, [(sx * x, sy * y, 0.0) for sx in (-1, 1) for sy in (-1, 1)])
    return float((tips @ around.plane[0] - around.plane[1]).min())
