# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A closer look at one grasp: exact width, the turn that squares the jaws to the part, what of it was seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import project
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import crop
from affordance_ros.grasping.candidates import Anchor, Candidates
from affordance_ros.grasping.gripper import GripperSettings

Array = npt.NDArray[Any]
FINE_M = 0.0012
REACH_M = 0.075
RIM_M = 0.003
BACK_M = 0.004  # the sides are compared at the tips and this much before them
LARGEST_TURN = np.radians(30)


@dataclass(frozen=True)
class Closeup:
    """The fine cloud about an anchor: points (N, 3) relative to it, whether each is of the asked part, their pitch."""

    points: Array
    asked: npt.NDArray[np.bool_] | None
    pitch_m: float


@dataclass(frozen=True)
class Closing:
    """A grasp after the closer look. pose: camera_from_tcp. low_m, high_m: ends of the part along y of the pose.

    slope, taper: tangents between the part's sides and the pads, along the approach and across it. asked: share of the
    points at both ends that are of the asked part. sides_seen: 0 to 2, how many of the held sides the camera saw.
    engaged_m: how deep the part lies in the jaws.
    """

    pose: Array
    width_m: float
    insert_m: float
    slope: float
    taper: float
    asked: float
    sides_seen: int
    engaged_m: float
    lower_bound: bool


def closeup(anchor: Anchor, cloud: SceneCloud, region: npt.NDArray[np.bool_] | None) -> Closeup:
    """Crop the depth image about an anchor at about FINE_M per pixel, without the support plane."""
    frame = cloud.frame
    assert frame.depth is not None
    assert frame.intrinsics is not None
    pixel = project([anchor.point], frame.intrinsics)[0]
    pitch = float(anchor.point[2]) / frame.intrinsics.fx
    step = max(1, round(FINE_M / pitch))
    patch = crop(frame.depth, frame.intrinsics, (pixel[0], pixel[1]), int(np.ceil(REACH_M / pitch)), step)
    flat = patch.points.reshape(-1, 3)
    kept = np.isfinite(flat[:, 2]) & (np.abs(flat[:, 2] - anchor.point[2]) < 1.5 * REACH_M)
    plane = cloud.plane
    if plane is not None:
        band = max(3 * plane.residual_m, 0.0015)
        kept &= flat @ plane.normal - plane.offset > band
    asked = None
    if region is not None:
        left, top = patch.origin
        height, width = patch.points.shape[:2]
        asked = region[top : top + height * step : step, left : left + width * step : step].reshape(-1)[kept]
    return Closeup(flat[kept] - anchor.point, asked, pitch * step)


def closing(  # noqa: PLR0913 - one candidate and what it is tried on
    anchor: Anchor, near: Closeup, found: Candidates, index: int, gripper: GripperSettings, ray_limit: float = 0.5
) -> Closing | None:
    """Measure one candidate on the fine cloud; None when the part does not lie between the jaws."""
    rotation, insert = found.rotations[index], float(found.insert_m[index])
    low, high = float(found.low_m[index]), float(found.high_m[index])
    for turn in range(2):
        local = near.points @ rotation
        half = gripper.finger_width_m / 2
        slab = (np.abs(local[:, 0]) <= half) & (local[:, 2] < insert)
        slab &= (local[:, 1] > low - RIM_M) & (local[:, 1] < high + RIM_M)
        part = local[slab]
        if len(part) < 6:
            return None
        angle, taper = _misfit(part, half)
        angle = angle if turn == 0 else 0.0
        if abs(angle) < np.radians(3):
            break
        c, s = np.cos(angle), np.sin(angle)
        rotation = rotation @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        low, high = low - RIM_M, high + RIM_M
    pad = near.pitch_m / 2
    first, last = float(np.quantile(part[:, 1], 0.01)) - pad, float(np.quantile(part[:, 1], 0.99)) + pad
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = anchor.point + rotation @ (0.0, (first + last) / 2, insert)
    ray = anchor.point / np.linalg.norm(anchor.point)
    seen = [_side_seen(part, edge, sign) for edge, sign in ((first, -1), (last, 1))]
    hidden = abs(float(rotation[:, 1] @ ray)) > ray_limit and sum(seen) < 2
    asked = 1.0 if near.asked is None else _share(part, near.asked[slab], first, last)
    engaged = insert - float(np.quantile(part[:, 2], 0.02))
    slope = _slope(part, insert, (first, last))
    return Closing(pose, last - first, insert, slope, taper, asked, sum(seen), engaged, hidden)


