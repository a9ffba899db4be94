# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is a contact still where it was? The newest depth at its place against what the target says."""

from dataclasses import dataclass

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.lifting import LiftSettings, Spot, lift_spot
from affordance_ros.geometry.transforms import inverse
from affordance_ros.results import Abstention, Contact, FloatArray, Frame

MAX_SHIFT_M, MAX_TURN_RAD = 0.010, 0.35


@dataclass(frozen=True)
class Verdict:
    """What is there now, in the camera frame, and how far that is from what was expected."""

    contact: Contact
    shift_m: float
    turn_rad: float
    frame_from_camera: FloatArray


@dataclass(frozen=True)
class Expected:
    """A contact as the target tells it: point and normal (3,) in a frame, and what may have changed."""

    point: FloatArray
    normal: FloatArray
    frame_id: str
    max_shift_m: float = MAX_SHIFT_M
    max_turn_rad: float = MAX_TURN_RAD

    def moved(self, verdict: Verdict) -> AffordanceError | None:
        """Return MOVED with both numbers, None when the contact is still there."""
        if verdict.shift_m <= self.max_shift_m and verdict.turn_rad <= self.max_turn_rad:
            return None
        told = f'{1000 * verdict.shift_m:.1f} mm away and turned by {np.degrees(verdict.turn_rad):.0f} degrees'
        limits = f'{1000 * self.max_shift_m:.1f} mm, {np.degrees(self.max_turn_rad):.0f} degrees'
        return AffordanceError(
            Code.MOVED, f'the surface at the contact is {told} (limits {limits}); ask for targets again'
        )


def look_again(frame: Frame, expected: Expected, settings: LiftSettings) -> Verdict:
    """Lift the place where a contact should be. Raises AffordanceError TF, OUT_OF_IMAGE or why nothing is seen."""
    camera_from_frame = _camera_from(frame, expected.frame_id)
    point = camera_from_frame[:3, :3] @ expected.point + camera_from_frame[:3, 3]
    normal = camera_from_frame[:3, :3] @ expected.normal
    k = frame.intrinsics
    if k is None or point[2] <= 0:
        raise AffordanceError(Code.OUT_OF_IMAGE, 'the contact lies behind the camera; move the camera to see it')
    pixel = (float(k.fx * point[0] / point[2] + k.cx), float(k.fy * point[1] / point[2] + k.cy))
    if frame.depth is None:
        raise AffordanceError(Code.NO_DEPTH, 'there is no depth to verify with; start the depth stream')
    found = lift_spot(frame, Spot(pixel), settings)
    if isinstance(found, Abstention):
        raise AffordanceError(found.code, f'the contact cannot be verified: {found.message}')
    shift = float(np.linalg.norm(np.asarray(found.point) - point))
    turn = float(np.arccos(np.clip(np.asarray(found.normal) @ normal, -1, 1)))
    return Verdict(found, shift, turn, inverse(camera_from_frame))


def _camera_from(frame: Frame, frame_id: str) -> FloatArray:
    if frame_id == frame.frame_id:
        return np.eye(4)
    if frame.target_from_camera is None or frame_id != frame.target_frame:
        known = ' and '.join(repr(name) for name in (frame.frame_id, frame.target_frame) if name)
        raise AffordanceError(
            Code.TF, f'the target is in frame {frame_id!r}, the image is known in {known}; send a target of those'
        )
    return inverse(np.asarray(frame.target_from_camera))
