# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thousands of contacts with truth: lifting beside three simple methods on the same pixels, and the time it takes.

Scenes are seen by three cameras from 0.4 to 1.5 m, with the sensor model on and up to 60 % of the depth missing. Every
visible part gives three pixels: its deepest one, one near its edge and one anywhere. The truth of a pixel is the
clean depth there; a point within 3 mm of another surface of the part is judged by the nearer one, as no gripper would
feel the difference. Every method says what it says from the same depth image:

  single pixel   the depth of that pixel, as most nodes do
  window median  the median of 11x11 pixels
  mask centroid  the mean of the cloud under the part's mask, after 2-sigma outlier removal
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.errors import Code
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NOISE_PRESETS, NoiseModel
from affordance_ros.geometry.lifting import LiftSettings, Spot, lift_spot
from affordance_ros.results import Contact, Frame, Intrinsics
from affordance_ros.scenes import Scene, SensorModel, View, sample_scene

HOLES = (0.0, 0.15, 0.3, 0.45, 0.6)
SILENT_M = 0.020
METHODS = ('affordance_ros', 'single pixel', 'window median', 'mask centroid')


@dataclass(frozen=True)
class Camera:
    """A depth camera: preset of the noise model, sensor model, focal length in image widths."""

    noise: NoiseModel
    sensor: SensorModel
    width: int
    height: int
    focal: float


# The presets are for the sensors at their usual resolution; SensorModel works with the focal length of the image.
CAMERAS = {
    'realsense_d435': Camera(NOISE_PRESETS['realsense_d435'], SensorModel(0.05, 0.08), 640, 480, 0.95),
    'realsense_d415': Camera(NOISE_PRESETS['realsense_d415'], SensorModel(0.055, 0.08), 848, 480, 1.05),
    'zed': Camera(NOISE_PRESETS['zed'], SensorModel(0.12, 0.25, edge_holes=0.1, flying=0.35), 1280, 720, 0.72),
}


@dataclass
class Row:
    """One contact that was asked for. errors_m, normal_deg: by method, NaN: no answer."""

    camera: str
    part: str
    kind: str
    depth_m: float
    holes: float
    sigma_m: float
    errors_m: dict[str, float] = field(default_factory=dict)
    normal_deg: float = float('nan')
    code: str = ''
    two_sigma_ok: bool = False