def _misfit(part: Array, half: float) -> tuple[float, float]:
    """Return the turn (radians) that squares the jaws to both ends, and the tangent of the steeper end."""
    edges = np.linspace(-half, half, 5)
    places, lows, highs = [], [], []
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        strip = part[(part[:, 0] >= left) & (part[:, 0] < right), 1]
        if len(strip) >= 3:
            places.append((left + right) / 2)
            lows.append(float(np.quantile(strip, 0.03)))
            highs.append(float(np.quantile(strip, 0.97)))
    if len(places) < 3:
        return 0.0, 0.0
    x = np.array(places) - np.mean(places)
    slopes = [float(x @ np.array(ends) / (x @ x)) for ends in (lows, highs)]
    if abs(slopes[0] - slopes[1]) > 0.5 * max(abs(slopes[0]), abs(slopes[1])) + 0.1:
        return 0.0, max(abs(slopes[0]), abs(slopes[1]))  # the ends run apart: a taper, not a turn
    turn = float(np.clip(np.arctan(np.mean(slopes)), -LARGEST_TURN, LARGEST_TURN))
    return turn, max(abs(slopes[0]), abs(slopes[1]))


def _slope(part: Array, insert: float, ends: tuple[float, float]) -> float:
    """Return how fast the wider-growing side still grows at the tips (metres per metre of depth)."""
    before = max(insert - BACK_M, 0.5 * insert)
    upper = part[part[:, 2] < before, 1]
    if len(upper) < 4:
        return 2.0
    growth = max(float(np.quantile(upper, 0.02)) - ends[0], ends[1] - float(np.quantile(upper, 0.98)))
    return max(0.0, growth - 0.0007) / max(insert - before, 1e-4)


def _side_seen(part: Array, edge: float, sign: int) -> bool:
    """Tell whether the side wall at an end was seen: points near the end at different depths."""
    near = part[sign * (edge - part[:, 1]) < RIM_M, 2]
    return len(near) >= 4 and float(np.ptp(near)) > 0.004


def _share(part: Array, asked: npt.NDArray[np.bool_], first: float, last: float) -> float:
    """Return the lesser share of asked points at the two ends."""
    shares = []
    for near in (part[:, 1] - first < RIM_M, last - part[:, 1] < RIM_M):
        shares.append(float(asked[near].mean()) if near.any() else 0.0)
    return min(shares)


def hidden_share(pose: Array, opening_m: float, cloud: SceneCloud, gripper: GripperSettings) -> float:
    """Return the share of the fingers in [0, 1] that lies behind what the camera saw: nobody knows that it is free."""
    assert cloud.frame.depth is not None
    assert cloud.frame.intrinsics is not None
    half, thick = opening_m / 2, gripper.finger_thickness_m
    grid = np.array(
        [
            (x, side * (half + thick * t), -z)
            for side in (-1, 1)
            for t in (0.3, 0.8)
            for x in (-0.35 * gripper.finger_width_m, 0.35 * gripper.finger_width_m)
            for z in (0.001, 0.010, 0.022)
        ]
    )
    points = grid @ pose[:3, :3].T + pose[:3, 3]
    pixels = np.nan_to_num(project(points, cloud.frame.intrinsics), nan=-1).round().astype(int)
    height, width = cloud.frame.depth.shape
    inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    seen = cloud.frame.depth[pixels[inside, 1], pixels[inside, 0]]
    behind = points[inside, 2] > seen + 0.008
    return float((behind.sum() + (~inside).sum()) / len(points))
