# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images of simple bodies, by analytic ray intersection: what the lifting and grasping tests look at."""

import numpy as np

from affordance_ros.geometry.camera import rays
from affordance_ros.results import Frame, Intrinsics

CAMERA = Intrinsics(600, 600, 320, 240, 640, 480)
PIXELS = np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1).reshape(-1, 2)
RAYS = rays(PIXELS, CAMERA)


def plane(point: tuple[float, ...], normal: tuple[float, ...]) -> np.ndarray:
    """Return the depth (H, W) of an endless plane, inf where it is not met."""
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = np.dot(point, normal) / (RAYS @ np.asarray(normal))
    return np.where(depth > 0, depth, np.inf).reshape(480, 640)


def cylinder(depth_m: float, radius: float, half_length: float) -> np.ndarray:
    """Return the depth of a cylinder along image x at (0, 0, depth_m)."""
    a = RAYS[:, 1] ** 2 + 1
    root = (depth_m**2) - a * (depth_m**2 - radius**2)
    z = (depth_m - np.sqrt(np.maximum(root, 0))) / a
    hit = (root > 0) & (np.abs(RAYS[:, 0] * z) < half_length)
    return np.where(hit, z, np.inf).reshape(480, 640)


def slab(depth_m: float, half_width: float, half_height: float) -> np.ndarray:
    """Return the depth of the near face of a box, square to the camera."""
    hit = (np.abs(RAYS[:, 0] * depth_m) < half_width) & (np.abs(RAYS[:, 1] * depth_m) < half_height)
    return np.where(hit, depth_m, np.inf).reshape(480, 640)


def ring(depth_m: float, inner: float, outer: float) -> np.ndarray:
    """Return the depth of a flat ring, square to the camera."""
    away = np.hypot(RAYS[:, 0], RAYS[:, 1]) * depth_m
    return np.where((away > inner) & (away < outer), depth_m, np.inf).reshape(480, 640)


def frame_of(*bodies: np.ndarray, sigma: float = 0.0, holes: float = 0.0, seed: int = 0) -> Frame:
    """Return a frame that shows the nearest body in every pixel, with sensor noise and holes."""
    rng = np.random.default_rng(seed)
    depth = np.minimum.reduce(bodies)
    depth = np.where(np.isfinite(depth), depth, np.nan)
    depth = depth + rng.normal(0, sigma, depth.shape)
    depth[rng.random(depth.shape) < holes] = np.nan
    return Frame(np.zeros((480, 640, 3), np.uint8), depth.astype(np.float32), CAMERA)
