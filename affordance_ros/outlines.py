# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grippers, cups and free places as lines in space, for overlays, 3D views and markers alike."""

import numpy as np

from affordance_ros.grasping.gripper import PRESETS, GripperSettings
from affordance_ros.results import FloatArray, GraspTarget, PlaceTarget

STEM_M = 0.035
OPENING_M = 0.012  # drawn beside the part where a target does not say how far the jaws open
ARROW_M = 0.05
CORNERS = 20


def gripper_segments(target: GraspTarget) -> FloatArray:
    """Return the outline of the hand of a target: (N, 2, 3) segments in the frame of the target, metres.

    Two fingers as far apart as the jaws open, the bar between them and the stem; for a cup its lip and its stem.
    """
    hand = PRESETS.get(target.gripper, GripperSettings())
    suction = target.width_m == 0 and target.opening_m == 0
    return _placed(_cup(hand) if suction else _jaws(hand, target), target.grasp)


def place_segments(place: PlaceTarget) -> FloatArray:
    """Return the rim of the free patch and its normal: (N, 2, 3) segments in the frame of the target, metres."""
    lines = np.concatenate((_ring(place.radius_m, 0.0), [[(0, 0, 0), (0, 0, ARROW_M)]]))
    return _placed(lines, place.pose)


def _jaws(hand: GripperSettings, target: GraspTarget) -> FloatArray:
    opening = target.opening_m if np.isfinite(target.opening_m) else target.width_m + OPENING_M
    half, length = opening / 2, hand.finger_length_m
    roots = [(0.0, side * half, -length) for side in (-1, 1)]
    tips = [(0.0, side * half, 0.0) for side in (-1, 1)]
    return np.array([*zip(tips, roots, strict=True), roots, [(0, 0, -length), (0, 0, -length - STEM_M)]])


def _cup(hand: GripperSettings) -> FloatArray:
    neck = 0.02
    spokes = [[(x, y, 0.0), (0.0, 0.0, -neck)] for x, y in _ring(hand.cup_radius_m, 0.0)[:: CORNERS // 4, 0, :2]]
    return np.concatenate((_ring(hand.cup_radius_m, 0.0), spokes, [[(0, 0, -neck), (0, 0, -neck - STEM_M)]]))


def _ring(radius: float, z: float) -> FloatArray:
    angle = np.arange(CORNERS + 1) * 2 * np.pi / CORNERS
    points = np.column_stack((radius * np.cos(angle), radius * np.sin(angle), np.full(CORNERS + 1, z)))
    return np.stack((points[:-1], points[1:]), axis=1)


def _placed(lines: FloatArray, pose: FloatArray) -> FloatArray:
    matrix = np.asarray(pose)
    return np.asarray(lines @ matrix[:3, :3].T + matrix[:3, 3])
