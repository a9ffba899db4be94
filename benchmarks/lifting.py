# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thousands of contacts with truth: lifting beside three simple methods on the same pixels of the same depth.

Scenes are seen by three cameras from 0.4 to 1.5 m with the sensor model on and up to 60 % of the depth missing.

  single pixel   the depth of the pixel, as most nodes do
  window median  the median of 11x11 pixels
  mask centroid  the mean of the cloud under the region of the answer, after 2-sigma outlier removal

For a keypoint the truth is the clean point under that very pixel. A mask and a heatmap name a part, a box an object, so
there the truth is its visible surface and the error the distance to it. Normals are compared where the contact is.
Where two surfaces tie, lifting gives both and says so: the error is that of the first, silent only if both are wrong.
Widths are those of the best grasp target, against what its jaws would really meet, closing on the true meshes.
"""

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import cv2
import numpy as np
from lifting_jaws import Jaws
from lifting_scenes import ANSWERS, Asked, Place, Shot, answers, peers, places, shot
from rich.console import Console
from rich.table import Table

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.lifting import Lifted, LiftSettings, lift_places
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.results import Contact

SILENT_M = 0.020
OURS = 'affordance_ros'
METHODS = (OURS, 'single pixel', 'window median', 'mask centroid')
CHI2 = 7.81  # 95 % of a three-dimensional error


@dataclass
class Row:
    """One answer that was lifted. errors_m: by method, NaN: no answer. width_mm: error, NaN: no target."""

    camera: str
    answer: str
    part: str
    shape: str
    where: str
    depth_m: float
    holes: float
    limit_m: float
    seed: int
    pixel: tuple[int, int]
    errors_m: dict[str, float] = field(default_factory=dict)
    normal_deg: float = float('nan')
    inside: bool = False
    code: str = ''
    width_mm: float = float('nan')
    lower_bound: bool = False
    silent: bool = False


def row_of(seed: int, seen: Shot, place: Place, asked: Asked) -> tuple[Row, Lifted]:
    """Lift one answer and measure every method against the truth."""
    camera, clean = seen.camera, np.asarray(seen.view.frame.depth)
    u, v = int(place.pixel[0]), int(place.pixel[1])
    z = float(clean[v, u])
    limit = 2 * camera.noise.sigma(z) + 0.001
    row = Row(camera.preset, asked.kind, place.part, place.shape, place.where, z, seen.holes, limit, seed, (u, v))
    seen_truth = place.whole if asked.kind == 'box' and place.whole is not None else place.truth
    target = deproject([place.pixel], [z], seen.scene.intrinsics)[0]
    found = lift_places(seen.frame, asked.prediction, LiftSettings(noise=camera.noise, pose_sigma_m=0.0))
    lifted = found[0]
    said = peers(seen.frame, asked) | {OURS: None}
    if isinstance(lifted.item, Contact):
        contact = lifted.item
        said[OURS] = np.asarray(contact.point)
        nearest = int(np.linalg.norm(seen_truth.points - contact.point, axis=1).argmin())
        row.normal_deg = angle_deg(seen_truth.normals[nearest], contact.normal)
        truth = target if asked.kind.startswith('keypoint') else seen_truth.points[nearest]
        off = truth - contact.point
        row.inside = bool(off @ np.linalg.solve(np.asarray(contact.covariance) + 1e-12 * np.eye(3), off) < CHI2)
    else:
        row.code = Code(lifted.item.code).name
    for method, point in said.items():
        if point is None:
            row.errors_m[method] = float('nan')
        elif asked.kind.startswith('keypoint'):
            row.errors_m[method] = float(np.linalg.norm(point - target))
        else:
            row.errors_m[method] = seen_truth.distance_m(point)
    others = [
        other.item.point for other in found[1:] if isinstance(other.item, Contact) and other.item.evidence.get('tie')
    ]
    row.silent = row.errors_m[OURS] > SILENT_M and all(np.linalg.norm(point - target) > SILENT_M for point in others)
    return row, lifted


def angle_deg(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def measure_width(row: Row, cloud: SceneCloud, jaws: Jaws, held: tuple[Place, Lifted]) -> None:
    """Note how far the width of the best grasp is from the truth."""
    place, lifted = held
    gripper = gripper_preset('generic')
    found = grasp_contact(cloud, lifted.item, lifted.region, gripper, GraspSettings())
    if isinstance(found, list):
        true = jaws.width_m(found[0], place.part_id, (gripper.finger_width_m, 0.022))
        row.width_mm = 1000 * (found[0].width_m - true)
        row.lower_bound = found[0].width_is_lower_bound


def rows_of(seed: int) -> list[Row]:
    """Measure one scene with one camera."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    seen = shot(seed, rng)
    cloud, jaws = SceneCloud(seen.frame, seen.camera.noise), Jaws(seen)
    rows = []
    for place in places(seen, rng):
        for asked in answers(place, rng):
            row, lifted = row_of(seed, seen, place, asked)
            if asked.kind == 'mask' and place.held and isinstance(lifted.item, Contact):
                measure_width(row, cloud, jaws, (place, lifted))
            rows.append(row)
    return rows


