# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to take hold of a contact: approach against the normal (and tilted), close across the thin side, at several depths."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.neighborhood import Neighborhood
from affordance_ros.results import Contact

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GraspSettings:
    """How grasps are built and judged. Lengths in metres, angles in degrees.

    margin_m: free space per side when the jaws are open. insert_m: how far the fingertips pass the contact, tried in this order.
    round_below: anisotropy under which the main axis means nothing and several rolls are tried.
    touching: cloud points inside the hand that are still taken for noise.
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


@dataclass(frozen=True)
class Candidate:
    """camera_from_tcp pose, the width between the fingers, whether that is only a lower bound, and how it was made."""

    pose: Array
    width_m: float
    width_is_lower_bound: bool
    insert_m: float
    tilt_deg: float
    trusted_axis: float


def candidates(contact: Contact, around: Neighborhood, gripper: GripperSettings, settings: GraspSettings) -> Iterator[Candidate]:
    """Yield candidates, the plainest first."""
    normal = np.asarray(contact.normal)
    axis = around.axis - (around.axis @ normal) * normal
    axis /= np.linalg.norm(axis)
    round_part = around.anisotropy < settings.round_below
    rolls = np.arange(settings.rolls_when_round) * 180 / settings.rolls_when_round if round_part else (0.0, 90.0)
    for roll in rolls:
        along = _turned(axis, normal, roll)
        closing = np.cross(normal, along)
        width, bounded = width_along(contact, around.surface, closing, along, gripper)
        trust = 1.0 if round_part else (around.anisotropy if roll == 0 else 1 - around.anisotropy)
        for tilt in settings.tilts_deg:
            approach = _turned(-normal, along, tilt)
            sideways = _turned(closing, along, tilt)
            for insert in settings.insert_m:
                pose = np.eye(4)
                pose[:3, :3] = np.column_stack((np.cross(sideways, approach), sideways, approach))
                pose[:3, 3] = _middle(contact, around.surface, closing, along, gripper) + insert * approach
                yield Candidate(pose, width, not bounded, insert, tilt, trust)


def _turned(vector: Array, axis: Array, degrees: float) -> Array:
    """Rotate a vector about a unit axis (Rodrigues)."""
    angle = np.radians(degrees)
    return np.asarray(
        vector * np.cos(angle) + np.cross(axis, vector) * np.sin(angle) + axis * (axis @ vector) * (1 - np.cos(angle)), dtype=np.float64
    )


def _run(contact: Contact, surface: Array, closing: Array, along: Array, gripper: GripperSettings) -> Array:
    """Return the sorted extents along `closing` of the surface in the finger slab, without what lies beyond a gap of 4 mm."""
    offsets = surface - contact.point
    slab = np.abs(offsets @ along) <= gripper.finger_width_m / 2
    deep = np.abs(offsets @ np.asarray(contact.normal)) <= 0.04
    values = np.sort(offsets[slab & deep] @ closing)
    if not len(values):
        return values
    start = int(np.abs(values).argmin())
    cuts = np.flatnonzero(np.diff(values) > 0.004)
    first = cuts[cuts < start].max(initial=-1) + 1
    last = cuts[cuts >= start].min(initial=len(values) - 1)
    return np.asarray(values[first : last + 1])


def width_along(contact: Contact, surface: Array, closing: Array, along: Array, gripper: GripperSettings) -> tuple[float, bool]:
    """Return the visible thickness (m) along `closing`, and whether both of its ends were seen (else it is a lower bound)."""
    values = _run(contact, surface, closing, along, gripper)
    if len(values) < 4:
        return 0.0, False
    low, high = np.quantile(values, (0.02, 0.98))
    # Both ends are seen when the camera looks down between them: closing nearly square to the line of sight.
    ray = np.asarray(contact.point) / np.linalg.norm(contact.point)
    return float(high - low), abs(float(closing @ ray)) < 0.5


def _middle(contact: Contact, surface: Array, closing: Array, along: Array, gripper: GripperSettings) -> Array:
    """Return the contact moved to the middle of the thickness along `closing`."""
    values = _run(contact, surface, closing, along, gripper)
    shift = float(np.quantile(values, (0.02, 0.98)).mean()) if len(values) >= 4 else 0.0
    return np.asarray(contact.point) + shift * closing
