# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write procedural scenes as a benchmark in the layout of Where2Place, to try `affordance eval dataset` without data.

where2place_of_scenes.py DIR [SCENES]
affordance eval dataset where2place --root DIR --out run --model robopoint --checkpoint pocket --option profile=robot
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from affordance_ros.datasets.scene_views import HELD_OUT_SEED
from affordance_ros.models.robopoint_official import POINT_SUFFIX
from affordance_ros.scenes import Scene, View, sample_scene

SMALLEST_PX = 200
SIZE = (640, 480)  # what the official scorer takes every image for


def choose_part(scene: Scene, view: View, rng: np.random.Generator) -> int | None:
    """Return the number of a part that is seen well, None where there is none."""
    areas = {part.id: int((view.part_ids == part.id).sum()) for part in scene.parts}
    seen = [number for number, area in areas.items() if area >= SMALLEST_PX]
    return int(rng.choice(seen)) if seen else None


def write_question(folder: Path, index: int, scene: Scene, part_id: int, view: View) -> dict[str, str | int]:
    """Write image and mask of a question and return its line."""
    name = f'{index:02d}'
    Image.fromarray(view.frame.rgb).resize(SIZE).save(folder / 'images' / f'{name}.png')
    mask = Image.fromarray(((view.part_ids == part_id) * 255).astype(np.uint8))
    mask.resize(SIZE, Image.Resampling.NEAREST).save(folder / 'masks' / f'{name}.jpg', quality=95)
    part = next(part for part in scene.parts if part.id == part_id)
    text = scene.sentences(part_id)[0] + POINT_SUFFIX
    return {'question_id': index, 'image': f'{name}.png', 'text': text, 'category': part.object_name}


def main() -> None:
    """Write as many questions as asked for, each about another scene that the pocket checkpoints have not seen."""
    folder, wanted = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    for name in ('images', 'masks'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lines: list[str] = []
    seed = HELD_OUT_SEED
    while len(lines) < wanted:
        scene = sample_scene(seed, 'pocket')
        view = scene.render()
        part_id = choose_part(scene, view, rng)
        if part_id is not None:
            lines.append(json.dumps(write_question(folder, len(lines), scene, part_id, view)))
        seed += 1
    (folder / 'point_questions.jsonl').write_text('\n'.join(lines) + '\n')
    print(f'{len(lines)} questions in {folder}')


if __name__ == '__main__':
    main()
