# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A closer look at one grasp: exact width, the turn that squares the jaws to the part, what of it was seen."""

from dataclasses import dataclass
from functools import cached_property
from math import atan, cos, radians, sin, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import project
from affordance_ros.geometry.quantiles import quantiles
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import Plane, crop
from affordance_ros.grasping.candidates import Anchor, Candidates
from affordance_ros.grasping.ends import ends_by_strip
from affordance_ros.grasping.friction import across_fingers, friction_needed
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.walls import SHEET_M, wall_between

Array = npt.NDArray[Any]
FINE_M = 0.0012
REACH_M = 0.075
RIM_M = 0.003
BACK_M = 0.004  # the sides are compared at the tips and this much before them
TURNS = 2  # a wall is squared twice: the second time to what lies between the turned jaws
QUARTERS = np.arange(5) / 4
LARGEST_TURN = radians(30)
CELLS, PAD_M, GIVE_M = 5, 0.022, 0.0012  # cells of a pad, its length, how far it gives way
CORNERS = np.column_stack(np.divmod(np.arange(CELLS**2), CELLS)) / CELLS  # (25, 2) along x and z, in pads


@dataclass(frozen=True)
class Closeup:
    """The fine cloud about an anchor: points (N, 3) relative to it, if each is of the asked part, pitch, noise."""

    points: Array
    asked: npt.NDArray[np.bool_] | None
    pitch_m: float
    sigma_m: float = 0.0

    @cached_property
    def across(self) -> Array:
        """(3, N) the points, each coordinate in one piece."""
        return np.ascontiguousarray(self.points.T)


@dataclass(frozen=True)
class Closing:
    """A grasp after the closer look. pose: camera_from_tcp. low_m, high_m: ends of the part along y of the pose.

    slope, taper: tangents between the part's sides and the pads, along the approach and across it. friction: with which
    the first contacts hold. asked: share of the points at both ends that are of the asked part. sides_seen: 0 to 2, how
    many of the held sides the camera saw. engaged_m: how deep the part lies in the jaws. wall: a thin one.
    """

    pose: Array
    width_m: float
    insert_m: float
    slope: float
    taper: float
    friction: float
    asked: float
    sides_seen: int
    engaged_m: float
    lower_bound: bool
    wall: bool = False


def closeup(anchor: Anchor, cloud: SceneCloud, region: npt.NDArray[np.bool_] | None, plane: Plane | None) -> Closeup:
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
    if plane is not None:
        band = max(3 * plane.residual_m, 0.0015)
        kept &= flat @ plane.normal - plane.offset > band
    asked = None
    if region is not None:
        left, top = patch.origin
        height, width = patch.points.shape[:2]
        asked = region[top : top + height * step : step, left : left + width * step : step].reshape(-1)[kept]
    return Closeup(flat[kept] - anchor.point, asked, pitch * step, cloud.noise.sigma(float(anchor.point[2])))


def closing(  # noqa: PLR0913 - one candidate and what it is tried on
    anchor: Anchor, near: Closeup, found: Candidates, index: int, gripper: GripperSettings, ray_limit: float = 0.5
) -> Closing | None:
    """Measure one candidate on the fine cloud; None when the part does not lie between the jaws."""
    rotation, insert = found.rotations[index], float(found.insert_m[index])
    low, high = float(found.low_m[index]), float(found.high_m[index])
    half = gripper.finger_width_m / 2
    for turn in range(TURNS + 1):
        x, y, z = local = rotation.T @ near.across
        slab = np.flatnonzero((np.abs(x) <= half) & (z < insert) & (y > low - RIM_M) & (y < high + RIM_M))
        if len(slab) < 6:
            return None
        part = local[:, slab].T  # each coordinate lies in one piece
        wall = wall_between(part, half, insert, near.sigma_m)
        if wall is None:
            angle, taper = _misfit(part, (-half, half), 0)
            tilt, _ = _misfit(part, (insert - 0.014, insert), 2)
        else:
            angle, tilt = (min(max(turn, -LARGEST_TURN), LARGEST_TURN) for turn in (wall.angle, wall.tilt))
        if turn == (1 if wall is None else TURNS) or max(abs(angle), abs(tilt)) < radians(3 if wall is None else 1):
            break
        rotation = rotation @ _turns(angle, tilt)
        low, high = low - RIM_M, high + RIM_M
    if wall is not None:
        _, taper = _misfit(part, (-half, half), 0)
    pad = near.pitch_m / 2
    first, last = quantiles(part[:, 1], 0.01, 0.99)
    first, last = first - pad, last + pad
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = anchor.point + rotation @ (0.0, (first + last) / 2, insert)
    ray = anchor.point / np.linalg.norm(anchor.point)
    seen = [_side_seen(part, edge, sign) for edge, sign in ((first, -1), (last, 1))]
    hidden = abs(float(rotation[:, 1] @ ray)) > ray_limit and sum(seen) < 2
    asked = 1.0 if near.asked is None else _share(part, near.asked[slab], first, last)
    engaged = insert - quantiles(part[:, 2], 0.02)[0]
    slope = _slope(part, insert, (first, last))
    between = part[(part[:, 1] >= first) & (part[:, 1] <= last)]
    friction = _friction(between, half, insert, near.sigma_m) if wall is None else wall.friction
    return Closing(
        pose, last - first, insert, slope, taper, friction, asked, sum(seen), engaged, hidden, wall is not None
    )


