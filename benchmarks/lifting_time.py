# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long ten contacts take at 1280x720 on one core, beside normals of the full cloud by Open3D.

The time is that of the processor (other work on the machine counts little), the median over repetitions and scenes:

  lift        ten keypoints become contacts with normals, the table included
  candidates  hand poses about each contact, fitted to the cloud around it and ranked by what they promise
  cloud       the whole scene as a thinned cloud with its table, made once per frame
  grasps      the full search about each contact: widths, friction, clearance of hand and way in against that cloud
  open3d      the full cloud of the frame and the normal of every point from its 30 nearest, as most pipelines begin
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable

os.environ['OMP_NUM_THREADS'] = '1'  # before numpy is imported

import cv2
import numpy as np
import open3d
from rich.console import Console
from rich.table import Table

from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.geometry.lifting import LiftSettings, lift_places
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import crop
from affordance_ros.grasping.candidates import Anchor, GraspSettings, fitting, orientations
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.results import Contact, Frame, Keypoints, Prediction, Query
from affordance_ros.scenes import SensorModel, sample_scene

CONTACTS = 10
LIFT = LiftSettings(noise=NOISE_PRESETS['realsense_d435'])
GRIPPER, GRASP = gripper_preset('generic'), GraspSettings()
AROUND_M, PITCH_M = 0.11, 0.003


def question(seed: int) -> tuple[Frame, Prediction]:
    """Return a measured frame and ten keypoints on its parts."""
    scene = sample_scene(seed, 'hd')
    view = scene.render()
    rng = np.random.default_rng(seed)
    inside = cv2.erode((view.part_ids > 0).astype(np.uint8), np.ones((7, 7), np.uint8))
    rows, columns = np.nonzero(inside)
    chosen = rng.integers(len(rows), size=CONTACTS)
    points = np.column_stack((columns[chosen], rows[chosen])).astype(float)
    frame = SensorModel().apply(view.frame, rng)
    return frame, Prediction('truth', Query(text='the part'), keypoints=Keypoints(points=points))


def ranked(frame: Frame, contact: Contact) -> int:
    """Rank the hand poses about a contact by what they promise, without looking at the rest of the scene."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    anchor = Anchor(np.asarray(contact.point), np.asarray(contact.normal), np.asarray(contact.axis), contact.anisotropy)
    pixel_m = float(contact.point[2]) / frame.intrinsics.fx
    step = max(1, round(PITCH_M / pixel_m))
    cloud = crop(frame.depth, frame.intrinsics, contact.pixel, int(AROUND_M / pixel_m), step).cloud - contact.point
    cloud = cloud[np.einsum('ij,ij->i', cloud, cloud) < AROUND_M**2]
    found, _ = fitting(anchor, cloud, orientations(anchor, None, GRASP), GRIPPER, GRASP)
    promise = (1 / (1 + (found.slope / 0.45) ** 2)) * (1 - anchor.anisotropy * (1 - found.across)) * found.square
    return len(np.argsort(-promise))


def normals_of_everything(frame: Frame) -> None:
    """Make the full cloud and the normal of each of its points, as Open3D does it."""
    k = frame.intrinsics
    assert k is not None
    pinhole = open3d.camera.PinholeCameraIntrinsic(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
    depth = open3d.geometry.Image(np.nan_to_num(np.asarray(frame.depth)))
    cloud = open3d.geometry.PointCloud.create_from_depth_image(depth, pinhole, depth_scale=1.0)
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(30))
    cloud.orient_normals_towards_camera_location()


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    """Return the processor time of each repetition in milliseconds."""
    found = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        found.append(1000 * (time.process_time() - start))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scenes', type=int, default=10)
    parser.add_argument('--repeat', type=int, default=9)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    spent: dict[str, list[float]] = defaultdict(list)
    for seed in range(2000, 2000 + given.scenes):
        frame, prediction = question(seed)
        places = lift_places(frame, prediction, LIFT)
        contacts = [place.item for place in places if isinstance(place.item, Contact)]
        cloud = SceneCloud(frame, LIFT.noise)
        assert cloud.plane is None or len(cloud.plane.normal) == 3
        work: dict[str, tuple[Callable[[], object], int]] = {
            'lift': (lambda frame=frame, said=prediction: lift_places(frame, said, LIFT), given.repeat),
            'candidates': (lambda frame=frame, of=contacts: [ranked(frame, one) for one in of], given.repeat),
            'cloud': (lambda frame=frame: SceneCloud(frame, LIFT.noise).plane, given.repeat),
            'grasps': (
                lambda cloud=cloud, of=contacts: [grasp_contact(cloud, one, None, GRIPPER, GRASP) for one in of],
                1 + given.repeat // 4,
            ),
            'open3d': (lambda frame=frame: normals_of_everything(frame), 1),
        }
        for name, (task, repeat) in work.items():
            spent[name] += timed(task, repeat)
    spent['lift + candidates'] = [a + b for a, b in zip(spent['lift'], spent['candidates'], strict=True)]
    table = Table('what', 'median ms', 'p90 ms', title=f'{CONTACTS} contacts, 1280x720, one core, processor time')
    for name, values in spent.items():
        table.add_row(name, *(f'{value:.1f}' for value in np.quantile(values, (0.5, 0.9))))
    Console(width=100).print(table)


if __name__ == '__main__':
    main()
