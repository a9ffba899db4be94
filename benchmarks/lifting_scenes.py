# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the lifting benchmark looks at: scenes, three cameras, missing depth, the pixels and the answers about them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NOISE_PRESETS, NoiseModel
from affordance_ros.results import Boxes, Frame, Heatmap, Intrinsics, Keypoints, Masks, Prediction, Query
from affordance_ros.scenes import Scene, SensorModel, View, sample_scene
from affordance_ros.scenes.view import PartTruth

HOLES = (0.0, 0.15, 0.3, 0.45, 0.6)
ANSWERS = ('keypoint', 'keypoint with mask', 'mask', 'heatmap', 'box')
RIM_M = 0.006
FEWEST_PX = 80
VESSELS = ('bowl', 'pan', 'mug')


@dataclass(frozen=True)
class Camera:
    """A depth camera registered to its colour image: its noise preset, image size, focal length in image widths."""

    preset: str
    width: int
    height: int
    focal: float
    edge_holes: float = 0.35
    flying: float = 0.15

    @property
    def noise(self) -> NoiseModel:
        """What lifting is told."""
        return NOISE_PRESETS[self.preset]

    @property
    def sensor(self) -> SensorModel:
        """What the depth suffers: the noise of the preset (its floor is the rounding to millimetres)."""
        subpixel = self.noise.stereo * self.focal * self.width * 0.05
        return SensorModel(0.05, subpixel, edge_holes=self.edge_holes, flying=self.flying)

    @property
    def intrinsics(self) -> Intrinsics:
        """Square pixels, the axis in the middle."""
        middle = (self.width - 1) / 2, (self.height - 1) / 2
        return Intrinsics(*(self.focal * self.width,) * 2, *middle, self.width, self.height)


CAMERAS = (
    Camera('realsense_d435', 640, 480, 0.95),
    Camera('realsense_d415', 848, 480, 0.73),
    Camera('zed', 1280, 720, 0.55, edge_holes=0.1, flying=0.35),
)


@dataclass(frozen=True)
class Place:
    """A pixel (2,) on a part. shape: what kind of thing the part is. where: which pixel of it.

    whole: the truth of the object that the part belongs to, with one part of each object.
    """

    part: str
    shape: str
    where: str
    pixel: np.ndarray
    truth: PartTruth
    part_id: int
    held: bool
    whole: PartTruth | None


@dataclass(frozen=True)
class Asked:
    """One answer of a model: what lifting gets, and the pixel and region that the simple methods get."""

    kind: str
    prediction: Prediction
    pixel: np.ndarray
    region: np.ndarray


@dataclass(frozen=True)
class Shot:
    """A scene before a camera. frame: measured. view: clean."""

    camera: Camera
    holes: float
    scene: Scene
    view: View
    frame: Frame


