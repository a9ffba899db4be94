# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The types that the stages exchange: frozen, validated, numpy only.

Pixels are (u, v) of the ORIGINAL image with pixel centres at integers, arrays are indexed [v, u], boxes are xyxy,
lengths are metres, depth is along the optical Z axis, transforms are named target_from_source, unset numbers are NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code

FloatArray = npt.NDArray[np.floating[Any]]
NAN = float('nan')


def _check(*, ok: bool, rule: str, got: object) -> None:
    if not ok:
        raise ValueError(f'{rule}, got {got}')


def _array(value: npt.ArrayLike, shape: tuple[int | None, ...], name: str) -> npt.NDArray[np.float64]:
    """Return a read-only float64 copy of `value`, whose shape must match `shape` (None: any length)."""
    array = np.array(value, dtype=np.float64)
    fits = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    _check(ok=fits, rule=f'{name} must have shape {shape}', got=array.shape)
    array.flags.writeable = False
    return array


def _unit(value: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = _array(value, (3,), name)
    _check(ok=abs(float(np.linalg.norm(array)) - 1) < 1e-5, rule=f'{name} must have length 1', got=array.tolist())
    return array


def _pose(value: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = _array(value, (4, 4), name)
    rotation = array[:3, :3]
    rigid = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5) and np.linalg.det(rotation) > 0
    _check(
        ok=rigid and np.allclose(array[3], (0, 0, 0, 1)), rule=f'{name} must be a rigid transform', got=array.tolist()
    )
    return array


def _scores(value: npt.ArrayLike | None, count: int) -> npt.NDArray[np.float64]:
    return _array(np.full(count, np.nan) if value is None else value, (count,), 'scores')


def _labels(labels: tuple[str, ...], count: int) -> tuple[str, ...]:
    _check(ok=len(labels) in (0, count), rule=f'labels must be empty or {count}', got=len(labels))
    return labels or ('',) * count


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole parameters in pixels of a `width` x `height` image; `distortion` as CameraInfo gives it (empty: none)."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()
    distortion_model: str = ''

    def __post_init__(self) -> None:
        _check(ok=self.fx > 0 and self.fy > 0, rule='focal lengths must be positive', got=(self.fx, self.fy))
        _check(ok=self.width > 0 and self.height > 0, rule='image size must be positive', got=(self.width, self.height))

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The 3x3 matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Frame:
    """One RGB-D bundle, frozen at the moment it was accepted.

    rgb: uint8 (H, W, 3). depth: float32 (H, W) in metres registered to rgb, invalid pixels NaN or 0, or None.
    target_from_camera: (4, 4) pose of the optical frame `frame_id` in `target_frame` at `stamp_ns`, or None.
    """

    rgb: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32] | None = None
    intrinsics: Intrinsics | None = None
    stamp_ns: int = 0
    frame_id: str = ''
    target_from_camera: FloatArray | None = None
    target_frame: str = ''

    def __post_init__(self) -> None:
        rgb_ok = self.rgb.dtype == np.uint8 and self.rgb.ndim == 3 and self.rgb.shape[2] == 3 and self.rgb.size > 0
        _check(ok=rgb_ok, rule='rgb must be uint8 (H, W, 3)', got=f'{self.rgb.dtype} {self.rgb.shape}')
        if self.depth is not None:
            depth_ok = self.depth.dtype == np.float32 and self.depth.shape == self.rgb.shape[:2]
            _check(
                ok=depth_ok,
                rule=f'depth must be float32 {self.rgb.shape[:2]}',
                got=f'{self.depth.dtype} {self.depth.shape}',
            )
        if self.intrinsics is not None:
            size = (self.intrinsics.width, self.intrinsics.height)
            _check(
                ok=size == (self.width, self.height),
                rule=f'intrinsics must be for {self.width}x{self.height}',
                got=size,
            )
        if self.target_from_camera is not None:
            object.__setattr__(self, 'target_from_camera', _pose(self.target_from_camera, 'target_from_camera'))

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.rgb.shape[0])


@dataclass(frozen=True)
class Query:
    """What is asked of a frame: a sentence, or an object and an action; `task` names the kind of answer.

    options: what a question of choice can be answered with.
    """

    text: str = ''
    object: str = ''
    action: str = ''
    task: str = ''
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(ok=bool(self.text.strip() or self.object.strip()), rule='a query needs text or an object', got=self)

    @property
    def sentence(self) -> str:
        """The text, or one made from object and action."""
        return self.text.strip() or f'{self.action.strip() or "Point to"} the {self.object.strip()}'


@dataclass(frozen=True)
class Heatmap:
    """values: float (H, W) in [0, 1] at the size of the original image."""

    values: FloatArray

    def __post_init__(self) -> None:
        values = _array(self.values, (None, None), 'values')
        ok = values.size > 0 and bool(np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1)
        _check(ok=ok, rule='heatmap values must be finite in [0, 1]', got=values.shape)
        object.__setattr__(self, 'values', values)


