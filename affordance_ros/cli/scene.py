# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance scene`: a simulated table as files and as a bag."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.labels import SceneSource
from affordance_ros.evaluation.synthetic_bags import START_NS, BagRecipe, write_synthetic_bag
from affordance_ros.page import png
from affordance_ros.results import Frame
from affordance_ros.scenes import PRESETS, Scene, SensorModel, View, sample_scene


@dataclass(frozen=True)
class SceneRequest:
    """What the command line asks for; see `affordance scene --help`. bag: None writes no bag."""

    out: Path
    seed: int = 3
    preset: str = 'vga'
    must_have: str = ''
    noise: bool = False
    bag: BagRecipe | None = None


def run_scene(request: SceneRequest) -> None:
    """Render and write rgb.png, depth.png (mm), parts.png (ids), truth.json and bag/."""
    if request.preset not in PRESETS:
        raise AffordanceError(Code.BAD_INPUT, f'unknown preset {request.preset!r}; there are: {", ".join(PRESETS)}')
    scene = make_scene(request.seed, request.preset, request.must_have)
    view = scene.render(stamp_ns=START_NS)
    frame = SensorModel().apply(view.frame, np.random.default_rng(request.seed)) if request.noise else view.frame
    request.out.mkdir(parents=True, exist_ok=True)
    (request.out / 'rgb.png').write_bytes(png(frame.rgb))
    cv2.imwrite(str(request.out / 'depth.png'), _millimetres(frame))
    cv2.imwrite(str(request.out / 'parts.png'), view.part_ids.astype(np.uint16))
    (request.out / 'truth.json').write_text(json.dumps(truth_of(scene, view), indent=2) + '\n')
    console = Console()
    console.print(f'scene {request.seed}: {", ".join(scene.objects())}', highlight=False)
    files = 'rgb.png depth.png (mm) parts.png (ids) truth.json'
    if request.bag is not None:
        prompts = _write_bag(request, scene, request.bag)
        files += f' bag/ labels.json heatmaps/ prompts.txt ({len(prompts)} prompts)'
    console.print(f'wrote {request.out}/: {files}', soft_wrap=True)


def _write_bag(request: SceneRequest, scene: Scene, recipe: BagRecipe) -> list[str]:
    """Write the bag over that of an earlier run; return the prompts."""
    bag = request.out / 'bag'
    if (bag / 'metadata.yaml').is_file():
        shutil.rmtree(bag)
    return write_synthetic_bag(request.out, scene, recipe, SceneSource(request.seed, request.preset, request.must_have))


def make_scene(seed: int, preset: str, must_have: str) -> Scene:
    """Sample a scene; `must_have` is 'colour object' or empty."""
    words = must_have.split()
    if words and len(words) != 2:
        raise AffordanceError(Code.BAD_INPUT, f'--must-have is a colour and an object, as "red mug", got {must_have!r}')
    try:
        return sample_scene(seed, preset, must_have=(words[0], words[1]) if words else None)
    except ValueError as error:
        raise AffordanceError(Code.BAD_INPUT, str(error)) from error


def truth_of(scene: Scene, view: View) -> dict[str, Any]:
    """Return the truth for JSON: the camera, and per part its name, sentences, pixels, width, axis and middle."""
    k = scene.intrinsics
    parts = []
    for part in scene.parts:
        truth = scene.truth(view, part.id)
        middle = truth.points.mean(axis=0).tolist() if len(truth.points) else None
        parts.append({
            'id': part.id,
            'object': part.object_name,
            'color': part.color,
            'part': part.part,
            'actions': list(part.actions),
            'visible_px': int(truth.mask.sum()),
            'width_m': truth.width_m,
            'axis_in_camera': truth.axis.tolist(),
            'middle_in_camera_m': middle,
            'sentences': list(truth.sentences),
        })  # fmt: skip
    return {
        'seed': scene.seed,
        'intrinsics_px': {'fx': k.fx, 'fy': k.fy, 'cx': k.cx, 'cy': k.cy, 'width': k.width, 'height': k.height},
        'table_from_camera': np.asarray(scene.table_from_camera).tolist(),
        'objects': list(scene.objects()),
        'parts': parts,
    }


def _millimetres(frame: Frame) -> Any:
    depth = np.nan_to_num(np.asarray(frame.depth), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(np.rint(depth * 1000), 0, 65534).astype(np.uint16)
