# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An RViz-like 3D view of an answer without OpenGL: coloured points by z-buffer, and lines that hide behind them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from affordance_ros.drawing import Canvas, Color, dot, line, write
from affordance_ros.outlines import gripper_segments, place_segments
from affordance_ros.results import FloatArray, Frame
from affordance_ros.visualization import CONTACT, GRASP, NORMAL, NORMAL_M, OTHER_GRASP, PLACE, TRACE, summary

if TYPE_CHECKING:
    from affordance_ros.pipeline import Answer

Depths = npt.NDArray[np.float32]
BACKGROUND: Color = (48, 48, 52)
GRID: Color = (105, 105, 112)
CAMERA: Color = (200, 200, 120)
AXES: tuple[Color, ...] = ((235, 60, 60), (60, 210, 60), (80, 120, 255))
_NEAR_M = 0.02
_HIDDEN = 0.25  # how strongly a line shows through what is in front of it


@dataclass(frozen=True)
class ViewSettings:
    """Where the picture is taken from: `yaw_deg` to the side of the real camera and `pitch_deg` higher.

    distance: in shares of the real camera's distance. reach_m: points farther than this from the centre are left out.
    """

    width: int = 960
    height: int = 720
    yaw_deg: float = 38.0
    pitch_deg: float = 4.0
    distance: float = 1.1
    reach_m: float = 0.9
    focal: float = 1.05
    most_points: int = 350_000


@dataclass(frozen=True)
class _Eye:
    """A pinhole at `eye_from_camera` (4, 4) with `focal_px`; points come in the real camera's frame."""

    eye_from_camera: FloatArray
    focal_px: float
    width: int
    height: int

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixels (N, 2) and depths (N,) in metres."""
        pose = np.asarray(self.eye_from_camera)
        xyz = points @ pose[:3, :3].T + pose[:3, 3]
        z = np.where(xyz[:, 2] > _NEAR_M, xyz[:, 2], np.nan)
        u = xyz[:, 0] / z * self.focal_px + self.width / 2
        v = xyz[:, 1] / z * self.focal_px + self.height / 2
        return np.column_stack((u, v)), z


@dataclass(frozen=True)
class _Picture:
    """What is drawn on: pixels (H, W, 3), the depth of each pixel in metres and the eye that sees them."""

    pixels: Canvas
    depths: Depths
    eye: _Eye


def draw_view_3d(answer: 'Answer', settings: ViewSettings | None = None) -> Canvas:
    """Draw the cloud, contacts, normals and grippers from beside the camera: uint8 RGB (H, W, 3)."""
    settings = settings or ViewSettings()
    canvas = np.full((settings.height, settings.width, 3), BACKGROUND, np.uint8)
    points, colors = _cloud(answer.frame, settings.most_points)
    if not len(points):
        write(canvas, 'no 3D view: it needs depth and intrinsics', (24, settings.height / 2), (230, 230, 230), 22)
        return canvas
    center = answer.targets[0].contact.point if answer.targets else np.median(points, axis=0)
    if not answer.targets and answer.contacts:
        center = answer.contacts[0].point
    reach = max(settings.reach_m, 0.7 * float(np.linalg.norm(center)))
    near = np.linalg.norm(points - center, axis=1) < reach
    points, colors = points[near], colors[near]
    up = _up(answer.frame, points)
    for yaw in (settings.yaw_deg, -settings.yaw_deg):  # the other side when something stands before the centre
        eye = _place_eye(np.asarray(center), up, replace(settings, yaw_deg=yaw))
        canvas[:] = BACKGROUND
        picture = _Picture(canvas, np.full(canvas.shape[:2], np.inf, np.float32), eye)
        _splat(picture, points, colors, _splat_radius(answer.frame, eye, settings))
        if _visible(picture, np.asarray(center)):
            break
    _draw_ground(picture, answer.frame)
    _draw_camera(picture)
    _draw_answer(picture, answer)
    _title(canvas, answer)
    return canvas


def _cloud(frame: Frame, most: int) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Return valid points (N, 3) in the camera frame and their colours (N, 3), thinned to about `most`."""
    if frame.depth is None or frame.intrinsics is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    step = _stride(frame, most)
    depth = frame.depth[::step, ::step].astype(np.float64)
    v, u = np.nonzero(np.isfinite(depth) & (depth > _NEAR_M))
    z = depth[v, u]
    k = frame.intrinsics
    points = np.column_stack(((u * step - k.cx) / k.fx * z, (v * step - k.cy) / k.fy * z, z))
    return points, frame.rgb[::step, ::step][v, u]


def _stride(frame: Frame, most: int) -> int:
    return max(1, int(np.ceil(np.sqrt(frame.width * frame.height / most))))


