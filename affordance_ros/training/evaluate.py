# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Held-out evaluation of a pointing model on unseen scenes, through the same `load_model` that users call."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np

from affordance_ros.datasets.scene_views import HELD_OUT_SEED
from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.base import AffordanceModel
from affordance_ros.results import Query
from affordance_ros.scenes import sample_scene

MIN_PIXELS = 150  # of the asked part at 640x480: smaller ones are not asked for


@dataclass
class PointingScore:
    """Counts over the questions: first point in the asked part, in the asked object, within 8 px of the part."""

    asked: int = 0
    in_part: int = 0
    in_object: int = 0
    near_part: int = 0
    unparsable: int = 0
    empty: int = 0
    by_part: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, *, part: bool, whole: bool, near: bool) -> None:
        """Count one answered question."""
        self.in_part += part
        self.in_object += whole
        self.near_part += near
        row = self.by_part.setdefault(name, [0, 0, 0])
        row[0] += 1
        row[1] += part
        row[2] += whole

    def rates(self) -> dict[str, object]:
        """Return the counts and their shares of all questions asked."""
        shares = {
            f'{name}_rate': getattr(self, name) / max(1, self.asked)
            for name in ('in_part', 'in_object', 'near_part', 'unparsable', 'empty')
        }
        return asdict(self) | shares


def evaluate_pointing(
    model: AffordanceModel,
    scenes: int,
    *,
    first_seed: int = HELD_OUT_SEED + 5_000_000,
    preset: str = 'vga',
    report: Callable[[int, PointingScore], None] | None = None,
) -> PointingScore:
    """Ask one question about each of `scenes` unseen scenes: a random visible part, a random sentence that means it."""
    score = PointingScore()
    seed = first_seed
    while score.asked < scenes:
        _ask(model, seed, preset, score)
        seed += 1
        if report:
            report(score.asked, score)
    return score


def _ask(model: AffordanceModel, seed: int, preset: str, score: PointingScore) -> None:
    rng = np.random.default_rng(seed)
    scene = sample_scene(seed, preset)
    view = scene.render()
    counts = np.bincount(view.part_ids.ravel(), minlength=len(scene.parts) + 1)
    big = [part for part in scene.parts if counts[part.id] >= MIN_PIXELS * view.frame.width / 640]
    if not big:
        return
    part = big[int(rng.integers(len(big)))]
    sentences = scene.sentences(part.id)
    name = f'{part.object_name} {part.part}'
    score.asked += 1
    try:
        points = model.predict(view.frame, Query(text=sentences[int(rng.integers(len(sentences)))])).keypoints
    except UnparsableAnswer:
        score.unparsable += 1
        score.add(name, part=False, whole=False, near=False)
        return
    if points is None or not len(points):
        score.empty += 1
        score.add(name, part=False, whole=False, near=False)
        return
    u, v = np.clip(np.rint(points.points[0]).astype(int), 0, (view.frame.width - 1, view.frame.height - 1))
    found = int(view.part_ids[v, u])
    whole = found > 0 and scene.parts[found - 1].object_index == part.object_index
    rows, columns = np.nonzero(view.part_ids == part.id)
    near = float(np.hypot(rows - v, columns - u).min()) <= 8 * view.frame.width / 640
    score.add(name, part=found == part.id, whole=whole, near=near)
