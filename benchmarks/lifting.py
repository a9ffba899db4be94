# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time lifting and grasping on rendered scenes, and compare the contact with two simple ways to read the same pixel."""

import argparse
import os
import time
from collections import defaultdict

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before numpy is imported

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from affordance_ros.datasets.scene_views import canonical_point
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.lifting import LiftSettings, lift
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.results import Contact, Frame, Keypoints, Prediction, Query
from affordance_ros.scenes import SensorModel, sample_scene
from affordance_ros.scenes.view import PartTruth

Rows = dict[str, list[float]]


def simple_points(frame: Frame, pixel: tuple[float, float]) -> dict[str, np.ndarray | None]:
    """Return the baselines' points, by one pixel and by the median of 7x7 pixels; None where there is no depth."""
    assert frame.depth is not None
    u, v = round(pixel[0]), round(pixel[1])
    found: dict[str, np.ndarray | None] = {}
    for name, reach in (('single pixel', 0), ('median 7x7', 3)):
        window = frame.depth[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1]
        valid = window[np.isfinite(window) & (window > 0)]
        found[name] = deproject([pixel], [np.median(valid)], frame.intrinsics)[0] if len(valid) else None
    return found


def measure(frame: Frame, pixel: tuple[float, float], truth: PartTruth, rows: Rows) -> None:
    """Lift and grasp one point and note milliseconds and errors in millimetres."""
    settings = LiftSettings()
    prediction = Prediction('truth', Query(text='the part'), keypoints=Keypoints(points=np.array([pixel])))
    start = time.perf_counter()
    (contact,) = lift(frame, prediction, settings)
    middle = time.perf_counter()
    rows['lift ms'].append((middle - start) * 1000)
    points = simple_points(frame, pixel) | {'affordance_ros': None}
    if isinstance(contact, Contact):
        grasp_contact(frame, contact, GripperSettings(), GraspSettings(), settings.noise)
        rows['grasp ms'].append((time.perf_counter() - middle) * 1000)
        points['affordance_ros'] = np.asarray(contact.point)
    for name, point in points.items():
        rows[name].append(np.nan if point is None else truth.distance_m(point) * 1000)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scenes', type=int, default=20, help='scenes per preset')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    table = Table(
        'preset', 'depth', 'what', 'median', 'p90', 'max', 'none', title=f'{arguments.scenes} scenes, one thread'
    )
    for preset in ('vga', 'hd'):
        rows: dict[str, Rows] = {'clean': defaultdict(list), 'sensor model': defaultdict(list)}
        for seed in range(2000, 2000 + arguments.scenes):
            scene = sample_scene(seed, preset)
            view = scene.render()
            frames = {'clean': view.frame, 'sensor model': SensorModel().apply(view.frame, np.random.default_rng(seed))}
            for part in scene.parts:
                truth = scene.truth(view, part.id)
                for kind, frame in frames.items() if truth.mask.sum() >= 150 else ():
                    measure(frame, canonical_point(truth.mask), truth, rows[kind])
        for kind, values in rows.items():
            for name, numbers in values.items():
                known = np.array([number for number in numbers if np.isfinite(number)])
                unit = '' if name.endswith('ms') else ' mm'
                summary = [f'{known_value:.2f}{unit}' for known_value in np.quantile(known, (0.5, 0.9, 1))]
                table.add_row(preset, kind, name, *summary, f'{len(numbers) - len(known)} of {len(numbers)}')
    Console(width=110).print(table)


if __name__ == '__main__':
    main()