def _splat_radius(frame: Frame, eye: _Eye, settings: ViewSettings) -> int:
    """Return how far a point must reach, in pixels, to touch its neighbours on a surface that faces the eye."""
    focal_px = frame.intrinsics.fx if frame.intrinsics else eye.focal_px
    gap_px = _stride(frame, settings.most_points) * eye.focal_px / (focal_px * settings.distance)
    return int(np.clip(np.ceil(0.6 * gap_px), 1, 5))


def _up(frame: Frame, points: FloatArray) -> FloatArray:
    """Return the unit direction in the camera frame that is up: the target frame's z, else away from the main plane."""
    if frame.target_from_camera is not None:
        return np.asarray(frame.target_from_camera)[2, :3]
    rng = np.random.default_rng(0)
    sample = points[rng.integers(0, len(points), 3000)]
    triples = sample[rng.integers(0, len(sample), (200, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    keep = lengths > 1e-6
    if not keep.any():
        return np.array([0.0, -1.0, 0.0])
    normals, corners = normals[keep] / lengths[keep, None], triples[keep, 0]
    normals *= np.where(np.sum(normals * corners, axis=1) < 0, 1, -1)[:, None]
    offsets = np.abs((sample[None] * normals[:, None]).sum(axis=2) - np.sum(normals * corners, axis=1)[:, None])
    support = (offsets < 0.01).mean(axis=1) * (normals[:, 1] < -0.35)
    best = int(support.argmax())
    return np.asarray(normals[best]) if support[best] > 0.2 else np.array([0.0, -1.0, 0.0])


def _place_eye(center: FloatArray, up: FloatArray, settings: ViewSettings) -> _Eye:
    """Turn the real camera around `center`, keep the horizon level and look at the centre."""
    out = -np.asarray(center) * settings.distance
    side = np.cross(up, out)
    side = side / max(float(np.linalg.norm(side)), 1e-9)
    out = _rotation(up, np.deg2rad(settings.yaw_deg)) @ (_rotation(side, -np.deg2rad(settings.pitch_deg)) @ out)
    forward = -out / np.linalg.norm(out)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 0.05:  # looking straight down: keep the camera's own right
        right = np.array([1.0, 0.0, 0.0])
    right = right / np.linalg.norm(right)
    rotation = np.stack((right, np.cross(forward, right), forward))
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ (np.asarray(center) + out)
    return _Eye(pose, settings.focal * settings.width, settings.width, settings.height)


def _rotation(axis: FloatArray, angle: float) -> FloatArray:
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew)


def _splat(picture: _Picture, points: FloatArray, colors: npt.NDArray[np.uint8], radius: int) -> None:
    """Draw each point as a square of 2 `radius` + 1 pixels; the nearest wins."""
    pixels, z = picture.eye.project(points)
    height, width = picture.depths.shape
    margin = radius + 1
    with np.errstate(invalid='ignore'):
        ok = (pixels > -margin).all(axis=1) & (pixels[:, 0] < width + margin) & (pixels[:, 1] < height + margin)
    order = np.flatnonzero(ok)[np.argsort(-z[ok])]  # far first: of the points on one pixel the nearest is written last
    u, v = np.rint(pixels[order]).astype(np.int32).T
    z = z[order].astype(np.float32)
    wide = width + 4 * margin
    base = (v + 2 * margin) * wide + u + 2 * margin
    depths = np.full((height + 4 * margin, wide), np.inf, np.float32)
    owner = np.full(depths.shape, -1, np.int32)
    index = np.arange(len(z), dtype=np.int32)
    for dv in range(-radius, radius + 1):
        for du in range(-radius, radius + 1):
            flat = base + (dv * wide + du)
            layer = np.full(depths.size, np.inf, np.float32)
            layer[flat] = z + np.float32(2e-4 * (abs(du) + abs(dv)))  # a point's own pixel beats a neighbour's border
            nearer = np.flatnonzero(layer < depths.ravel())
            top = np.zeros(depths.size, np.int32)
            top[flat] = index
            depths.reshape(-1)[nearer] = layer[nearer]
            owner.reshape(-1)[nearer] = top[nearer]
    inner = slice(2 * margin, -2 * margin)
    picture.depths[:] = depths[inner, inner]
    shown = owner[inner, inner] >= 0
    picture.pixels[shown] = colors[order][owner[inner, inner][shown]]


def _segment(picture: _Picture, ends: FloatArray, color: Color, width: float) -> None:
    """Draw a 3D line (2, 3); parts behind the cloud are faint."""
    pixels, _ = picture.eye.project(np.asarray(ends))
    if not np.isfinite(pixels).all():
        return
    count = int(np.clip(np.linalg.norm(pixels[1] - pixels[0]) / 3, 2, 400))
    share = np.linspace(0, 1, count + 1)[:, None]
    pixels, z = picture.eye.project(np.asarray(ends[0]) * (1 - share) + np.asarray(ends[1]) * share)
    height, wide = picture.depths.shape
    columns = np.clip(np.rint(pixels[:, 0]), 0, wide - 1).astype(int)
    rows = np.clip(np.rint(pixels[:, 1]), 0, height - 1).astype(int)
    seen = z < picture.depths[rows, columns] + 0.004
    start = 0
    for index in range(1, count + 1):
        if index == count or seen[index] != seen[start]:
            _stroke(picture.pixels, pixels[[start, index]], color, width, faint=not seen[start])
            start = index


def _visible(picture: _Picture, point: FloatArray) -> bool:
    pixels, z = picture.eye.project(point[None])
    height, width = picture.depths.shape
    u, v = (int(np.clip(value, 0, limit - 1)) for value, limit in zip(pixels[0], (width, height), strict=True))
    return bool(z[0] < picture.depths[v, u] + 0.02)


def _stroke(canvas: Canvas, ends: FloatArray, color: Color, width: float, *, faint: bool) -> None:
    if not faint:
        line(canvas, ends, color, width)
        return
    pad = int(width) + 3
    low = np.maximum(np.floor(ends.min(axis=0)).astype(int) - pad, 0)
    high = np.ceil(ends.max(axis=0)).astype(int) + pad
    part = canvas[low[1] : max(high[1], low[1]), low[0] : max(high[0], low[0])]
    if part.size:
        drawn = np.ascontiguousarray(part)
        line(drawn, ends - low, color, width)
        part[:] = (part * (1 - _HIDDEN) + drawn * _HIDDEN).astype(np.uint8)


def _draw_ground(picture: _Picture, frame: Frame) -> None:
    """Draw a 10 cm grid on the target frame's ground and the frame's axes."""
    if frame.target_from_camera is None:
        return
    camera_from_target = np.linalg.inv(frame.target_from_camera)

    def to_camera(points: npt.ArrayLike) -> FloatArray:
        moved: FloatArray = np.asarray(points) @ camera_from_target[:3, :3].T + camera_from_target[:3, 3]
        return moved

    for offset in np.arange(-0.6, 0.61, 0.1):
        for ends in (((offset, -0.6, 0), (offset, 0.6, 0)), ((-0.6, offset, 0), (0.6, offset, 0))):
            _segment(picture, to_camera(ends), GRID, 1)
    for tip, color in zip(np.eye(3) * 0.1, AXES, strict=True):
        _segment(picture, to_camera([(0, 0, 0), tip]), color, 3)
    pixels, _ = picture.eye.project(to_camera([(0, 0, 0)]))
    if frame.target_frame and np.isfinite(pixels).all():
        write(picture.pixels, frame.target_frame, (pixels[0, 0] + 8, pixels[0, 1] + 14), (230, 230, 230), 16)


def _draw_camera(picture: _Picture) -> None:
    corners = np.array([(-0.04, -0.03, 0.06), (0.04, -0.03, 0.06), (0.04, 0.03, 0.06), (-0.04, 0.03, 0.06)])
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        _segment(picture, np.stack((start, end)), CAMERA, 1)
        _segment(picture, np.stack((np.zeros(3), start)), CAMERA, 1)


def _draw_answer(picture: _Picture, answer: 'Answer') -> None:
    for index, target in reversed(list(enumerate(answer.targets))):
        for ends in gripper_segments(target):
            _segment(picture, ends, GRASP if index == 0 else OTHER_GRASP, 5 if index == 0 else 2)
    for place in answer.places:
        for ends in place_segments(place):
            _segment(picture, ends, PLACE, 4)
    for path in answer.paths:
        for ends in np.stack((path.points[:-1], path.points[1:]), axis=1):
            _segment(picture, ends, TRACE, 3)
    for contact in answer.contacts:
        ends = np.stack((contact.point, contact.point + NORMAL_M * contact.normal))
        _segment(picture, ends, NORMAL, 3)
        pixels, _ = picture.eye.project(np.asarray(contact.point)[None])
        dot(picture.pixels, pixels[0], 5, (20, 20, 20))
        dot(picture.pixels, pixels[0], 3.5, CONTACT)


def _title(canvas: Canvas, answer: 'Answer') -> None:
    text, tint = summary(answer)
    write(canvas, answer.prediction.query.sentence, (16, 22), (255, 255, 255), 20)
    write(canvas, text, (16, 48), tint, 17)
