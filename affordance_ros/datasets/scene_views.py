# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many small views of procedural scenes on disk, with part maps and one canonical point per visible part.

A folder holds shards of `SHARD` scenes each. Seeds below `HELD_OUT_SEED` are for training, the others for evaluation.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.results import FloatArray
from affordance_ros.scenes import sample_scene
from affordance_ros.scenes.catalogue import CLASSES, COLORS, PART_NAMES
from affordance_ros.scenes.sentences import ScenePart, sentences_for

SHARD = 500
HELD_OUT_SEED = 90_000_000
MAX_PARTS = 16
PAIRS: tuple[tuple[str, str], ...] = tuple((name, part) for name, parts in PART_NAMES.items() for part in parts)
_ACTIONS = {
    (name, part.name): part.actions for name, build in CLASSES.items() for part in build(np.random.default_rng(0))
}


@dataclass(frozen=True)
class ShardColumns:
    """Arrays of one shard, first axis = scene.

    images: uint8 (N, S, S, 3), stretched to a square. part_ids: uint8 (N, h, w).
    pairs, colors, objects: int16 (N, MAX_PARTS), -1 = none.
    points: float32 (N, MAX_PARTS, 2), canonical (u, v) in [0, 1] of the image, NaN = not visible. areas: int32 pixels.
    """

    images: npt.NDArray[np.uint8]
    part_ids: npt.NDArray[np.uint8]
    pairs: npt.NDArray[np.int16]
    colors: npt.NDArray[np.int16]
    objects: npt.NDArray[np.int16]
    points: npt.NDArray[np.float32]
    areas: npt.NDArray[np.int32]

    def parts(self, index: int) -> tuple[ScenePart, ...]:
        """Return the parts of one scene as the scene itself lists them."""
        names = list(COLORS)
        found = []
        for slot in np.flatnonzero(self.pairs[index] >= 0):
            name, part = PAIRS[self.pairs[index, slot]]
            color = names[self.colors[index, slot]]
            found.append(
                ScenePart(int(slot) + 1, int(self.objects[index, slot]), name, color, part, _ACTIONS[name, part])
            )
        return tuple(found)

    def sentences(self, index: int, part_id: int) -> tuple[str, ...]:
        """Return the sentences that mean a part of one scene."""
        parts = self.parts(index)
        return sentences_for(parts[part_id - 1], parts)


def canonical_point(mask: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the pixel (u, v) of a mask (H, W) that is deepest inside it."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    v, u = np.unravel_index(int(distance.argmax()), distance.shape)
    return np.array([u, v], dtype=np.float64)


def render_shard(path: Path, seeds: Sequence[int], size: int) -> Path:
    """Render scenes and write their columns to a folder of .npy files (atomic: a folder that exists is whole)."""
    columns: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in ShardColumns.__annotations__}
    for seed in seeds:
        for name, value in _view_columns(seed, size).items():
            columns[name].append(value)
    partial = path.with_suffix('.partial')
    partial.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        np.save(partial / f'{name}.npy', np.stack(values))
    os.replace(partial, path)
    return path


def _view_columns(seed: int, size: int) -> dict[str, npt.NDArray[np.generic]]:
    scene = sample_scene(seed, 'pocket')
    view = scene.render()
    height, width = view.part_ids.shape
    pairs, colors, objects = (np.full(MAX_PARTS, -1, np.int16) for _ in range(3))
    points, areas = np.full((MAX_PARTS, 2), np.nan, np.float32), np.zeros(MAX_PARTS, np.int32)
    names = list(COLORS)
    for part in scene.parts:
        slot = part.id - 1
        pairs[slot] = PAIRS.index((part.object_name, part.part))
        colors[slot], objects[slot] = names.index(part.color), part.object_index
        mask = view.part_ids == part.id
        areas[slot] = mask.sum()
        if areas[slot]:
            points[slot] = (canonical_point(mask) + 0.5) / (width, height)
    image = Image.fromarray(view.frame.rgb).resize((size, size), Image.Resampling.BICUBIC)
    return {
        'images': np.asarray(image),
        'part_ids': view.part_ids.astype(np.uint8),
        'pairs': pairs,
        'colors': colors,
        'objects': objects,
        'points': points,
        'areas': areas,
    }


def render_views(folder: Path, first_seed: int, count: int, *, size: int = 256, processes: int = 1) -> Iterator[Path]:
    """Render `count` scenes into shards under `folder`, skipping shards that are there; yields each as it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (folder / f'{start}', range(start, min(start + SHARD, first_seed + count)))
        for start in range(first_seed, first_seed + count, SHARD)
    ]
    todo = [(path, seeds) for path, seeds in jobs if not path.exists()]
    yield from (path for path, _ in jobs if path.exists())
    with ProcessPoolExecutor(max(1, processes), mp_context=get_context('spawn')) as pool:
        futures = [pool.submit(render_shard, path, seeds, size) for path, seeds in todo]
        for future in futures:
            yield future.result()


def load_shards(folder: Path) -> list[ShardColumns]:
    """Open every whole shard of a folder (memory-mapped images), in the order of the seeds."""
    paths = sorted(
        (path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()), key=lambda path: int(path.name)
    )
    if not paths:
        raise FileNotFoundError(f'no rendered views in {folder}; render_views() makes them')
    return [_load(path) for path in paths]


def _load(path: Path) -> ShardColumns:
    return ShardColumns(**{name: np.load(path / f'{name}.npy', mmap_mode='r') for name in ShardColumns.__annotations__})
