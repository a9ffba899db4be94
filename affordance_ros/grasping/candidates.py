# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to put a parallel-jaw hand about an anchor: approaches, rolls and depths, tried all at once on the cloud.

For every orientation the cloud in the slab between the fingers becomes a height profile along the closing direction.
A depth is possible where the part that holds the anchor ends on both sides in a gap wide enough for a finger.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.gripper import GripperSettings

Array = npt.NDArray[Any]
BIN_M = 0.002
HALF_M = 0.11  # half the length of a profile
INSERTS_M = (0.004, 0.006, 0.009, 0.012, 0.016, 0.020, 0.025, 0.031, 0.038, 0.046, 0.055)
TIP_M = 0.002  # free space below the fingertips
SLOPE_M = 0.006
NEXT, LAST = np.array((1, 2, 0)), np.array((2, 0, 1))


@dataclass(frozen=True)
class GraspSettings:
    """How grasps are built and judged. Lengths in metres, angles in degrees.

    margin_m: free space per side when the jaws are open; half of it is accepted where there is no more.
    table_m: distance that the fingertips keep from the support plane. rolls: orientations about the approach.
    tilts_deg: approaches beside the plain ones, turned about the part's axis. anchors: places tried on the part.
    pregrasp_m, lift_m: straight ways in and out. clearance_m: distance from which on space is simply free.
    touching: cloud points inside the hand that are still taken for noise. per_contact: most targets for one contact.
    apart_m, apart_deg: targets of one contact differ by at least this. good: score at which no other anchor is tried.
    """

    margin_m: float = 0.006
    table_m: float = 0.0015
    rolls: int = 6
    tilts_deg: tuple[float, ...] = (-35.0, 35.0)
    anchors: int = 9
    pregrasp_m: float = 0.08
    lift_m: float = 0.10
    min_width_m: float = 0.002
    clearance_m: float = 0.010
    touching: int = 1
    min_score: float = 0.02
    per_contact: int = 1
    apart_m: float = 0.012
    apart_deg: float = 25.0
    good: float = 0.45


@dataclass(frozen=True)
class Anchor:
    """A point (3,) of the part with its normal, the direction of the part there and how much that means."""

    point: Array
    normal: Array
    axis: Array
    anisotropy: float
    distance_m: float = 0.0


@dataclass(frozen=True)
class Candidates:
    """Orientations (N, 3, 3) camera_from_hand, columns x, y (closing), z (approach), and what fits at one depth.

    low_m, high_m: (N,) ends of the part along y about the anchor. insert_m: (N,) depth of the tips past it.
    slope: (N,) tangent of the angle between the part's sides and the pads at the tips. across: (N,) how far the
    closing direction crosses the part's axis. square: (N,) cosine between approach and the inward normal.
    """

    rotations: Array
    low_m: Array
    high_m: Array
    insert_m: Array
    slope: Array
    across: Array
    square: Array

    @property
    def width_m(self) -> Array:
        """(N,) the coarse width."""
        return self.high_m - self.low_m


def orientations(anchor: Anchor, up: Array | None, settings: GraspSettings) -> tuple[Array, Array]:
    """Return rotations (C, 3, 3) and the share (C,) to which each closes across the part's axis."""
    axis, approach = anchor.axis, _approaches(anchor, up, settings)
    along = axis - (approach @ axis)[:, None] * approach
    length = np.sqrt((along**2).sum(axis=1))
    steep = length < 0.3  # the hand comes along the part: any roll is as good
    if steep.any():
        sideways = np.where(np.abs(approach[steep, :1]) < 0.8, (1.0, 0, 0), (0.0, 1, 0))
        along[steep] = _cross(approach[steep], sideways)
        length[steep] = np.sqrt((along[steep] ** 2).sum(axis=1))
    along /= length[:, None]
    first = _cross(approach, along)
    rolls = np.pi * np.arange(settings.rolls)[:, None] / settings.rolls
    closing = np.cos(rolls) * first[:, None] + np.sin(rolls) * along[:, None]
    coming = np.broadcast_to(approach[:, None], closing.shape)
    rotations = np.stack((_cross(closing, coming), closing, coming), axis=-1)
    across = np.sqrt(np.maximum(1 - (closing @ axis) ** 2, 0))
    return rotations.reshape(-1, 3, 3), across.ravel()


def _cross(first: Array, second: Array) -> Array:
    """Return the cross product of vectors (..., 3), without the checks that cost numpy more than the product."""
    return np.asarray(first[..., NEXT] * second[..., LAST] - first[..., LAST] * second[..., NEXT])


