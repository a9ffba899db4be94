# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A scene: placed parts, a table, a light and a camera. It renders itself and knows the truth of every part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affordance_ros.results import FloatArray, Intrinsics
from affordance_ros.scenes.meshes import Array, Mesh
from affordance_ros.scenes.rendering import render
from affordance_ros.scenes.sentences import ScenePart, find_part, sentences_for
from affordance_ros.scenes.view import PartTruth, View


@dataclass(frozen=True)
class PlacedPart:
    """A part in the table frame. color: linear RGB in [0, 1]. axis: unit (3,). gloss: strength of the highlight."""

    info: ScenePart
    mesh: Mesh
    color: tuple[float, float, float]
    width_m: float
    axis: Array
    gloss: float


@dataclass(frozen=True)
class TableLook:
    """Two colours, a pattern ('plain', 'stripes', 'checker', 'grain') of `period_m` turned by `angle` radians."""

    colors: tuple[tuple[float, float, float], tuple[float, float, float]]
    pattern: str
    period_m: float
    angle: float


@dataclass(frozen=True)
class Light:
    """A lamp far away. direction: unit (3,) towards it, table frame. ambient: share of light in the shadow."""

    direction: Array
    ambient: float
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Everything that one image shows. table_from_camera: (4, 4). Same scene, same bytes."""

    seed: int
    placed: tuple[PlacedPart, ...]
    table: TableLook
    light: Light
    intrinsics: Intrinsics
    table_from_camera: FloatArray

    @property
    def parts(self) -> tuple[ScenePart, ...]:
        """All labelled parts; `part.id` is the value in the part map."""
        return tuple(part.info for part in self.placed)

    def render(self, *, stamp_ns: int = 0) -> View:
        """Ray-cast the scene: clean colour, depth, normals and part map."""
        return render(self, stamp_ns)

    def sentences(self, part_id: int) -> tuple[str, ...]:
        """Return the sentences that mean a part in this scene."""
        return sentences_for(self._placed(part_id).info, self.parts)

    def find(self, sentence: str) -> ScenePart | None:
        """Return the part that a sentence means here, or None."""
        return find_part(sentence, self.parts)

    def objects(self) -> tuple[str, ...]:
        """Return what stands on the table, for people: 'red mug', ..."""
        return tuple(dict.fromkeys(f'{part.color} {part.object_name}' for part in self.parts))

    def truth(self, view: View, part_id: int) -> PartTruth:
        """Return mask, visible surface, width and axis of a part in a view of this scene."""
        part = self._placed(part_id)
        mask = view.part_ids == part_id
        v, u = np.nonzero(mask)
        depth = np.asarray(view.frame.depth)[v, u].astype(np.float64)
        k = self.intrinsics
        points = np.column_stack(((u - k.cx) / k.fx * depth, (v - k.cy) / k.fy * depth, depth))
        axis = np.asarray(self.table_from_camera)[:3, :3].T @ part.axis
        normals = view.normals[v, u].astype(np.float64)
        return PartTruth(mask, points, normals, part.width_m, axis, self.sentences(part_id))

    def _placed(self, part_id: int) -> PlacedPart:
        if not 1 <= part_id <= len(self.placed):
            raise ValueError(f'part_id must be 1 to {len(self.placed)}, got {part_id}')
        return self.placed[part_id - 1]


def largest_part(view: View, parts: Sequence[ScenePart], action: str) -> ScenePart | None:
    """Return the part that affords `action` and shows most pixels, None when no visible part does."""
    counts = np.bincount(view.part_ids.ravel(), minlength=len(parts) + 1)
    fit = [part for part in parts if action in part.actions and counts[part.id] > 0]
    return max(fit, key=lambda part: counts[part.id]) if fit else None