def shot(seed: int, rng: np.random.Generator) -> Shot:
    """Return the scene of a seed: cameras and shares of missing depth take turns, 0.4 to 1.5 m away."""
    camera, holes = CAMERAS[seed % len(CAMERAS)], HOLES[(seed // len(CAMERAS)) % len(HOLES)]
    scene = _tilted(_seen_by(sample_scene(seed, 'vga'), camera, float(rng.uniform(0.4, 1.5))), rng)
    view = scene.render()
    return Shot(camera, holes, scene, view, _with_holes(camera.sensor.apply(view.frame, rng), holes, rng))


def _seen_by(scene: Scene, camera: Camera, distance_m: float) -> Scene:
    """Return the scene seen along the same line from a distance to where that line meets the table."""
    pose = np.array(scene.table_from_camera)
    along = pose[:3, 2]
    meets = pose[:3, 3] - along * pose[2, 3] / along[2]
    pose[:3, 3] = meets - along * distance_m
    return replace(scene, intrinsics=camera.intrinsics, table_from_camera=pose)


def _tilted(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return the scene with its boxes leaning by 10 to 35 degrees."""
    placed = list(scene.placed)
    for number in {part.info.object_index for part in placed if part.info.object_name == 'box'}:
        own = [index for index, part in enumerate(placed) if part.info.object_index == number]
        vertices = np.concatenate([placed[index].mesh.vertices for index in own])
        middle = np.array([*vertices[:, :2].mean(axis=0), 0.0])
        azimuth, lean = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(10, 35))
        turn = Rotation.from_rotvec(lean * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])).as_matrix()
        lowest = ((vertices - middle) @ turn.T)[:, 2].min()
        for index in own:
            part = placed[index]
            mesh = part.mesh.transformed(turn, middle - turn @ middle - (0, 0, lowest))
            placed[index] = replace(part, mesh=mesh, axis=turn @ part.axis)
    return replace(scene, placed=tuple(placed))


def _with_holes(frame: Frame, share: float, rng: np.random.Generator) -> Frame:
    """Return the frame with patches of depth missing until `share` of it is gone."""
    assert frame.depth is not None
    if not share:
        return frame
    height, width = frame.depth.shape
    noise = cv2.resize(rng.random((height // 5, width // 5), dtype=np.float32), (width, height))
    mixed = 0.6 * noise + 0.4 * rng.random((height, width), dtype=np.float32)
    depth = np.where(mixed < np.quantile(mixed, share), np.float32(np.nan), frame.depth)
    return replace(frame, depth=depth)


def places(seen: Shot, rng: np.random.Generator) -> Iterator[Place]:
    """Yield up to four pixels of every visible part: its deepest, one near its edge, one anywhere, one at its rim."""
    boxed: set[int] = set()
    for part in seen.scene.parts:
        truth = seen.scene.truth(seen.view, part.id)
        if truth.mask.sum() < FEWEST_PX:
            continue
        whole = None if part.object_index in boxed else _whole(seen, part.object_index)
        boxed.add(part.object_index)
        shape = _shape(part.object_name, part.part)
        held = bool({'grasp', 'open', 'unscrew'} & set(part.actions))
        for where, pixel in _pixels(seen.scene, truth, shape, rng):
            kind = 'rim' if where == 'rim' else shape
            yield Place(f'{part.object_name} {part.part}', kind, where, pixel, truth, part.id, held, whole)


def _whole(seen: Shot, number: int) -> PartTruth:
    own = [seen.scene.truth(seen.view, part.id) for part in seen.scene.parts if part.object_index == number]
    points, normals = (np.concatenate([getattr(truth, name) for truth in own]) for name in ('points', 'normals'))
    return replace(own[0], mask=np.any([truth.mask for truth in own], axis=0), points=points, normals=normals)


def _shape(name: str, part: str) -> str:
    if part in ('handle', 'shaft'):
        return 'thin handle'
    if part == 'blade':
        return 'flat tool'
    if name == 'box':
        return 'tilted box'
    return 'vessel' if name in VESSELS else 'other body'


def _pixels(scene: Scene, truth: PartTruth, shape: str, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    inside = cv2.distanceTransform(np.pad(truth.mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    yield 'middle', canonical_point(truth.mask)
    rows, columns = np.nonzero(truth.mask)
    deep = inside[rows, columns]
    chosen = {'edge': (deep >= 2) & (deep < 4), 'anywhere': deep >= 2}
    if shape == 'vessel':
        height = truth.points @ np.asarray(scene.table_from_camera)[2, :3]
        chosen['rim'] = (height > height.max() - RIM_M) & (deep >= 1)
    for where, fits in chosen.items():
        if fits.any():
            index = int(rng.choice(np.flatnonzero(fits)))
            yield where, np.array([columns[index], rows[index]], float)


def answers(place: Place, rng: np.random.Generator) -> Iterator[Asked]:
    """Yield what a good model could say of a place; a mask and a heatmap once per part, a box once per object.

    The mask bleeds 2 pixels over its edge, the heatmap's peak is off by a quarter of its width, the box by 4 %.
    """
    mask = place.truth.mask
    bled = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    points, query = Keypoints(points=place.pixel[None]), Query(text='the part')
    yield Asked(ANSWERS[0], Prediction('truth', query, keypoints=points), place.pixel, bled)
    yield Asked(ANSWERS[1], Prediction('truth', query, keypoints=points, masks=Masks(bled[None])), place.pixel, bled)
    if place.where != 'middle':
        return
    rows, columns = np.nonzero(bled)
    centroid = np.array([columns.mean(), rows.mean()]).round()
    yield Asked(ANSWERS[2], Prediction('truth', query, masks=Masks(bled[None])), centroid, bled)
    width = 0.15 * np.sqrt(mask.sum()) + 2
    peak = place.pixel + rng.normal(0, width / 4, 2)
    v, u = np.indices(mask.shape)
    heat = np.exp(-((u - peak[0]) ** 2 + (v - peak[1]) ** 2) / (2 * width**2)).astype(np.float32)
    if heat.max() > 0:
        told = Prediction('truth', query, heatmap=Heatmap(heat))
        yield Asked(ANSWERS[3], told, np.clip(peak.round(), 0, np.array(mask.shape[::-1]) - 1), heat >= heat.max() / 2)
    if place.whole is not None:
        yield _box(place.whole, rng)


def _box(whole: PartTruth, rng: np.random.Generator) -> Asked:
    rows, columns = np.nonzero(whole.mask)
    size = np.array([np.ptp(columns), np.ptp(rows)] * 2) + 1.0
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()]) + rng.uniform(-0.04, 0.04, 4) * size
    box = np.clip(box, 0, np.tile(np.array(whole.mask.shape[::-1]) - 1.0, 2))
    v, u = np.indices(whole.mask.shape)
    inside = (u >= box[0]) & (u <= box[2]) & (v >= box[1]) & (v <= box[3])
    told = Prediction('truth', Query(text='the object'), boxes=Boxes(box[None]))
    return Asked(ANSWERS[4], told, ((box[:2] + box[2:]) / 2).round(), inside)


def peers(frame: Frame, asked: Asked) -> dict[str, np.ndarray | None]:
    """Return what the three simple methods answer, None where they see no depth."""
    assert frame.depth is not None
    u, v = int(asked.pixel[0]), int(asked.pixel[1])
    found: dict[str, np.ndarray | None] = {}
    for name, reach in (('single pixel', 0), ('window median', 5)):
        window = frame.depth[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1]
        valid = window[np.isfinite(window) & (window > 0)]
        found[name] = deproject([asked.pixel], [np.median(valid)], frame.intrinsics)[0] if len(valid) else None
    rows, columns = np.nonzero(asked.region & np.isfinite(frame.depth))
    found['mask centroid'] = None
    if len(rows):
        cloud = deproject(np.column_stack((columns, rows)), frame.depth[rows, columns], frame.intrinsics)
        away = np.linalg.norm(cloud - cloud.mean(axis=0), axis=1)
        found['mask centroid'] = cloud[away <= away.mean() + 2 * away.std()].mean(axis=0)
    return found
