# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table and the things that are held as solids, for the scene of a planner.

The camera sees the top of a box and not its bottom: a thing is taken to reach down to the table it stands on.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import Plane
from affordance_ros.grasping.anchors import object_of
from affordance_ros.results import Contact, Obstacle

Array = npt.NDArray[Any]
THICK_M = 0.02  # of the slab that stands for a table
SKIN_M = 0.002  # its top is put so much lower: what stands on it touches it


def obstacles_of(cloud: SceneCloud, contacts: Sequence[Contact]) -> tuple[Obstacle, ...]:
    """Return the table, where there is one, and the thing at every contact as `target_0`, `target_1`, ..."""
    found = [table_of(cloud)]
    for index, contact in enumerate(contacts):
        points = object_of(contact, cloud)
        found.append(solid_of(f'target_{index}', _standing(points, cloud.plane_near(contact.point))))
    return tuple(item for item in found if item is not None)


def _standing(points: Array, plane: Plane | None) -> Array:
    """Return points (N, 3) and their feet on the support plane."""
    if plane is None or not len(points):
        return points
    height = points @ plane.normal - plane.offset
    return np.concatenate((points, points - np.outer(np.maximum(height - SKIN_M, 0), plane.normal)))


def table_of(cloud: SceneCloud) -> Obstacle | None:
    """Return the seen part of the support plane as a slab whose top is the plane; None where there is no plane."""
    plane = cloud.plane
    if plane is None:
        return None
    flat = cloud.points.reshape(-1, 3).astype(np.float64)
    flat = flat[np.isfinite(flat[:, 2])]
    band = max(4 * plane.residual_m, 0.004)
    on = flat[np.abs(flat @ plane.normal - plane.offset) < band]
    if len(on) < 50:
        return None
    side = np.cross(plane.normal, (1.0, 0, 0) if abs(plane.normal[0]) < 0.8 else (0.0, 1, 0))
    side /= np.linalg.norm(side)
    rotation = np.column_stack((side, np.cross(plane.normal, side), plane.normal))
    low, high = np.quantile(on @ rotation[:, :2], (0.01, 0.99), axis=0)
    middle = (low + high) / 2
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = rotation @ (middle[0], middle[1], plane.offset - SKIN_M - THICK_M / 2)
    return Obstacle('table', pose, (float(high[0] - low[0]), float(high[1] - low[1]), THICK_M))


def solid_of(name: str, points: Array) -> Obstacle | None:
    """Return the convex hull of points (N, 3) as triangles that face outwards; None where they span no volume."""
    if len(points) < 4:
        return None
    middle = points.mean(axis=0)
    try:
        hull = ConvexHull(points - middle)
    except QhullError:
        return None
    corners = points[hull.vertices] - middle
    renamed = np.full(len(points), -1)
    renamed[hull.vertices] = np.arange(len(hull.vertices))
    triangles = renamed[hull.simplices]
    first, second, third = (corners[triangles[:, column]] for column in range(3))
    inwards = np.einsum('ij,ij->i', np.cross(second - first, third - first), hull.equations[:, :3]) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    pose = np.eye(4)
    pose[:3, 3] = middle
    return Obstacle(name, pose, None, corners, triangles)
