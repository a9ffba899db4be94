# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the open hand fit: fingers, palm and the way in, against the whole seen cloud and the plane below."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.surface import Plane
from affordance_ros.grasping.gripper import GripperSettings

Array = npt.NDArray[Any]
FREE_M = 0.02  # farther than this is simply free


@dataclass(frozen=True)
class Surroundings:
    """What a hand must not touch: points (N, 3) in the camera frame, and the support plane (or None).

    The points do not hold the plane: noise would lift some of them into the fingers, and the plane is exact.
    """

    points: Array
    plane: Plane | None


@dataclass(frozen=True)
class Clearance:
    """touching: points inside the hand or its way in. free_m: distance of the nearest other, to 20 mm.

    table_m: height of the lowest corner of the hand over the support plane; infinite when there is none.
    """

    touching: int
    free_m: float
    table_m: float


def clearance(
    pose: Array, opening_m: float, around: Surroundings, gripper: GripperSettings, sweep_m: float
) -> Clearance:
    """Check a camera_from_tcp pose with the jaws open. sweep_m: length of the straight way in."""
    boxes = gripper.boxes(opening_m, sweep_m)
    local = (around.points - pose[:3, 3]) @ pose[:3, :3]
    low, high = boxes[:, 0].min(axis=0) - FREE_M, boxes[:, 1].max(axis=0) + FREE_M
    local = local[((local > low) & (local < high)).all(axis=1)]
    outside = np.maximum(np.maximum(boxes[:, None, 0] - local, local - boxes[:, None, 1]), 0)
    squared = (outside**2).sum(axis=-1).min(axis=0)
    inside = int((squared <= 0).sum())
    nearest = min(float(np.sqrt(squared.min(initial=np.inf))), FREE_M)
    table = _over_plane(pose, gripper.boxes(opening_m), around.plane)
    free = min(nearest, max(table, 0.0)) if inside == 0 else 0.0
    return Clearance(inside, free, table)


def _over_plane(pose: Array, boxes: Array, plane: Plane | None) -> float:
    if plane is None:
        return float('inf')
    corners = np.array([(x[0], y[1], z[2]) for box in boxes for x in box for y in box for z in box])
    return float(((corners @ pose[:3, :3].T + pose[:3, 3]) @ plane.normal - plane.offset).min())