@dataclass(frozen=True)
class Keypoints:
    """points: (N, 2) pixels (u, v), best first. scores: (N,) or NaN. N may be 0: nothing was found."""

    points: FloatArray
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = _array(self.points, (None, 2), 'points')
        _check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'scores', _scores(self.scores, len(points)))
        object.__setattr__(self, 'labels', _labels(self.labels, len(points)))

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Boxes:
    """boxes: (N, 4) pixels xyxy with x1 >= x0 and y1 >= y0. scores: (N,) or NaN."""

    boxes: FloatArray
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        boxes = _array(self.boxes, (None, 4), 'boxes')
        ok = bool(np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all())
        _check(ok=ok, rule='boxes must be finite xyxy with x1 >= x0 and y1 >= y0', got=boxes.tolist())
        object.__setattr__(self, 'boxes', boxes)
        object.__setattr__(self, 'scores', _scores(self.scores, len(boxes)))
        object.__setattr__(self, 'labels', _labels(self.labels, len(boxes)))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Masks:
    """masks: bool (N, H, W) at the size of the original image. scores: (N,) or NaN."""

    masks: npt.NDArray[np.bool_]
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ok = self.masks.dtype == np.bool_ and self.masks.ndim == 3
        _check(ok=ok, rule='masks must be bool (N, H, W)', got=f'{self.masks.dtype} {self.masks.shape}')
        object.__setattr__(self, 'scores', _scores(self.scores, len(self.masks)))
        object.__setattr__(self, 'labels', _labels(self.labels, len(self.masks)))

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True)
class Trace:
    """points: (N, 2) pixels in the order of motion."""

    points: FloatArray
    label: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'points', _array(self.points, (None, 2), 'points'))


@dataclass(frozen=True)
class HandTrajectory:
    """Future path of one hand in pixels. points: (N, 2). times_s: (N,) after the frame. side: 'left' or 'right'.

    Points may lie outside the image. spread_px: (N,) root mean square distance of the samples to their mean, or NaN.
    present: whether the hand is in the image, None: not judged. caveats: what is not known about the path.
    """

    points: FloatArray
    times_s: FloatArray
    side: str
    spread_px: FloatArray | None = None
    present: bool | None = None
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = _array(self.points, (None, 2), 'points')
        _check(ok=self.side in ('left', 'right'), rule="side must be 'left' or 'right'", got=self.side)
        _check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'times_s', _array(self.times_s, (len(points),), 'times_s'))
        object.__setattr__(self, 'spread_px', _scores(self.spread_px, len(points)))

    def __len__(self) -> int:
        return len(self.points)

    def inside(self, width: int, height: int) -> npt.NDArray[np.bool_]:
        """Return (N,): which points lie in an image of this size."""
        points = np.asarray(self.points)
        return np.asarray(((points >= 0) & (points < (width, height))).all(axis=1))


@dataclass(frozen=True)
class Prediction:
    """What a model answered: None where it gives no such thing, empty where it found nothing.

    confidence: mean probability of the tokens of the answer in [0, 1], NaN where the model writes no text.
    """

    model: str
    query: Query
    text: str = ''
    reasoning: str = ''
    heatmap: Heatmap | None = None
    keypoints: Keypoints | None = None
    boxes: Boxes | None = None
    masks: Masks | None = None
    traces: tuple[Trace, ...] | None = None
    hands: tuple[HandTrajectory, ...] | None = None
    repairs: tuple[str, ...] = ()
    confidence: float = NAN
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'seconds', dict(self.seconds))

    @property
    def in_words(self) -> bool:
        """Whether the answer is words and names no place by its nature: a choice, a decision, a plan."""
        places = (self.heatmap, self.keypoints, self.boxes, self.masks, self.traces, self.hands)
        return bool(self.text) and all(field is None for field in places)

    @property
    def why_empty(self) -> tuple[Code, str]:
        """Code and sentence for an answer without any place: of a repair that begins with a code, or a general one."""
        for repair in self.repairs:
            name, colon, sentence = repair.partition(': ')
            if colon and name in Code.__members__:
                return Code[name], sentence
        sentence = f'{self.model} found nothing for {self.query.sentence!r}; rephrase it or move the camera'
        return Code.EMPTY_MODEL_OUTPUT, sentence


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
        object.__setattr__(self, 'point', _array(self.point, (3,), 'point'))
        _check(
            ok=bool(np.isfinite(self.point).all() and self.point[2] > 0),
            rule='point must lie before the camera',
            got=self.point,
        )
        object.__setattr__(self, 'normal', _unit(self.normal, 'normal'))
        object.__setattr__(self, 'axis', _unit(self.axis, 'axis'))
        object.__setattr__(self, 'covariance', _array(self.covariance, (3, 3), 'covariance'))


@dataclass(frozen=True)
class GraspTarget:
    """One way to take hold of a contact; every pose is camera_from_tcp in the camera's optical frame.

    TCP: midpoint between the fingertips, z towards the object, y along the closing direction.
    score is the product of `sub_scores` (each in [0, 1]). opening_m: between the fingers on the way in.
    wrist: camera_from_wrist at the grasp, what a planner moves; None: the gripper says nothing of its wrist.
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

    def __post_init__(self) -> None:
        for name in ('grasp', 'pregrasp', 'lift', *(('wrist',) if self.wrist is not None else ())):
            object.__setattr__(self, name, _pose(getattr(self, name), name))
        _check(ok=0 <= self.score <= 1, rule='score must be in [0, 1]', got=self.score)
        _check(ok=self.width_m >= 0, rule='width_m must not be negative', got=self.width_m)
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
        object.__setattr__(self, 'pose', _pose(self.pose, 'pose'))
        _check(ok=0 <= self.score <= 1, rule='score must be in [0, 1]', got=self.score)
        object.__setattr__(self, 'sub_scores', dict(self.sub_scores))


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
        points = _array(self.points, (None, 3), 'points')
        _check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'times_s', _array(self.times_s, (len(points),), 'times_s'))
        object.__setattr__(self, 'raised_m', _array(self.raised_m, (len(points),), 'raised_m'))
        _check(ok=self.lifted.shape == (len(points),), rule='lifted must be (N,)', got=self.lifted.shape)
