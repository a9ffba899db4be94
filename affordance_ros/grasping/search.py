# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Try one anchor: what fits the coarse profile, a closer look at the best of it, and whether the open hand fits in."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import Plane
from affordance_ros.grasping.candidates import Anchor, Candidates, GraspSettings, fitting, orientations
from affordance_ros.grasping.clearance import Surroundings, clearance
from affordance_ros.grasping.closing import Closing, closeup, closing
from affordance_ros.grasping.distinct import distinct
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.scoring import Judged, of_anchor, of_closing, promise
from affordance_ros.grasping.unseen import hidden_fingers, hidden_palm
from affordance_ros.results import Contact

Array = npt.NDArray[Any]
PER_ANCHOR = 6  # candidates of one anchor that get a closer look
AROUND_M = 0.24  # what is farther from the anchor no hand of ours reaches
PROFILE_M = 0.11
WIDER = 0.1  # of a wide round part the camera sees less than the whole width
BLIND = 0.55**4  # a finger that goes where nothing was seen
SLIPS = 0.9  # tangent between side and pad beyond which no friction holds


@dataclass(frozen=True)
class Task:
    """What is to be held with what. region: bool (H, W), the part that may be held, or None: the joined surface."""

    cloud: SceneCloud
    contact: Contact
    region: npt.NDArray[np.bool_] | None
    gripper: GripperSettings
    settings: GraspSettings

    @cached_property
    def plane(self) -> Plane | None:
        """The support under the contact."""
        return self.cloud.plane_near(self.contact.point)


@dataclass
class Search:
    """What was tried so far: the accepted grasps, the least own width, the fewest points touched, how many tries.

    to_beat: a grasp that is worth no more than this is not among the targets and needs no closer look.
    """

    accepted: list[Judged]
    fitted: int = 0
    tried: int = 0
    touching: int = 10**6
    thickest_m: float = 0.0
    slipping: int = 0
    blind: int = 0
    to_beat: float = 0.0

    def accept(self, judged: Judged, settings: GraspSettings) -> None:
        """Take a grasp, and ask that later ones are worth more than the last of the targets so far."""
        self.accepted.append(judged)
        if judged.score > self.to_beat:
            chosen = distinct(self.accepted, settings)
            worst = chosen[settings.per_contact - 1].score if len(chosen) >= settings.per_contact else 0.0
            self.to_beat = worst if worst >= settings.min_score else 0.0


def try_anchor(anchor: Anchor, task: Task, search: Search) -> None:
    """Try one anchor and note what came of it."""
    shared = of_anchor(anchor, task.contact, whole=task.region is not None)
    if prod(shared.values()) <= search.to_beat:
        return
    cloud, plane, gripper, settings = task.cloud, task.plane, task.gripper, task.settings
    offsets, _ = cloud.near(anchor.point, PROFILE_M)
    profile = offsets
    if plane is not None:
        height = (offsets + anchor.point) @ plane.normal - plane.offset
        profile = offsets[height > max(3 * plane.residual_m, 0.0015)]
    found, _ = fitting(anchor, profile, orientations(anchor, cloud.up, settings), gripper, settings)
    if not len(found.insert_m):
        return
    above = np.ones(len(found.insert_m), bool)
    if plane is not None:
        above = _tip_heights(anchor, found, gripper, plane) > settings.table_m - 0.001
    worth = np.where(above, promise(found, anchor, gripper), 0.0)
    search.fitted += len(worth)
    order = [index for index in _best_by_turn(found, worth) if worth[index] > 0][:PER_ANCHOR]
    if not order:
        search.tried += len(worth)
        return
    near = closeup(anchor, cloud, task.region, plane)
    scene, _ = cloud.near(anchor.point, AROUND_M, every=2)
    scene = scene + anchor.point
    if plane is not None:
        scene = scene[scene @ plane.normal - plane.offset > max(3 * plane.residual_m, 0.003)]
    around = Surroundings(scene, plane)
    for index in order:
        measured = closing(anchor, near, found, index, gripper)
        search.tried += 1
        if measured is None or measured.width_m + settings.margin_m > gripper.max_aperture_m:
            continue
        search.thickest_m = max(search.thickest_m, measured.width_m)
        if measured.width_m < settings.min_width_m:
            continue
        if max(measured.slope, measured.taper) > SLIPS:
            search.slipping += 1
            continue
        known = shared | of_closing(measured, anchor, gripper)
        for judged in _opened(measured, known, task, around, search.to_beat):
            search.touching = min(search.touching, judged.clearance.touching)
            if judged.sub_scores['seen'] < BLIND:
                search.blind += 1
                break
            if judged.clearance.touching <= settings.touching and judged.clearance.table_m >= settings.table_m - 1e-4:
                search.accept(judged, settings)
                break


def _best_by_turn(found: Candidates, promise: Array) -> Iterator[int]:
    """Yield candidates by promise, at most two depths of one orientation."""
    taken: dict[bytes, int] = {}
    for index in np.argsort(-promise, kind='stable'):
        key = found.rotations[index].tobytes()
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= 2:
            yield int(index)


def _tip_heights(anchor: Anchor, found: Candidates, gripper: GripperSettings, plane: Plane) -> Array:
    """Return (N,): height of the lower fingertip over the plane with the jaws open."""
    normal = plane.normal
    base = float(anchor.point @ normal - plane.offset)
    y = found.rotations[:, :, 1] @ normal
    spread = np.abs(found.rotations[:, :, 0] @ normal) * gripper.finger_width_m / 2
    outer = gripper.finger_thickness_m + 0.004
    sides = np.minimum(y * (found.low_m - outer), y * (found.high_m + outer))
    return np.asarray(base + found.insert_m * (found.rotations[:, :, 2] @ normal) + sides - spread)


def _opened(
    measured: Closing, known: dict[str, float], task: Task, around: Surroundings, to_beat: float
) -> Iterator[Judged]:
    """Yield the grasp with the jaws open by the full margin, then by half of it, as long as it may beat others.

    known: the sub-scores of what lies between the jaws.
    """
    gripper, settings, best = task.gripper, task.settings, prod(known.values())
    if best <= to_beat:
        return
    palm = hidden_palm(measured.pose, settings.pregrasp_m, task.cloud, gripper)
    for share in (1.0, 0.5):
        if best * (0.7 + 0.3 * share) * (1 - 0.6 * palm) <= to_beat:
            return
        margin = share * (settings.margin_m + WIDER * measured.width_m)
        opening = min(gripper.max_aperture_m, measured.width_m + 2 * margin)
        room = clearance(measured.pose, opening, around, gripper, settings.pregrasp_m)
        hidden = hidden_fingers(measured.pose, opening, task.cloud, gripper)
        scores = known | {
            'seen': (1 - hidden) ** 4 * (1 - 0.6 * palm),
            'clearance': (0.7 + 0.3 * share) * float(np.clip(0.5 + 0.5 * room.free_m / settings.clearance_m, 0, 1)),
        }
        yield Judged(measured, room, opening, scores)
