# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Traces and hand paths in 3D. Only their ends touch surfaces; in between they are in free space.

The depth image under a point in the middle is that of the table below it, so it is not read: the ray of the pixel is
cut at a depth between those of the two ends, and what would run into the cloud is raised above it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import project, rays
from affordance_ros.geometry.lifting import LiftSettings, Spot, lift_spot
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.spots import counting_hands
from affordance_ros.results import Abstention, Contact, LiftedPath, Prediction

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PathSettings:
    """clearance_m: what a path keeps from the cloud between its ends. arc: height of the way over its chord.

    seconds: how long a trace without times takes. ends: share of a path at each end that may come near the surface.
    """

    clearance_m: float = 0.03
    arc: float = 0.15
    seconds: float = 2.0
    ends: float = 0.15


def lift_paths(
    cloud: SceneCloud, prediction: Prediction, lift: LiftSettings, settings: PathSettings
) -> list[LiftedPath | Abstention]:
    """Return every trace and every counting hand path in 3D, or why one has no end on a surface."""
    nan = float('nan')
    found: list[LiftedPath | Abstention] = []
    for trace in prediction.traces or ():
        if len(trace.points):
            times = np.linspace(0, settings.seconds, len(trace.points))
            found.append(_lifted(cloud, (np.asarray(trace.points), times, trace.label), lift, settings))
    for hand in counting_hands(prediction):
        if len(hand):
            times = np.asarray(hand.times_s, dtype=np.float64)
            times = times if np.isfinite(times).all() else np.full(len(hand), nan)
            found.append(_lifted(cloud, (np.asarray(hand.points), times, f'{hand.side} hand'), lift, settings))
    return found


def _lifted(
    cloud: SceneCloud, path: tuple[Array, Array, str], lift: LiftSettings, settings: PathSettings
) -> LiftedPath | Abstention:
    """Lift one path: pixels (N, 2), times (N,), label. Ends outside the image or in a hole follow the other end."""
    pixels, times, label = path
    assert cloud.frame.intrinsics is not None
    ends = [lift_spot(cloud.frame, Spot((p[0], p[1]), label=label, method='trace'), lift) for p in pixels[[0, -1]]]
    depth = [float(end.point[2]) if isinstance(end, Contact) else None for end in ends]
    if depth[0] is None and depth[1] is None:
        first = ends[-1]
        assert isinstance(first, Abstention)
        return Abstention(first.code, f'neither end of the path lies on a surface: {first.message}', label, first.pixel)
    start, goal = (depth[0] or depth[1] or 0.0), (depth[1] or depth[0] or 0.0)
    count = len(pixels)
    along = np.linalg.norm(np.diff(pixels, axis=0), axis=1)
    share = np.concatenate(([0.0], np.cumsum(along))) / max(float(along.sum()), 1e-9)
    inverse = (1 - share) / start + share / goal  # straight in space between the two ends
    points = rays(pixels, cloud.frame.intrinsics) / inverse[:, None]
    for index, end in ((0, ends[0]), (-1, ends[1])):
        if isinstance(end, Contact):
            points[index] = end.point
    lifted = np.zeros(count, bool)
    lifted[0], lifted[-1] = depth[0] is not None, depth[1] is not None
    up = cloud.up if cloud.up is not None else -points.mean(axis=0) / np.linalg.norm(points.mean(axis=0))
    chord = float(np.linalg.norm(points[-1] - points[0]))
    free = ~lifted
    points[free] += np.outer(settings.arc * chord * 4 * share[free] * (1 - share[free]), up)
    raised = _raise(cloud, points, free, (up, share), settings)
    return LiftedPath(points + raised[:, None] * up, lifted, times, raised, label)


def _raise(
    cloud: SceneCloud, points: Array, free: npt.NDArray[np.bool_], way: tuple[Array, Array], settings: PathSettings
) -> Array:
    """Return (N,): metres by which each free point is raised to keep its distance from the cloud, smoothed."""
    up, share = way
    need = np.zeros(len(points))
    # Near its ends a path may come down to the surface; the distance grows to the full one.
    wanted = settings.clearance_m * np.clip(np.minimum(share, 1 - share) / max(settings.ends, 1e-6), 0, 1)
    for index in np.flatnonzero(free):
        need[index] = _least_rise(cloud, points[index], up, float(wanted[index]))
    if len(points) >= 5:
        padded = np.pad(need, 2, mode='edge')
        smooth = np.convolve(padded, [0.1, 0.2, 0.4, 0.2, 0.1], mode='valid')
        need = np.where(free, np.maximum(need, smooth), 0.0)
    return need


def _least_rise(cloud: SceneCloud, point: Array, up: Array, clearance_m: float, step_m: float = 0.005) -> float:
    """Return how far a point must go up to be `clearance_m` from every point of the cloud and not behind it."""
    if clearance_m <= 0:
        return 0.0
    near, _ = cloud.near(point, 0.35, every=2)
    for rise in np.arange(0.0, 0.30, step_m):
        offsets = near - rise * up
        close = bool(len(offsets)) and float((offsets**2).sum(axis=1).min()) < clearance_m**2
        if not close and not _behind(cloud, point + rise * up):
            return float(rise)
    return 0.30


def _behind(cloud: SceneCloud, point: Array) -> bool:
    """Tell whether a point lies behind the surface that the camera sees there."""
    assert cloud.frame.intrinsics is not None
    assert cloud.frame.depth is not None
    if point[2] <= 0.05:
        return False
    u, v = project([point], cloud.frame.intrinsics)[0]
    if not (0 <= round(u) < cloud.frame.width and 0 <= round(v) < cloud.frame.height):
        return False
    return bool(cloud.frame.depth[round(v), round(u)] < point[2] - 0.01)