def _approaches(anchor: Anchor, up: Array | None, settings: GraspSettings) -> Array:
    """Return unit directions (A, 3) in which a hand may come: against the normal, from above or the camera, tilted."""
    normal, ray = anchor.normal, anchor.point / np.linalg.norm(anchor.point)
    wanted = np.stack((-normal, ray, ray - normal, *(() if up is None else (-up, -up - normal, ray - up))))
    if anchor.anisotropy > 0.3:
        tilted = [_turned(-normal, anchor.axis, tilt) for tilt in settings.tilts_deg]
        wanted = np.stack((*wanted, *(wanted - (wanted @ anchor.axis)[:, None] * anchor.axis), *tilted))
    lengths = np.sqrt((wanted**2).sum(axis=1))
    units = (wanted / np.maximum(lengths, 1e-9)[:, None])[lengths >= 0.2]
    if up is not None:
        units = units[units @ up <= 0.15]  # not from below
    far = (units @ units.T < np.cos(np.radians(12))).tolist()
    kept: list[int] = []
    for index in range(len(units)):
        if all(far[index][other] for other in kept):
            kept.append(index)
    return np.asarray(units[kept])


def _turned(vector: Array, axis: Array, degrees: float) -> Array:
    """Rotate a vector about a unit axis (Rodrigues)."""
    angle = np.radians(degrees)
    turned = vector * np.cos(angle) + _cross(axis, vector) * np.sin(angle)
    return np.asarray(turned + axis * (axis @ vector) * (1 - np.cos(angle)), dtype=np.float64)


def fitting(
    anchor: Anchor, cloud: Array, turns: tuple[Array, Array], gripper: GripperSettings, settings: GraspSettings
) -> tuple[Candidates, float]:
    """Return everything that fits the profile, and the least width met (infinite when no part ends anywhere).

    cloud: (N, 3) relative to the anchor. turns: rotations and across of `orientations`.
    """
    rotations, across = turns
    x, y, z = (rotations[:, :, column] @ cloud.T for column in range(3))
    bins = 2 * round(HALF_M / BIN_M)
    top = _profile(x, y, z, gripper.finger_width_m / 2 + 0.001, bins)
    palm_x, palm_y, _ = gripper.palm_m
    over_palm = (np.abs(x) < palm_x / 2) & (np.abs(y) < palm_y / 2)
    deepest = gripper.finger_length_m - 0.002 + np.where(over_palm, z, np.inf).min(axis=1, initial=np.inf)
    inserts = np.array([insert for insert in INSERTS_M if insert <= gripper.finger_length_m - 0.002])
    occupied = top[:, None, :] < inserts[None, :, None] + TIP_M
    need = int(np.ceil((gripper.finger_thickness_m + settings.margin_m / 2) / BIN_M))
    high, open_right = _end(occupied[..., bins // 2 :], need)
    low, open_left = _end(occupied[..., : bins // 2][..., ::-1], need)
    width = (low + high) * BIN_M
    ends = open_right & open_left
    least = float(width[ends].min()) if ends.any() else float('inf')
    fits = ends & (width + settings.margin_m <= gripper.max_aperture_m) & (inserts[None] <= deepest[:, None])
    which, depth = np.nonzero(fits)
    slope = _slope(top, (which, inserts[depth]), (low[which, depth], high[which, depth]), bins)
    return Candidates(
        rotations[which],
        -low[which, depth] * BIN_M,
        high[which, depth] * BIN_M,
        inserts[depth],
        slope,
        across[which],
        -rotations[which, :, 2] @ anchor.normal,
    ), least


def _profile(x: Array, y: Array, z: Array, half_x: float, bins: int) -> Array:
    """Return (C, bins), of points (C, N): the one nearest to the hand in each bin along y, inf where there is none."""
    turn, point = np.nonzero(np.abs(x) <= half_x)
    place = np.floor(y[turn, point] / BIN_M).astype(np.int32) + bins // 2
    inside = (place >= 0) & (place < bins)
    turn, point = turn[inside], point[inside]
    top = np.full(len(x) * bins, np.inf)
    np.minimum.at(top, turn * bins + place[inside], z[turn, point])
    return top.reshape(len(x), bins)


def _end(occupied: npt.NDArray[np.bool_], need: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return after how many bins outwards a free run of `need` bins begins, and whether there is one."""
    counted = np.zeros((*occupied.shape[:2], occupied.shape[2] + 1), np.int16)
    np.cumsum(occupied, axis=2, out=counted[..., 1:], dtype=np.int16)
    free = counted[..., need:] == counted[..., :-need]
    return free.argmax(axis=2), free.any(axis=2)


def _slope(top: Array, chosen: tuple[Array, Array], ends: tuple[Array, Array], bins: int) -> Array:
    """Return (N,): by how much the wider side still grows per metre of depth at the tips."""
    (which, insert), (low, high) = chosen, ends
    before = np.maximum(insert - SLOPE_M, 0.5 * insert)
    rows = top[which] < before[:, None]
    index = np.arange(bins)
    rows &= (index >= bins // 2 - low[:, None]) & (index < bins // 2 + high[:, None])
    some = rows.any(axis=1)
    first, last = rows.argmax(axis=1), bins - 1 - rows[:, ::-1].argmax(axis=1)
    growth = np.maximum(first - (bins // 2 - low), (bins // 2 + high) - 1 - last) * BIN_M
    return np.where(some, growth / (insert - before), 2.0)