def with_holes(frame: Frame, share: float, rng: np.random.Generator) -> Frame:
    """Return the frame with patches of depth missing until `share` of it is gone."""
    assert frame.depth is not None
    if not share:
        return frame
    height, width = frame.depth.shape
    noise = cv2.resize(rng.random((height // 5, width // 5), dtype=np.float32), (width, height))
    mixed = 0.6 * noise + 0.4 * rng.random((height, width), dtype=np.float32)
    depth = np.where(mixed < np.quantile(mixed, share), np.float32(np.nan), frame.depth)
    return replace(frame, depth=depth)


def seen_by(seed: int, camera: Camera, distance_m: float) -> tuple[Scene, View]:
    """Return a scene moved to a distance and rendered for a camera."""
    scene = sample_scene(seed, 'vga')
    k = Intrinsics(
        *(camera.focal * camera.width,) * 2,
        cx=(camera.width - 1) / 2,
        cy=(camera.height - 1) / 2,
        width=camera.width,
        height=camera.height,
    )
    pose = np.array(scene.table_from_camera)
    along = pose[:3, 2]
    # Keep the line of sight, move along it to the distance from the point that it meets on the table.
    meets = pose[:3, 3] - along * pose[2, 3] / along[2]
    pose[:3, 3] = meets - along * distance_m
    scene = replace(scene, intrinsics=k, table_from_camera=pose)
    return scene, scene.render()


def pixels_of(mask: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the deepest pixel of a mask, one near its edge and one anywhere."""
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    edge = np.argwhere((inside >= 2) & (inside < 4))
    anywhere = np.argwhere(inside >= 2)
    found = {'middle': canonical_point(mask)}
    if len(edge):
        found['edge'] = edge[rng.integers(len(edge))][::-1].astype(float)
        found['anywhere'] = anywhere[rng.integers(len(anywhere))][::-1].astype(float)
    return found


def peers(frame: Frame, pixel: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray | None]:
    """Return what the three simple methods answer, None where they see no depth."""
    assert frame.depth is not None
    u, v = int(pixel[0]), int(pixel[1])
    found: dict[str, np.ndarray | None] = {}
    for name, reach in (('single pixel', 0), ('window median', 5)):
        window = frame.depth[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1]
        valid = window[np.isfinite(window) & (window > 0)]
        found[name] = deproject([pixel], [np.median(valid)], frame.intrinsics)[0] if len(valid) else None
    rows, columns = np.nonzero(mask & np.isfinite(frame.depth))
    found['mask centroid'] = None
    if len(rows):
        cloud = deproject(np.column_stack((columns, rows)), frame.depth[rows, columns], frame.intrinsics)
        away = np.linalg.norm(cloud - cloud.mean(axis=0), axis=1)
        found['mask centroid'] = cloud[away <= away.mean() + 2 * away.std()].mean(axis=0)
    return found


def rows_of(seed: int) -> list[Row]:
    """Measure one scene with one camera."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    name = list(CAMERAS)[seed % len(CAMERAS)]
    camera, holes = CAMERAS[name], HOLES[(seed // len(CAMERAS)) % len(HOLES)]
    scene, view = seen_by(seed, camera, float(rng.uniform(0.4, 1.5)))
    frame = with_holes(camera.sensor.apply(view.frame, rng), holes, rng)
    clean = np.asarray(view.frame.depth)
    settings = LiftSettings(noise=camera.noise)
    rows = []
    for part in scene.parts:
        truth = scene.truth(view, part.id)
        if truth.mask.sum() < 80:
            continue
        for kind, pixel in pixels_of(truth.mask, rng).items():
            z = float(clean[int(pixel[1]), int(pixel[0])])
            target = deproject([pixel], [z], scene.intrinsics)[0]
            row = Row(name, f'{part.object_name} {part.part}', kind, z, holes, camera.noise.sigma(z))
            # With the mask for all: the centroid needs it, and refining gives it to lifting too.
            found = lift_spot(frame, Spot((float(pixel[0]), float(pixel[1])), region=truth.mask), settings)
            answers = peers(frame, pixel, truth.mask) | {'affordance_ros': None}
            if isinstance(found, Contact):
                answers['affordance_ros'] = np.asarray(found.point)
                nearest = int(np.linalg.norm(truth.points - found.point, axis=1).argmin())
                cosine = np.clip(truth.normals[nearest] @ found.normal, -1, 1)
                row.normal_deg = float(np.degrees(np.arccos(cosine)))
            else:
                row.code = Code(found.code).name
            for method, point in answers.items():
                row.errors_m[method] = float('nan') if point is None else float(np.linalg.norm(point - target))
            row.two_sigma_ok = row.errors_m['affordance_ros'] < 2 * row.sigma_m + 0.001
            rows.append(row)
    return rows


def all_rows(first: int, count: int, workers: int) -> Iterator[list[Row]]:
    """Yield the rows of each scene."""
    if workers <= 1:
        yield from map(rows_of, range(first, first + count))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        yield from pool.map(rows_of, range(first, first + count), chunksize=2)


def accuracy(rows: list[Row], title: str) -> Table:
    """Return the comparison of the methods, once on all pixels and once where lifting answered."""
    columns = ('method', 'asked', 'answered', 'median mm', 'p90 mm', 'p95 mm', '< 2 sigma + 1 mm', '> 20 mm')
    table = Table(*columns, title=title)
    for method in METHODS:
        for where, some in (('all', rows), ('same coverage', [row for row in rows if not row.code])):
            errors = np.array([row.errors_m[method] for row in some])
            limits = np.array([2 * row.sigma_m + 0.001 for row in some])
            known = np.isfinite(errors)
            if not known.any() or (method == METHODS[0] and where != 'all'):
                continue
            told = [f'{value * 1000:.2f}' for value in np.quantile(errors[known], (0.5, 0.9, 0.95))]
            within, silent = (errors[known] < limits[known]).mean(), (errors[known] > SILENT_M).mean()
            label = method if where == 'all' else f'{method}, {where}'
            table.add_row(label, str(len(some)), f'{known.mean():.1%}', *told, f'{within:.1%}', f'{silent:.2%}')
    return table


def slices(rows: list[Row]) -> Table:
    """Return lifting by camera, holes, kind of pixel and distance."""
    columns = ('slice', 'asked', 'refused', 'median mm', 'p95 mm', '< 2 sigma + 1 mm', '> 20 mm', 'normal', 'n. p90')
    table = Table(*columns, title='affordance_ros by slice')
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        reach = f'{np.floor(row.depth_m * 4) / 4:.2f} m'
        for key in ('all', f'camera {row.camera}', f'holes {row.holes:.0%}', f'pixel {row.kind}', f'depth {reach}'):
            groups[key].append(row)
    for key in sorted(groups):
        some = [row for row in groups[key] if not row.code]
        errors = np.array([row.errors_m[METHODS[0]] for row in some])
        normals = np.array([row.normal_deg for row in some])
        if len(errors):
            table.add_row(
                key,
                str(len(groups[key])),
                f'{1 - len(some) / len(groups[key]):.1%}',
                *(f'{value * 1000:.2f}' for value in np.quantile(errors, (0.5, 0.95))),
                f'{np.mean([row.two_sigma_ok for row in some]):.1%}',
                f'{(errors > SILENT_M).mean():.2%}',
                *(f'{value:.1f}' for value in np.quantile(normals, (0.5, 0.9))),
            )
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scenes', type=int, default=240)
    parser.add_argument('--first', type=int, default=70_000, help='seed of the first scene')
    parser.add_argument('--workers', type=int, default=2, help='processes')
    parser.add_argument('--no-time', action='store_true', help='accuracy only')
    given = parser.parse_args()
    rows = [row for some in all_rows(given.first, given.scenes, given.workers) for row in some]
    console = Console(width=130)
    console.print(accuracy(rows, f'{len(rows)} contacts in {given.scenes} scenes'), slices(rows))
    codes = defaultdict(int)
    for row in rows:
        codes[row.code or 'answered'] += 1
    console.print('outcomes: ' + ', '.join(f'{name} {count}' for name, count in sorted(codes.items())))


if __name__ == '__main__':
    main()
