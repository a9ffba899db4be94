# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time the scene renderer on one thread: sample, render (with shadows), sensor model, truth; against the bare ray cast."""

import argparse
import os
import platform
import time
from collections.abc import Callable

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import open3d
from rich.console import Console
from rich.table import Table

from affordance_ros.scenes import SensorModel, sample_scene
from affordance_ros.scenes.meshes import merge
from affordance_ros.scenes.rendering import _camera_rays


def timed(function: Callable[[], object]) -> tuple[object, float]:
    """Return the result and the milliseconds of one call."""
    start = time.perf_counter()
    result = function()
    return result, (time.perf_counter() - start) * 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scenes', type=int, default=30, help='scenes per preset')
    arguments = parser.parse_args()
    table = Table(
        'preset',
        'stage',
        'median ms',
        'p90 ms',
        title=f'{arguments.scenes} scenes, one thread, {platform.processor() or platform.machine()}',
    )
    for preset in ('vga', 'hd'):
        rows: dict[str, list[float]] = {}
        for seed in range(arguments.scenes):
            scene, spent = timed(lambda seed=seed: sample_scene(seed, preset))
            rows.setdefault('sample', []).append(spent)
            view, spent = timed(scene.render)
            rows.setdefault('render', []).append(spent)
            rows.setdefault('sensor model', []).append(
                timed(lambda: SensorModel().apply(view.frame, np.random.default_rng(0)))[1]
            )
            rows.setdefault('truth of one part', []).append(timed(lambda: scene.truth(view, 1))[1])
            mesh = merge([part.mesh for part in scene.placed])
            caster = open3d.t.geometry.RaycastingScene(nthreads=1)
            caster.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
            rays = open3d.core.Tensor(_camera_rays(scene, np.asarray(scene.table_from_camera, np.float32)))
            rows.setdefault('floor: bare ray cast', []).append(timed(lambda: caster.cast_rays(rays))[1])
        for name, values in rows.items():
            table.add_row(preset, name, f'{np.median(values):.1f}', f'{np.quantile(values, 0.9):.1f}')
    Console().print(table)


if __name__ == '__main__':
    main()
