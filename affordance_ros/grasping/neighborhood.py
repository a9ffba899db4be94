# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What surrounds a contact: the cloud near it, the surface it belongs to, and the plane that everything stands on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.surface import Patch, Plane, connected, crop, main_axis, support_plane
from affordance_ros.results import Contact, Frame

Array = npt.NDArray[Any]
REACH_M = 0.14
SURFACE_M = 0.08


@dataclass(frozen=True)
class Neighborhood:
    """scene: (N, 3) points near the contact. surface: (M, 3) points joined to it, the support plane left out.

    plane: of the support, or None. axis, anisotropy: of the surface within 3 cm.
    pitch_m: how far apart two points of the surface lie.
    """

    scene: Array
    surface: Array
    plane: Plane | None
    axis: Array
    anisotropy: float
    pitch_m: float


def look_around(frame: Frame, contact: Contact, noise: NoiseModel) -> Neighborhood:
    """Crop the cloud about a contact and find the surface that the contact belongs to."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    depth = float(contact.point[2])
    sigma = noise.sigma(depth)
    scene = _thinned(frame, contact, REACH_M, 40)[0].cloud
    plane = support_plane(scene, sigma)
    thin, seed, pitch = _thinned(frame, contact, SURFACE_M, 100)
    excluded = None
    if plane is not None:
        band = float(np.clip(3 * plane.residual_m, 0.0015, max(2.5 * sigma, 0.003)))
        if contact.point @ plane.normal - plane.offset > band:
            excluded = np.abs(thin.points @ plane.normal - plane.offset) < band
    # A neighbour pixel of a slanted surface is farther by a pixel's size times the slope (up to 72 degrees here).
    mask = connected(thin, seed, 5 * sigma + 6 * pitch, excluded)
    surface = thin.points[mask]
    away = ((surface - contact.point) ** 2).sum(axis=1)
    near = surface[away < 0.03**2]
    axis, anisotropy = np.asarray(contact.axis), contact.anisotropy
    if len(near) >= 8:
        axis, anisotropy = main_axis(near, np.asarray(contact.normal))
    return Neighborhood(scene, surface[away < SURFACE_M**2], plane, axis, anisotropy, pitch)


def _thinned(frame: Frame, contact: Contact, reach_m: float, most: int) -> tuple[Patch, tuple[int, int], float]:
    """Return the points within reach, every n-th pixel (about 2 * most a side), the contact's place and the pitch."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    pitch = float(contact.point[2]) / frame.intrinsics.fx
    radius = int(np.ceil(reach_m / pitch))
    step = max(1, radius // most)
    patch = crop(frame.depth, frame.intrinsics, contact.pixel, radius, step)
    # The pixel of the contact itself may be a hole: start from the measured point that is nearest to it.
    away = np.nan_to_num(((patch.points - contact.point) ** 2).sum(axis=-1), nan=np.inf)
    row, column = np.unravel_index(int(away.argmin()), away.shape)
    return patch, (int(row), int(column)), pitch * step
