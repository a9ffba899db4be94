# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grippers as boxes, from grippers.yaml. TCP: origin midway between the fingertips, z to the object, y closing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import inverse, pose_from

Array = npt.NDArray[np.float64]
AXES = {'x': 0, 'y': 1, 'z': 2}


@dataclass(frozen=True)
class JointRule:
    """Position of a finger joint at an opening: offset + per_m * opening_m."""

    offset: float
    per_m: float


@dataclass(frozen=True)
class GripperSettings:
    """Sizes in metres. kind: 'parallel' or 'suction'.

    max_aperture: widest opening. finger_length: from palm to tip. finger_thickness: along y. finger_width: along x.
    palm: full extents (x, y, z) of the hand behind the fingers. cup_radius, cup_give: lip of a suction cup and how
    uneven a surface it seals. wrist_frame: what a planner moves; wrist_xyz, wrist_rpy: the TCP in it (fixed axes).
    """

    name: str = 'generic'
    max_aperture_m: float = 0.085
    finger_length_m: float = 0.050
    finger_thickness_m: float = 0.010
    finger_width_m: float = 0.020
    palm_m: tuple[float, float, float] = (0.06, 0.14, 0.06)
    kind: str = 'parallel'
    cup_radius_m: float = 0.015
    cup_give_m: float = 0.002
    wrist_frame: str = 'hand'
    wrist_xyz: tuple[float, float, float] = (0.0, 0.0, 0.11)
    wrist_rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)
    joints: Mapping[str, JointRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in ('parallel', 'suction'):
            raise AffordanceError(Code.BAD_INPUT, f'gripper kind must be parallel or suction, got {self.kind!r}')

    @property
    def wrist_from_tcp(self) -> Array:
        """(4, 4) pose of the TCP in the wrist frame."""
        roll, pitch, yaw = self.wrist_rpy
        turns = [_about(axis, angle) for axis, angle in zip('xyz', (roll, pitch, yaw), strict=True)]
        return pose_from(self.wrist_xyz, turns[2] @ turns[1] @ turns[0])

    def wrist_pose(self, target_from_tcp: npt.ArrayLike) -> Array:
        """Return target_from_wrist (4, 4): where a planner brings the wrist for a TCP pose."""
        return np.asarray(np.asarray(target_from_tcp, dtype=np.float64) @ inverse(self.wrist_from_tcp))

    def joint_positions(self, opening_m: float) -> dict[str, float]:
        """Return the positions of the finger joints at an opening; empty for a gripper without rules."""
        return {name: rule.offset + rule.per_m * opening_m for name, rule in self.joints.items()}

    def boxes(self, opening_m: float, sweep_m: float = 0.0) -> Array:
        """Return the boxes (N, 2, 3) of left finger, right finger and palm (TCP frame), drawn out by sweep_m.

        A suction cup is one box of its lip's size and the body behind it.
        """
        px, py, pz = self.palm_m
        if self.kind == 'suction':
            r, neck = self.cup_radius_m, 0.02
            return np.array([
                [(-r, -r, -neck - sweep_m), (r, r, -0.002)],
                [(-px / 2, -py / 2, -neck - pz - sweep_m), (px / 2, py / 2, -neck)],
            ])  # fmt: skip
        half = opening_m / 2
        x, thick, length = self.finger_width_m / 2, self.finger_thickness_m, self.finger_length_m
        return np.array([
            [(-x, half, -length - sweep_m), (x, half + thick, 0)],
            [(-x, -half - thick, -length - sweep_m), (x, -half, 0)],
            [(-px / 2, -py / 2, -length - pz - sweep_m), (px / 2, py / 2, -length)],
        ])  # fmt: skip


def _about(axis: str, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    i, j = (AXES[axis] + 1) % 3, (AXES[axis] + 2) % 3
    turn = np.eye(3)
    turn[i, i] = turn[j, j] = c
    turn[i, j], turn[j, i] = -s, s
    return turn


def gripper_from(name: str, entry: Mapping[str, Any]) -> GripperSettings:
    """Return a gripper of one entry of a YAML file. Raises BAD_INPUT that names what is missing or unknown."""
    known = {'kind', 'max_aperture', 'finger', 'palm', 'wrist', 'joints', 'cup_radius', 'cup_give'}
    try:
        if set(entry) - known:
            raise KeyError(f'unknown {sorted(set(entry) - known)}')
        finger, wrist = entry.get('finger', {}), entry['wrist']
        suction = entry['kind'] == 'suction'
        sizes = [0.02 if suction else float(finger[key]) for key in ('length', 'thickness', 'width')]
        palm, xyz, rpy = (tuple(float(v) for v in values) for values in (entry['palm'], wrist['xyz'], wrist['rpy']))
        if not len(palm) == len(xyz) == len(rpy) == 3:
            raise KeyError('palm, xyz and rpy have three numbers each')
        return GripperSettings(
            name,
            0.0 if suction else float(entry['max_aperture']),
            finger_length_m=sizes[0],
            finger_thickness_m=sizes[1],
            finger_width_m=sizes[2],
            palm_m=(palm[0], palm[1], palm[2]),
            kind=str(entry['kind']),
            cup_radius_m=float(entry.get('cup_radius', 0.015)),
            cup_give_m=float(entry.get('cup_give', 0.002)),
            wrist_frame=str(wrist['frame']),
            wrist_xyz=(xyz[0], xyz[1], xyz[2]),
            wrist_rpy=(rpy[0], rpy[1], rpy[2]),
            joints={
                joint: JointRule(float(rule['offset']), float(rule['per_m']))
                for joint, rule in (entry.get('joints') or {}).items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f'gripper {name!r} cannot be read: {error}'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; grasping/grippers.yaml shows the form') from error


def grippers_in(text: str) -> dict[str, GripperSettings]:
    """Return the grippers of a YAML text by name. Raises BAD_INPUT."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AffordanceError(Code.BAD_INPUT, f'the gripper file is not YAML: {error}') from error
    if not isinstance(content, dict) or not content:
        raise AffordanceError(
            Code.BAD_INPUT, 'the gripper file names no gripper; grasping/grippers.yaml shows the form'
        )
    return {str(name): gripper_from(str(name), entry) for name, entry in content.items()}


PRESETS = grippers_in((resources.files('affordance_ros.grasping') / 'grippers.yaml').read_text(encoding='utf-8'))


def gripper_preset(name: str) -> GripperSettings:
    """Return a preset by name, or the first gripper of a YAML file by its path. AffordanceError BAD_INPUT otherwise."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no gripper file {name}')
        return next(iter(grippers_in(path.read_text(encoding='utf-8')).values()))
    raise AffordanceError(Code.BAD_INPUT, f'unknown gripper {name!r}; presets: {", ".join(PRESETS)}')
