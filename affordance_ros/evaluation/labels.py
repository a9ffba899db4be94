# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The truth of a bag: what should have been answered, by stamp and prompt, in one JSON file.

{"labels": [{"stamp_ns": 1500000000, "prompt": "grasp the mug by its handle",
             "points_uv_px": [[312, 204]], "boxes_xyxy_px": [[300, 180, 330, 240]],
             "masks": [{"size": [480, 640], "counts": [12, 4, ...]}],
             "traces_uv_px": [[[u, v], ...]], "hands_uv_px": {"right": [[u, v], ...]},
             "heatmap": "heatmaps/0.png",
             "points_m": [[0.1, 0.0, 0.6]], "normals": [[0, 0, -1]], "width_m": 0.03,
             "grasps": [{"position_m": [0.1, 0.0, 0.6], "orientation_xyzw": [0, 0, 0, 1]}],
             "scene": {"part": 2, "table_from_camera": [[...], [...], [...], [...]]},
             "present": true}],
 "scene": {"seed": 3, "preset": "vga", "must_have": "red mug"}}

`size` and `counts` are the uncompressed run-length code of COCO (column by column, first count of zeros). Points in
metres, normals and grasps (TCP: z towards the object, y along the closing direction) are in the camera's optical frame.
`present: false` says that the right answer is none. Without `prompt` a label holds for every prompt, without
`stamp_ns` for every frame. Paths are relative to the file. `scene` is what `affordance scene` writes: grasps are then
judged on the true meshes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.results import FloatArray

_FIELDS = {
    'stamp_ns', 'prompt', 'points_uv_px', 'boxes_xyxy_px', 'masks', 'traces_uv_px', 'hands_uv_px', 'heatmap',
    'points_m', 'normals', 'width_m', 'grasps', 'scene', 'present',
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """How a frame looks at a simulated scene. part: the one that was asked for. table_from_camera: (4, 4)."""

    part: int
    table_from_camera: FloatArray


@dataclass(frozen=True)
class SceneSource:
    """Which simulated scene it is, as `affordance scene` was told."""

    seed: int
    preset: str = 'vga'
    must_have: str = ''


@dataclass(frozen=True)
class Label:
    """The truth of one question; what is not known is empty or NaN. mask: bool (H, W), the union of all masks.

    hands: paths (T, 2) by side. grasps: camera_from_tcp (K, 4, 4).
    """

    points: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    boxes: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    mask: npt.NDArray[np.bool_] | None = None
    traces: tuple[FloatArray, ...] = ()
    hands: Mapping[str, FloatArray] = field(default_factory=dict)
    heatmap: FloatArray | None = None
    points_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    normals: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    width_m: float = float('nan')
    grasps: FloatArray = field(default_factory=lambda: np.zeros((0, 4, 4)))
    seen: Seen | None = None
    present: bool = True


@dataclass(frozen=True)
class Labels:
    """by_key: labels by (stamp_ns or None, prompt or ''). scene: the simulated one that they are of."""

    by_key: Mapping[tuple[int | None, str], Label]
    scene: SceneSource | None = None

    def of(self, stamp_ns: int, prompt: str) -> Label | None:
        """Return the most special label of a question: stamp and prompt, stamp, prompt, or the general one."""
        for key in ((stamp_ns, prompt), (stamp_ns, ''), (None, prompt), (None, '')):
            if key in self.by_key:
                return self.by_key[key]
        return None


def read_labels(path: Path) -> Labels:
    """Read a file of labels. Raises BAD_INPUT with the number of the label that is wrong."""
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no file of labels at {path}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        found = [_key_and_label(entry, index, path) for index, entry in enumerate(content['labels'])]
        scene = SceneSource(**content['scene']) if 'scene' in content else None
    except (ValueError, KeyError, TypeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} is no file of labels: {error}') from error
    return Labels(dict(found), scene)


def _key_and_label(entry: Mapping[str, Any], index: int, path: Path) -> tuple[tuple[int | None, str], Label]:
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(f'label {index}: unknown {", ".join(unknown)}')
    try:
        label = Label(
            points=_rows(entry.get('points_uv_px', []), 2),
            boxes=_rows(entry.get('boxes_xyxy_px', []), 4),
            mask=_union(entry.get('masks', [])),
            traces=tuple(_rows(trace, 2) for trace in entry.get('traces_uv_px', [])),
            hands={str(side): _rows(points, 2) for side, points in entry.get('hands_uv_px', {}).items()},
            heatmap=_heatmap(path.parent / entry['heatmap']) if 'heatmap' in entry else None,
            points_m=_rows(entry.get('points_m', []), 3),
            normals=_rows(entry.get('normals', []), 3),
            width_m=float(entry.get('width_m', float('nan'))),
            grasps=_grasps(entry.get('grasps', [])),
            seen=_seen(entry['scene']) if 'scene' in entry else None,
            present=bool(entry.get('present', True)),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'label {index}: {error}') from error
    stamp = entry.get('stamp_ns')
    return (None if stamp is None else int(stamp), str(entry.get('prompt', ''))), label


def _rows(values: Any, width: int) -> FloatArray:
    rows = np.array(values, np.float64).reshape(-1, width) if len(values) else np.zeros((0, width))
    if not np.isfinite(rows).all():
        raise ValueError('numbers must be finite')
    return rows


def _grasps(entries: list[Mapping[str, Any]]) -> FloatArray:
    poses = [pose_from(item['position_m'], item['orientation_xyzw']) for item in entries]
    return np.array(poses).reshape(-1, 4, 4)


def _seen(entry: Mapping[str, Any]) -> Seen:
    return Seen(int(entry['part']), np.array(entry['table_from_camera'], np.float64).reshape(4, 4))


def _union(masks: list[Mapping[str, Any]]) -> npt.NDArray[np.bool_] | None:
    decoded = [decode_mask(item) for item in masks]
    return np.logical_or.reduce(decoded) if decoded else None


def decode_mask(code: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Return bool (H, W) of COCO's uncompressed run-length code."""
    height, width = (int(value) for value in code['size'])
    counts = np.array(code['counts'], np.int64)
    if (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(f'the counts of a mask must add up to {height * width}, got {counts.sum()}')
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(width, height).T


def encode_mask(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return COCO's uncompressed run-length code of bool (H, W)."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size])))
    start = [0] if flat.size and flat[0] else []
    return {'size': list(mask.shape), 'counts': [*start, *counts.tolist()]}


def _heatmap(path: Path) -> FloatArray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise ValueError(f'{path} is no picture')
    return np.asarray(image, np.float64) / (65535 if image.dtype == np.uint16 else 255)
