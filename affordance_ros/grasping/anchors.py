# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where on the asked part a hand may take hold: the contact itself, then other places of the same part.

A bowl is asked for by a point of its inside and held at its rim; a handle whose middle is blocked is held beside it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import main_axis
from affordance_ros.grasping.candidates import Anchor
from affordance_ros.results import Contact

Array = npt.NDArray[Any]
PART_M = 0.14  # farther from the contact no hand is put
SIDE_M = 0.035  # without a region: how far along the same surface
AXIS_M = 0.03


def part_of(contact: Contact, cloud: SceneCloud, region: npt.NDArray[np.bool_] | None) -> Array:
    """Return the points (N, 3) of the asked part: of its region, or of the surface joined to the contact."""
    offsets, place = cloud.near(contact.point, PART_M if region is not None else 2 * SIDE_M)
    if region is not None:
        inside = region[tuple(np.minimum(place * cloud.step, np.array(region.shape) - 1).T)]
        if inside.sum() >= 8:
            return np.asarray(offsets[inside] + contact.point)
    return np.asarray(_joined(offsets, place, contact, cloud) + contact.point)


def object_of(contact: Contact, cloud: SceneCloud, reach_m: float = 0.25) -> Array:
    """Return the points (N, 3) of everything that is joined to the contact, the table left out."""
    offsets, place = cloud.near(contact.point, reach_m)
    return np.asarray(_joined(offsets, place, contact, cloud) + contact.point)


def _joined(offsets: Array, place: Array, contact: Contact, cloud: SceneCloud) -> Array:
    """Return the offsets reached from the contact without a step between neighbours of the grid, the table left out."""
    import cv2

    if not len(offsets):
        return offsets
    plane = cloud.plane_near(contact.point)
    kept = np.ones(len(offsets), bool)
    if plane is not None:
        above = (offsets + contact.point) @ plane.normal - plane.offset
        band = max(3 * plane.residual_m, 0.003)
        if contact.point @ plane.normal - plane.offset > band:
            kept = above > band
    corner = place.min(axis=0)
    shape = place.max(axis=0) - corner + 1
    depth = np.full(shape, -1000, np.float32)
    rows, columns = (place - corner)[kept].T
    depth[rows, columns] = offsets[kept, 2]
    nearest = int((offsets[kept] ** 2).sum(axis=1).argmin()) if kept.any() else 0
    mask = np.zeros((shape[0] + 2, shape[1] + 2), np.uint8)
    jump = 5 * cloud.noise.sigma(float(contact.point[2])) + 4 * cloud.pitch_m
    seed = (int(columns[nearest]), int(rows[nearest])) if kept.any() else (0, 0)
    cv2.floodFill(depth, mask, seed, 0, jump, jump, 8 | cv2.FLOODFILL_MASK_ONLY | (1 << 8))
    return np.asarray(offsets[kept][mask[1:-1, 1:-1][rows, columns] > 0])


def anchors_of(contact: Contact, part: Array, most: int) -> list[Anchor]:
    """Return the contact, then places of the part (N, 3), each far from the ones before."""
    first = _anchor(np.asarray(contact.point), part, contact)
    found = [Anchor(first.point, np.asarray(contact.normal), first.axis, first.anisotropy)]
    if len(part) < 8:
        return found
    sample = part[:: max(1, len(part) // 400)]
    away = np.linalg.norm(sample - contact.point, axis=1)
    least = away.copy()
    while len(found) < most:
        farthest = int(least.argmax())
        if least[farthest] < 0.010:
            break
        found.append(_anchor(sample[farthest], part, contact))
        least = np.minimum(least, np.linalg.norm(sample - sample[farthest], axis=1))
    return [found[0], *sorted(found[1:], key=lambda anchor: anchor.distance_m)]


def _anchor(point: Array, part: Array, contact: Contact) -> Anchor:
    """Return an anchor with the normal and the direction of the part about it."""
    offsets = part - point
    squared = (offsets**2).sum(axis=1)
    close, wide = part[squared < 0.008**2], part[squared < AXIS_M**2]
    normal = np.asarray(contact.normal)
    if len(close) >= 6:
        spread = close - close.mean(axis=0)
        normal = np.linalg.eigh(spread.T @ spread)[1][:, 0]
        normal = normal if normal @ point < 0 else -normal
    axis, anisotropy = np.asarray(contact.axis), contact.anisotropy
    if len(wide) >= 8:
        axis, anisotropy = main_axis(wide, normal)
    return Anchor(point, normal, axis, anisotropy, float(np.linalg.norm(point - contact.point)))
