# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Try one anchor: what fits the coarse profile, a closer look at the best of it, and whether the open hand fits in."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.geometry.surface import Plane
from affordance_ros.grasping.candidates import Anchor, Candidates, GraspSettings, fitting, orientations
from affordance_ros.grasping.clearance import Surroundings, clearance
from affordance_ros.grasping.closing import Closeup, Closing, closeup, closing
from affordance_ros.grasping.distinct import distinct
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.scoring import Judged, of_anchor, of_closing, promise
from affordance_ros.grasping.unseen import hidden_fingers, hidden_palm, seen_share
from affordance_ros.results import Contact

Array = npt.NDArray[Any]
PER_ANCHOR = 6  # candidates of one anchor that get a closer look
AROUND_M = 0.24  # what is farther from the anchor no hand of ours reaches
PROFILE_M = 0.11
WIDER = 0.1  # of a wide round part the camera sees less than the whole width
BLIND = 0.55**4  # a finger that goes where nothing was seen
GUESS, UNSEEN = 0.15, 1.4  # how much better than the coarse profile and the unturned hand tell a grasp may become
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
            chosen = [judged] if settings.per_contact == 1 else distinct(self.accepted, settings)
            worst = chosen[settings.per_contact - 1].score if len(chosen) >= settings.per_contact else 0.0
            self.to_beat = worst if worst >= settings.min_score else 0.0


@dataclass
class Vicinity:
    """The clouds about an anchor, made when a candidate needs them."""

    anchor: Anchor
    task: Task

    @cached_property
    def near(self) -> Closeup:
        """The fine cloud of what lies between the jaws."""
        return closeup(self.anchor, self.task.cloud, self.task.region, self.task.plane)

    @cached_property
    def around(self) -> Surroundings:
        """What a hand must not touch."""
        plane = self.task.plane
        offsets, _ = self.task.cloud.near(self.anchor.point, AROUND_M, every=2)
        scene = offsets + self.anchor.point
        if plane is not None:
            scene = scene[scene @ plane.normal - plane.offset > max(3 * plane.residual_m, 0.003)]
        return Surroundings(scene, plane)


def try_anchor(anchor: Anchor, task: Task, search: Search) -> None:
    """Try one anchor and note what came of it."""
    shared = of_anchor(anchor, task.contact, whole=task.region is not None)
    most = prod(shared.values())
    if most <= search.to_beat:
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
    order = np.array([index for index in islice(_best_by_turn(found, worth), PER_ANCHOR) if worth[index] > 0], int)
    if not len(order):
        search.tried += len(worth)
        return
    bound = most * np.minimum(worth[order] + GUESS, 1) * _outlook(anchor, found, order, task)
    vicinity = Vicinity(anchor, task)
    for index in order[np.argsort(-bound, kind='stable')]:
        search.tried += 1
        if bound[order == index][0] <= search.to_beat:
            continue
        measured = closing(anchor, vicinity.near, found, int(index), gripper)
        if measured is None or measured.width_m + settings.margin_m > gripper.max_aperture_m:
            continue
        search.thickest_m = max(search.thickest_m, measured.width_m)
        if measured.width_m < settings.min_width_m:
            continue
        if max(measured.slope, measured.taper) > SLIPS:
            search.slipping += 1
            continue
        known = shared | of_closing(measured, anchor, gripper)
        for judged in _opened(measured, known, task, vicinity, search.to_beat):
            search.touching = min(search.touching, judged.clearance.touching)
            if judged.sub_scores['seen'] < BLIND:
                search.blind += 1
                break
            if judged.clearance.touching <= settings.touching and judged.clearance.table_m >= settings.table_m - 1e-4:
                search.accept(judged, settings)
                break


def _outlook(anchor: Anchor, found: Candidates, chosen: Array, task: Task) -> Array:
    """Return (K,): what of their worth chosen candidates can at most keep, by what the hand as it is reaches unseen.

    The closer look moves and turns the hand a little; UNSEEN is how much more of it may then be seen.
    """
    low, high, settings = found.low_m[chosen], found.high_m[chosen], task.settings
    shift = np.stack((np.zeros(len(chosen)), (low + high) / 2, found.insert_m[chosen]), axis=1)
    poses = np.tile(np.eye(4), (len(chosen), 1, 1))
    poses[:, :3, :3] = found.rotations[chosen]
    poses[:, :3, 3] = anchor.point + (poses[:, :3, :3] @ shift[..., None])[..., 0]
    opening = np.minimum(high - low + 2 * (settings.margin_m + WIDER * (high - low)), task.gripper.max_aperture_m)
    hidden = hidden_fingers(poses, opening, task.cloud, task.gripper)
    palm = hidden_palm(poses, settings.pregrasp_m, task.cloud, task.gripper)
    return np.asarray(np.minimum(UNSEEN * seen_share(hidden, palm) + 0.05, 1))


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
    measured: Closing, known: dict[str, float], task: Task, vicinity: Vicinity, to_beat: float
) -> Iterator[Judged]:
    """Yield the grasp with the jaws open by the full margin, then by half of it, as long as it may beat others.

    known: the sub-scores of what lies between the jaws.
    """
    gripper, settings, best = task.gripper, task.settings, prod(known.values())
    if best <= to_beat:
        return
    palm = float(hidden_palm(measured.pose, settings.pregrasp_m, task.cloud, gripper))
    for share in (1.0, 0.5):
        if best * (0.7 + 0.3 * share) * (1 - 0.6 * palm) <= to_beat:
            return
        margin = share * (settings.margin_m + WIDER * measured.width_m)
        opening = min(gripper.max_aperture_m, measured.width_m + 2 * margin)
        room = clearance(measured.pose, opening, vicinity.around, gripper, settings.pregrasp_m)
        hidden = float(hidden_fingers(measured.pose, opening, task.cloud, gripper))
        scores = known | {
            'seen': float(seen_share(hidden, palm)),
            'clearance': (0.7 + 0.3 * share) * float(np.clip(0.5 + 0.5 * room.free_m / settings.clearance_m, 0, 1)),
        }
        yield Judged(measured, room, opening, scores)
