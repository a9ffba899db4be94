# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to take hold of a contact: approach against the normal (and tilted), close across the thin side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.neighborhood import SURFACE_M, Neighborhood
from affordance_ros.results import Contact

Array = npt.NDArray[Any]
BIN_M = 0.002
STEP_M = 0.008


@dataclass(frozen=True)
class GraspSettings:
    """How grasps are built and judged. Lengths in metres, angles in degrees.

    margin_m: free space per side when the jaws are open. insert_m: how far the fingertips pass the contact.
    round_below: anisotropy under which the main axis means nothing and several rolls are tried.
    touching: cloud points inside the hand that are still taken for noise. per_contact: most targets for one contact.
    """

    margin_m: float = 0.006
    insert_m: tuple[float, ...] = (0.020, 0.012, 0.006)
    tilts_deg: tuple[float, ...] = (0.0, -25.0, 25.0)
    rolls_when_round: int = 4
    round_below: float = 0.25
    pregrasp_m: float = 0.08
    lift_m: float = 0.10
    min_width_m: float = 0.002
    clearance_m: float = 0.010
    touching: int = 3
    min_score: float = 0.05
    per_contact: int = 1


@dataclass(frozen=True)
class Candidate:
    """camera_from_tcp pose, the width between the fingers, whether that is only a lower bound, and how it was made."""

    pose: Array
    width_m: float
    width_is_lower_bound: bool
    insert_m: float
    tilt_deg: float
    trusted_axis: float


@dataclass(frozen=True)
class Span:
    """The part along a closing direction, from low_m to high_m about the contact. seen: both ends were in view."""

    low_m: float
    high_m: float
    seen: bool

    @property
    def width_m(self) -> float:
        """The thickness in metres."""
        return self.high_m - self.low_m


def candidates(
    contact: Contact, around: Neighborhood, gripper: GripperSettings, settings: GraspSettings
) -> Iterator[Candidate]:
    """Yield candidates, the plainest first."""
    normal = np.asarray(contact.normal)
    axis = around.axis - (around.axis @ normal) * normal
    axis /= np.linalg.norm(axis)
    round_part = around.anisotropy < settings.round_below
    rolls = np.arange(settings.rolls_when_round) * 180 / settings.rolls_when_round if round_part else (0.0, 90.0)
    inserts = _inserts(contact, around, settings)
    for roll in rolls:
        along = _turned(axis, normal, roll)
        closing = np.cross(normal, along)
        span = span_along(contact, around, closing, along, gripper.finger_width_m)
        middle = np.asarray(contact.point) + (span.low_m + span.high_m) / 2 * closing
        trust = 1.0 if round_part else (around.anisotropy if roll == 0 else 1 - around.anisotropy)
        for tilt in settings.tilts_deg:
            approach = _turned(-normal, along, tilt)
            sideways = _turned(closing, along, tilt)
            for insert in inserts:
                pose = np.eye(4)
                pose[:3, :3] = np.column_stack((np.cross(sideways, approach), sideways, approach))
                pose[:3, 3] = middle + insert * approach
                yield Candidate(pose, span.width_m, not span.seen, insert, tilt, trust)


def _inserts(contact: Contact, around: Neighborhood, settings: GraspSettings) -> tuple[float, ...]:
    """Return the depths to try; for a flat part on the table also one that stops 1 mm above the table."""
    if around.plane is None:
        return settings.insert_m
    height = float(contact.point @ around.plane.normal - around.plane.offset)
    if not 0.001 < height < min(settings.insert_m) + 0.001:
        return settings.insert_m
    return (*settings.insert_m, max(0.001, height - 0.001))


def _turned(vector: Array, axis: Array, degrees: float) -> Array:
    """Rotate a vector about a unit axis (Rodrigues)."""
    angle = np.radians(degrees)
    turned = vector * np.cos(angle) + np.cross(axis, vector) * np.sin(angle)
    return np.asarray(turned + axis * (axis @ vector) * (1 - np.cos(angle)), dtype=np.float64)


def span_along(contact: Contact, around: Neighborhood, closing: Array, along: Array, slab_m: float) -> Span:
    """Return the part's extent along `closing` in a slab of slab_m along `along`.

    The top of the surface in bins of 2 mm is followed from the contact to a gap of two bins or a step above 8 mm:
    a handle ends at its own edge, a bottle where it curves out of sight.
    """
    offsets = around.surface - contact.point
    height = offsets @ np.asarray(contact.normal)
    slab = (np.abs(offsets @ along) <= slab_m / 2) & (np.abs(height) <= 0.05)
    place, height = offsets[slab] @ closing, height[slab]
    if len(place) < 4:
        return Span(0.0, 0.0, seen=False)
    bins = np.floor(place / BIN_M).astype(int)
    first = int(bins.min())
    top = np.full(int(bins.max()) - first + 1, -np.inf)
    np.maximum.at(top, bins - first, height)
    filled = np.flatnonzero(np.isfinite(top))
    start = int(np.abs(filled + first + 0.5).argmin())
    step = np.diff(top[filled])
    cut = (np.diff(filled) > 2) | (np.abs(step) > STEP_M)
    left = int(np.flatnonzero(cut[:start]).max(initial=-1)) + 1
    right = int((np.flatnonzero(cut[start:]) + start).min(initial=len(filled) - 1))
    # A nearer thing beside the part hides its end; so does the border of what was looked at.
    hidden = (left > 0 and step[left - 1] < -STEP_M) or (right < len(step) and step[right] > STEP_M)
    low_bin, high_bin = filled[left] + first, filled[right] + first
    part = (bins >= low_bin) & (bins <= high_bin) & (height >= top[bins - first] - STEP_M)
    half_pixel = around.pitch_m / 2
    low, high = float(np.quantile(place[part], 0.01)) - half_pixel, float(np.quantile(place[part], 0.99)) + half_pixel
    ray = np.asarray(contact.point) / np.linalg.norm(contact.point)
    inside = max(-low, high) < SURFACE_M - 2 * BIN_M
    # Both ends are seen when the camera looks down between them: closing nearly square to the line of sight.
    return Span(low, high, seen=bool(inside and not hidden and abs(float(closing @ ray)) < 0.5))
