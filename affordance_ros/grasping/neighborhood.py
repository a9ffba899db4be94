# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What surrounds a contact: the cloud near it, the surface it belongs to, and the plane that everything stands on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.surface import connected, crop, main_axis, support_plane
from affordance_ros.results import Contact, Frame

Array = npt.NDArray[np.float64]
REACH_M = 0.14


@dataclass(frozen=True)
class Neighborhood:
    """scene: (N, 3) points near the contact. surface: (M, 3) points joined to it, the support plane left out.

    plane: (unit normal towards the camera, offset) of the support, or None. axis, anisotropy: of the surface within 3 cm.
    """

    scene: Array
    surface: Array
    plane: tuple[Array, float] | None
    axis: Array
    anisotropy: float


def look_around(frame: Frame, contact: Contact, noise: NoiseModel) -> Neighborhood:
    """Crop the cloud about a contact and find the surface that the contact belongs to."""
    assert frame.depth is not None and frame.intrinsics is not None
    depth = float(contact.point[2])
    radius = int(np.ceil(REACH_M * frame.intrinsics.fx / depth))
    step = max(1, radius // 90)  # about 180 x 180 points are enough
    patch = crop(frame.depth, frame.intrinsics, contact.pixel, radius)
    seed = (round(contact.pixel[1]) - patch.origin[1], round(contact.pixel[0]) - patch.origin[0])
    thin = type(patch)(patch.points[seed[0] % step :: step, seed[1] % step :: step], patch.origin)
    seed = (seed[0] // step, seed[1] // step)
    sigma = noise.sigma(depth)
    cloud = thin.cloud
    plane = support_plane(cloud, sigma)
    height = thin.points @ plane[0] - plane[1] if plane else np.full(thin.points.shape[:2], np.inf)
    on_plane = np.abs(height) < max(2.5 * sigma, 0.003)
    at_contact = plane is not None and abs(float(contact.point @ plane[0] - plane[1])) < max(2.5 * sigma, 0.003)
    # A neighbour pixel of a slanted surface is farther by a pixel's size times the slope (up to 72 degrees here).
    jump = 5 * sigma + 3 * step * depth / frame.intrinsics.fx * 2
    mask = connected(thin, seed, jump, None if at_contact else on_plane)
    surface = thin.points[mask]
    surface = surface[np.linalg.norm(surface - contact.point, axis=1) < REACH_M]
    near = surface[np.linalg.norm(surface - contact.point, axis=1) < 0.03]
    axis, anisotropy = main_axis(near, np.asarray(contact.normal)) if len(near) >= 8 else (np.asarray(contact.axis), contact.anisotropy)
    scene = cloud[np.linalg.norm(cloud - contact.point, axis=1) < 2 * REACH_M]
    return Neighborhood(scene, surface, plane, axis, anisotropy)
