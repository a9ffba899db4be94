# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer comes to in 3D: contacts, targets and paths, or an abstention."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.results.checks import NAN, FloatArray, array_of, check, pose_of, unit_of


@dataclass(frozen=True)
class Abstention:
    """One thing that was asked for and is not answered: the code, the sentence and the counts that led to it."""

    code: Code
    message: str
    label: str = ''
    pixel: tuple[float, float] = (NAN, NAN)
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contact:
    """A point on a visible surface, in the camera's optical frame.

    normal: unit, out of the surface, towards the camera. axis: unit, along the part in the tangent plane;
    `anisotropy` in [0, 1] says how far that axis means anything (0: round). covariance: (3, 3) m^2.
    valid_ratio: share of the window with depth. inlier_ratio: share of the valid depth on the chosen surface.
    """

    point: FloatArray
    normal: FloatArray
    axis: FloatArray
    anisotropy: float
    radius_m: float
    covariance: FloatArray
    pixel: tuple[float, float]
    score: float = NAN
    valid_ratio: float = NAN
    inlier_ratio: float = NAN
    sigma_m: float = NAN
    method: str = 'keypoint'
    label: str = ''
    evidence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'point', array_of(self.point, (3,), 'point'))
        check(
            ok=bool(np.isfinite(self.point).all() and self.point[2] > 0),
            rule='point must lie before the camera',
            got=self.point,
        )
        object.__setattr__(self, 'normal', unit_of(self.normal, 'normal'))
        object.__setattr__(self, 'axis', unit_of(self.axis, 'axis'))
        object.__setattr__(self, 'covariance', array_of(self.covariance, (3, 3), 'covariance'))


@dataclass(frozen=True)
class GraspTarget:
    """One way to take hold of a contact; every pose is camera_from_tcp in the camera's optical frame.

    TCP: midpoint between the fingertips (or of the lip of a cup), z towards the object, y along the closing direction.
    score is the product of `sub_scores` (each in [0, 1]). opening_m: between the fingers on the way in.
    wrist: camera_from_wrist at the grasp, what a planner moves (link `wrist_frame`); None: unknown.
    """

    contact: Contact
    grasp: FloatArray
    pregrasp: FloatArray
    lift: FloatArray
    width_m: float
    width_is_lower_bound: bool
    depth_m: float
    clearance_m: float
    score: float
    sub_scores: Mapping[str, float]
    gripper: str = ''
    label: str = ''
    opening_m: float = NAN
    wrist: FloatArray | None = None
    wrist_frame: str = ''

    def __post_init__(self) -> None:
        for name in ('grasp', 'pregrasp', 'lift', *(('wrist',) if self.wrist is not None else ())):
            object.__setattr__(self, name, pose_of(getattr(self, name), name))
        check(ok=0 <= self.score <= 1, rule='score must be in [0, 1]', got=self.score)
        check(ok=self.width_m >= 0, rule='width_m must not be negative', got=self.width_m)
        object.__setattr__(self, 'sub_scores', dict(self.sub_scores))

    @property
    def approach(self) -> npt.NDArray[np.float64]:
        """Unit direction in which the TCP moves to the contact."""
        return np.array(self.grasp[:3, 2], dtype=np.float64)

    @property
    def closing(self) -> npt.NDArray[np.float64]:
        """Unit direction along which the fingers close."""
        return np.array(self.grasp[:3, 1], dtype=np.float64)


@dataclass(frozen=True)
class PlaceTarget:
    """Where to put something down. pose: camera_from_place, origin on the surface, z out of it.

    radius_m: of the patch that is flat and free. room_m: from its edge to the nearest thing beside it, to 50 mm.
    score is the product of `sub_scores` (each in [0, 1]).
    """

    contact: Contact
    pose: FloatArray
    radius_m: float
    room_m: float
    score: float
    sub_scores: Mapping[str, float]
    label: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'pose', pose_of(self.pose, 'pose'))
        check(ok=0 <= self.score <= 1, rule='score must be in [0, 1]', got=self.score)
        object.__setattr__(self, 'sub_scores', dict(self.sub_scores))


@dataclass(frozen=True)
class Obstacle:
    """What was seen of a thing, for a planner. pose: camera_from_obstacle.

    size_m: extents of a box about the pose; None: vertices (N, 3) in the pose and triangles (M, 3) say the shape.
    """

    name: str
    pose: FloatArray
    size_m: tuple[float, float, float] | None = None
    vertices: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    triangles: npt.NDArray[np.integer[Any]] = field(default_factory=lambda: np.zeros((0, 3), int))

    def __post_init__(self) -> None:
        object.__setattr__(self, 'pose', pose_of(self.pose, 'pose'))
        object.__setattr__(self, 'vertices', array_of(self.vertices, (None, 3), 'vertices'))
        shaped = self.size_m is not None or len(self.triangles) > 0
        check(ok=shaped, rule='an obstacle needs a size or triangles', got=self.name)


@dataclass(frozen=True)
class LiftedPath:
    """A path of a hand or a trace in 3D, camera frame. points: (N, 3) metres.

    lifted: (N,) true where the point was measured on a surface, false where it was interpolated in free space.
    times_s: (N,) after the frame, or NaN. raised_m: (N,) how far a point was raised to stay clear of the cloud.
    """

    points: FloatArray
    lifted: npt.NDArray[np.bool_]
    times_s: FloatArray
    raised_m: FloatArray
    label: str = ''

    def __post_init__(self) -> None:
        points = array_of(self.points, (None, 3), 'points')
        check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'times_s', array_of(self.times_s, (len(points),), 'times_s'))
        object.__setattr__(self, 'raised_m', array_of(self.raised_m, (len(points),), 'raised_m'))
        check(ok=self.lifted.shape == (len(points),), rule='lifted must be (N,)', got=self.lifted.shape)
