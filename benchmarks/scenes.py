# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time the scene renderer on one thread: sample, render (shadows), sensor model, truth; against the bare ray cast."""

import argparse
import os
import platform
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import numpy as np
import open3d
from rich.console import Console
from rich.table import Table

from affordance_ros.scenes import SensorModel, sample_scene
from affordance_ros.scenes.meshes import merge
from affordance_ros.scenes.rendering import camera_rays


def timed(rows: dict[str, list[float]], stage: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, note its milliseconds under a stage and return its result."""
    start = time.perf_counter()
    result = function(*arguments)
    rows.setdefault(stage, []).append((time.perf_counter() - start) * 1000)
    return result


def measure(seed: int, preset: str, rows: dict[str, list[float]]) -> None:
    """Time every stage for one scene."""
    scene = timed(rows, 'sample', sample_scene, seed, preset)
    view = timed(rows, 'render', scene.render)
    timed(rows, 'sensor model', SensorModel().apply, view.frame, np.random.default_rng(0))
    timed(rows, 'truth of one part', scene.truth, view, 1)
    mesh = merge([part.mesh for part in scene.placed])
    caster = open3d.t.geometry.RaycastingScene(nthreads=1)
    caster.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    rays = open3d.core.Tensor(camera_rays(scene, np.asarray(scene.table_from_camera, np.float32)))
    timed(rows, 'floor: bare ray cast', caster.cast_rays, rays)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scenes', type=int, default=30, help='scenes per preset')
    arguments = parser.parse_args()
    machine = platform.processor() or platform.machine()
    table = Table('preset', 'stage', 'median ms', 'p90 ms', title=f'{arguments.scenes} scenes, one thread, {machine}')
    for preset in ('vga', 'hd'):
        rows: dict[str, list[float]] = {}
        for seed in range(arguments.scenes):
            measure(seed, preset, rows)
        for name, values in rows.items():
            table.add_row(preset, name, f'{np.median(values):.1f}', f'{np.quantile(values, 0.9):.1f}')
    Console().print(table)


if __name__ == '__main__':
    main()
