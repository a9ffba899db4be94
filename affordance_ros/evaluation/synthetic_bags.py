# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of simulated tables with their labels: every kind of input that a robot records, and what is true of it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.bags import BagWriter, WriterSettings
from affordance_ros.evaluation.labels import SceneSource, decode_mask, encode_mask
from affordance_ros.results import FloatArray, Frame, Intrinsics
from affordance_ros.scenes import Scene, SensorModel, View

START_NS = 1_000_000_000
DEPTH_FRAME = 'depth_optical_frame'
HEATMAPS = 'heatmaps'
_DEPTH_SHIFT_M = (-0.05, 0.0, 0.0)
_LABEL_POINTS = 400
_FEWEST_PIXELS = 60
_BLUR = 0.01  # of the width of the image: the deviation with which labels of heatmaps are blurred
_WALL_M = 0.05  # wider parts are hollow and taken by their wall, whose width the scene does not tell


@dataclass(frozen=True)
class BagRecipe:
    """What is recorded.

    turn_deg: how far the camera goes round the table from frame to frame; 0: it stands. unaligned: depth comes from a
    camera of its own, 5 cm to the left and half as large. loop: the second half has the stamps of the first again.
    no_tf, no_info: leave transforms or camera info out. noise: depth as a stereo camera measures it.
    """

    frames: int = 10
    fps: float = 10.0
    turn_deg: float = 0.0
    depth: str = '16UC1'
    storage: str = 'mcap'
    jpeg: bool = False
    unaligned: bool = False
    loop: bool = False
    no_tf: bool = False
    no_info: bool = False
    noise: bool = False

    def __post_init__(self) -> None:
        if self.frames < 1 or not self.fps > 0:
            raise ValueError('a bag needs at least one frame and a rate above 0')


def write_synthetic_bag(folder: Path, scene: Scene, recipe: BagRecipe, source: SceneSource | None = None) -> list[str]:
    """Write bag/, labels.json, heatmaps/ and prompts.txt into `folder`; return the prompts: one per visible part.

    source: how the scene was drawn; with it the labels let grasps be judged on the meshes.
    """
    settings = WriterSettings(
        storage=recipe.storage,
        depth_encoding=recipe.depth,
        jpeg=recipe.jpeg,
        moving_camera=recipe.turn_deg != 0 and not recipe.no_tf,
    )
    prompts: list[str] = []
    labels: list[dict[str, Any]] = []
    with BagWriter(folder / 'bag', settings) as writer:
        for index, (moved, stamp) in enumerate(_moments(scene, recipe)):
            view = moved.render(stamp_ns=stamp)
            _write(writer, moved, view, (recipe, index))
            for label in _labels(moved, view):
                name = f'{HEATMAPS}/{index:04d}_{label["scene"]["part"]}.png'
                _write_heatmap(folder / name, decode_mask(label['masks'][0]))
                labels.append({**label, 'heatmap': name})
                if label['prompt'] not in prompts:
                    prompts.append(label['prompt'])
    known = {} if source is None else {'scene': asdict(source)}
    (folder / 'labels.json').write_text(json.dumps({'labels': labels, **known}) + '\n')
    (folder / 'prompts.txt').write_text('\n'.join(prompts) + '\n')
    return prompts


def _write_heatmap(path: Path, mask: npt.NDArray[np.bool_]) -> None:
    """Write where the part may be touched, as a map that is highest well inside of it and fades out at its edge."""
    path.parent.mkdir(exist_ok=True)
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(1.0, _BLUR * mask.shape[1]))
    cv2.imwrite(str(path), np.rint(255 * blurred / blurred.max()).astype(np.uint8))


def _moments(scene: Scene, recipe: BagRecipe) -> Iterator[tuple[Scene, int]]:
    half = recipe.frames // 2
    for index in range(recipe.frames):
        step = index - half if recipe.loop and index >= half else index
        angle = np.radians(recipe.turn_deg * step)
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        moved = replace(scene, table_from_camera=turn @ np.asarray(scene.table_from_camera))
        yield moved, START_NS + round(step * 1e9 / recipe.fps)


def _write(writer: BagWriter, scene: Scene, view: View, which: tuple[BagRecipe, int]) -> None:
    recipe, index = which
    received = START_NS + round(index * 1e9 / recipe.fps)  # goes on where the stamps of a loop go back
    frame = _measured(view.frame, recipe, index)
    if recipe.no_tf:
        frame = replace(frame, target_from_camera=None)
    if recipe.unaligned:
        intrinsics, camera_from_depth = _depth_camera(scene.intrinsics)
        beside = replace(
            scene, intrinsics=intrinsics, table_from_camera=np.asarray(scene.table_from_camera) @ camera_from_depth
        )
        depth = _measured(beside.render(stamp_ns=frame.stamp_ns).frame, recipe, index).depth
        if depth is not None:
            writer.write_depth(depth, (intrinsics, DEPTH_FRAME), frame.stamp_ns, received)
        if index == 0 and not recipe.no_tf:
            writer.write_transform(camera_from_depth, frame.frame_id, DEPTH_FRAME, frame.stamp_ns)
        frame = replace(frame, depth=None)
    writer.write_frame(replace(frame, intrinsics=None) if recipe.no_info else frame, received)


def _measured(frame: Frame, recipe: BagRecipe, index: int) -> Frame:
    return SensorModel().apply(frame, np.random.default_rng(index)) if recipe.noise else frame


def _depth_camera(color: Intrinsics) -> tuple[Intrinsics, FloatArray]:
    """Return a depth camera of half the size, and color_from_depth (4, 4)."""
    width, height = color.width // 2, color.height // 2
    focal = 0.45 * color.fx
    pose = np.eye(4)
    pose[:3, 3] = _DEPTH_SHIFT_M
    return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height), pose


def _labels(scene: Scene, view: View) -> Iterator[dict[str, Any]]:
    """Yield the label of every part of which enough is seen, for the first of its sentences."""
    for part in scene.parts:
        truth = scene.truth(view, part.id)
        if not truth.sentences or int(truth.mask.sum()) < _FEWEST_PIXELS:
            continue
        rows, columns = np.nonzero(truth.mask)
        chosen = np.linspace(0, len(truth.points) - 1, min(_LABEL_POINTS, len(truth.points))).astype(int)
        middle = np.argmin((columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2)
        label = {
            'stamp_ns': view.frame.stamp_ns,
            'prompt': truth.sentences[0],
            'points_uv_px': [[int(columns[middle]), int(rows[middle])]],
            'boxes_xyxy_px': [[int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())]],
            'masks': [encode_mask(truth.mask)],
            'points_m': truth.points[chosen].round(6).tolist(),
            'normals': truth.normals[chosen].round(6).tolist(),
            'scene': {'part': part.id, 'table_from_camera': np.asarray(scene.table_from_camera).tolist()},
        }
        yield label | {'width_m': truth.width_m} if truth.width_m < _WALL_M else label