def _turns(angle: float, tilt: float) -> Array:
    """Return the rotation that turns the hand by `angle` about its approach and then tips it by `tilt` about x."""
    c, s, k, t = cos(angle), sin(angle), cos(tilt), sin(tilt)
    tipped = np.array([[1.0, 0, 0], [0, k, t], [0, -t, k]])
    return np.asarray(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ tipped)


def _misfit(part: Array, bounds: tuple[float, float], along: int) -> tuple[float, float]:
    """Return the turn (radians) that squares the jaws to both ends of the part, and the tangent of the steeper end.

    along: 0 compares the ends across the fingers (x), 2 along the approach (z), as for the leaning wall of a bowl.
    """
    edges = bounds[0] + (bounds[1] - bounds[0]) * QUARTERS
    # The strips before the first edge and after the last are those of points that are not asked for.
    ends, number = ends_by_strip(part[:, 1], np.searchsorted(edges, part[:, along], 'right'), 6, 0.03)
    known = np.flatnonzero(number[1:5] >= 3)
    if len(known) < 3:
        return 0.0, 0.0
    ends = ends[:, 1 + known]
    x = (known - known.sum() / len(known)) * ((bounds[1] - bounds[0]) / 4)
    slopes = (ends @ x / (x @ x)).tolist()
    if along == 2 and float(ends[1].max() - ends[0].min()) < SHEET_M and len(known) == 4:
        # Of a wall the camera sees one face and the rim: the straighter end is the face.
        rest = ends - np.outer(slopes, x)
        bends = (rest.max(axis=1) - rest.min(axis=1)).tolist()
        slopes = [slopes[0] if bends[0] <= bends[1] else slopes[1]] * 2
    steeper = max(abs(slopes[0]), abs(slopes[1]))
    if abs(slopes[0] - slopes[1]) > 0.5 * steeper + 0.1:
        return 0.0, steeper  # the ends run apart: a taper, not a turn
    turn = atan((slopes[0] + slopes[1]) / 2)
    return min(max(turn, -LARGEST_TURN), LARGEST_TURN), steeper


def _friction(part: Array, half: float, insert: float, sigma_m: float) -> float:
    faces = across_fingers(part, half)
    skew = _skew(part, half, insert)
    return skew if faces is None else max(skew, friction_needed(faces, sigma_m))


def _skew(part: Array, half: float, insert: float) -> float:
    """Return how far apart, along the pads and per width, the jaws first meet the two ends: 0 is straight opposite."""
    across = np.minimum(np.maximum((part[:, 0] / (2 * half) + 0.5) * CELLS, 0), CELLS - 1e-6).astype(int)
    deep = np.minimum(np.maximum((1 + (part[:, 2] - insert) / PAD_M) * CELLS, 0), CELLS - 1e-6).astype(int)
    cell = across * CELLS + deep
    low, high = np.full(CELLS**2, np.inf), np.full(CELLS**2, -np.inf)
    np.minimum.at(low, cell, part[:, 1])
    np.maximum.at(high, cell, part[:, 1])
    places = CORNERS * (2 * half, PAD_M)
    first, last = np.flatnonzero(low <= low.min() + GIVE_M), np.flatnonzero(high >= high.max() - GIVE_M)
    between = places[first][:, None] - places[last][None]
    away = sqrt(float(np.einsum('ijk,ijk->ij', between, between).min()))
    return away / max(float(high.max()) - float(low.min()), 1e-3)


def _slope(part: Array, insert: float, ends: tuple[float, float]) -> float:
    """Return how fast the wider-growing side still grows at the tips (metres per metre of depth)."""
    before = max(insert - BACK_M, 0.5 * insert)
    upper = part[part[:, 2] < before, 1]
    if len(upper) < 4:
        return 2.0
    low, high = quantiles(upper, 0.02, 0.98)
    growth = max(low - ends[0], ends[1] - high)
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