def all_rows(first: int, count: int, workers: int) -> Iterator[list[Row]]:
    """Yield the rows of each scene."""
    if workers <= 1:
        yield from map(rows_of, range(first, first + count))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        yield from pool.map(rows_of, range(first, first + count), chunksize=2)


def comparison(rows: list[Row]) -> Table:
    """Return the four methods on the same answers: all of them, and those that lifting answered."""
    columns = ('answer', 'method', 'asked', 'answered', 'median mm', 'p95 mm', '< 2 sigma + 1 mm', '> 20 mm')
    table = Table(*columns, title='point error; where lifting abstained the others are left out (same coverage)')
    for kind in ANSWERS:
        some = [row for row in rows if row.answer == kind]
        shared = [row for row in some if not row.code]
        for method in METHODS:
            told = [row for row in shared if np.isfinite(row.errors_m[method])]
            errors = np.array([row.errors_m[method] for row in told])
            if not len(errors):
                continue
            within = np.mean(errors < [row.limit_m for row in told])
            table.add_row(
                kind if method == OURS else '',
                method,
                str(len(some)) if method == OURS else str(len(shared)),
                f'{len(told) / len(some):.1%}' if method == OURS else f'{len(told) / len(shared):.1%}',
                *(f'{1000 * value:.2f}' for value in np.quantile(errors, (0.5, 0.95))),
                f'{within:.1%}',
                f'{np.mean([row.silent for row in told]) if method == OURS else (errors > SILENT_M).mean():.2%}',
            )
    return table


SLICES: dict[str, Callable[[Row], str]] = {
    'all': lambda _: '',
    'answer': lambda row: row.answer,
    'camera': lambda row: row.camera,
    'shape': lambda row: row.shape,
    'pixel': lambda row: row.where,
    'holes': lambda row: f'{row.holes:.0%}',
    'depth': lambda row: f'{np.floor(row.depth_m * 4) / 4:.2f} m',
}


def slices(rows: list[Row]) -> Table:
    """Return lifting by answer, camera, shape, pixel, share of missing depth and distance."""
    columns = ('slice', 'asked', 'abstained', 'median mm', 'p95 mm', '< 2 sigma + 1 mm', '> 20 mm', 'in 95 % ell.')
    table = Table(*columns, 'normal', 'p90', 'width mm', 'p90', title='affordance_ros by slice (normals in degrees)')
    for name, key in SLICES.items():
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            groups[key(row)].append(row)
        for label in sorted(groups):
            table.add_row(f'{name} {label}', *_figures(groups[label]))
    return table


def _figures(group: list[Row]) -> list[str]:
    some = [row for row in group if not row.code]
    if not some:
        return [str(len(group)), '100.0%']
    errors, normals = np.array([row.errors_m[OURS] for row in some]), np.array([row.normal_deg for row in some])
    widths = np.abs([row.width_mm for row in some if np.isfinite(row.width_mm) and not row.lower_bound])
    return [
        str(len(group)),
        f'{1 - len(some) / len(group):.1%}',
        *(f'{1000 * value:.2f}' for value in np.quantile(errors, (0.5, 0.95))),
        f'{np.mean(errors < [row.limit_m for row in some]):.1%}',
        f'{np.mean([row.silent for row in some]):.2%}',
        f'{np.mean([row.inside for row in some]):.1%}',
        *(f'{value:.1f}' for value in np.quantile(normals, (0.5, 0.9))),
        *((f'{value:.1f}' for value in np.quantile(widths, (0.5, 0.9))) if len(widths) >= 5 else ('', '')),
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scenes', type=int, default=240)
    parser.add_argument('--first', type=int, default=80_000, help='first seed; tuned on 70000 to 70119')
    parser.add_argument('--workers', type=int, default=2, help='processes')
    given = parser.parse_args()
    rows = [row for some in all_rows(given.first, given.scenes, given.workers) for row in some]
    console = Console(width=150)
    console.print(comparison(rows), slices(rows))
    widths = [row for row in rows if np.isfinite(row.width_mm)]
    console.print(
        f'{len(rows)} answers in {given.scenes} scenes; outcomes: '
        + ', '.join(f'{name} {count}' for name, count in Counter(row.code or 'contact' for row in rows).most_common()),
        f'\n{len(widths)} grasp widths, {sum(row.lower_bound for row in widths)} of them marked as lower bounds',
    )


if __name__ == '__main__':
    main()
