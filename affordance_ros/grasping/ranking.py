# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the best grasps of a contact by a product of named sub-scores, or abstain and say why."""

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.anchors import anchors_of, part_of
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.distinct import distinct
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.refusing import abstain, own_width, refusal
from affordance_ros.grasping.scoring import Judged
from affordance_ros.grasping.search import Search, Task, try_anchor
from affordance_ros.grasping.suction import suction_contact
from affordance_ros.results import Abstention, Contact, GraspTarget


def grasp_contact(
    cloud: SceneCloud,
    contact: Contact,
    region: npt.NDArray[np.bool_] | None,
    gripper: GripperSettings,
    settings: GraspSettings,
) -> list[GraspTarget] | Abstention:
    """Return grasp targets of a contact, best first, at most `per_contact`, each unlike the others.

    region: bool (H, W), the part that may be held, or None: the surface about the contact.
    Abstains as TOO_WIDE, TOO_THIN, NO_CLEARANCE or LOW_SCORE; a suction cup also as NOT_FLAT.
    """
    if gripper.kind == 'suction':
        return suction_contact(cloud, contact, region, gripper, settings)
    part = part_of(contact, cloud, region)
    anchors = anchors_of(contact, part, settings.anchors)
    task, search = Task(cloud, contact, region, gripper, settings), Search([])
    chosen: list[Judged] = []
    for anchor in anchors:
        before = len(search.accepted)
        try_anchor(anchor, task, search)
        if len(search.accepted) == before:
            continue
        chosen = distinct(search.accepted, settings)
        if len(chosen) >= settings.per_contact and chosen[0].score >= settings.good:
            break
    chosen = [item for item in chosen if item.score >= settings.min_score]
    if chosen:
        return [_target(task, item) for item in chosen[: settings.per_contact]]
    too_wide = own_width(part, anchors[0], gripper, settings) + settings.margin_m > gripper.max_aperture_m
    if not search.accepted or too_wide:
        return refusal(task, part, anchors, search)
    best = max(search.accepted, key=lambda item: item.score)
    text = f'the best grasp scores {best.score:.2f}, below {settings.min_score:.2f}'
    return abstain(Code.LOW_SCORE, f'{text}; look from nearer or from another side', contact, **best.sub_scores)


def _target(task: Task, best: Judged) -> GraspTarget:
    contact, gripper, settings = task.contact, task.gripper, task.settings
    grasp = best.closing.pose
    pregrasp, lift = grasp.copy(), grasp.copy()
    pregrasp[:3, 3] -= settings.pregrasp_m * grasp[:3, 2]
    up = task.cloud.up
    lift[:3, 3] += settings.lift_m * (-grasp[:3, 2] if up is None else up)
    return GraspTarget(
        contact=contact,
        grasp=grasp,
        pregrasp=pregrasp,
        lift=lift,
        width_m=best.closing.width_m,
        width_is_lower_bound=best.closing.lower_bound,
        depth_m=best.closing.insert_m,
        clearance_m=min(best.clearance.free_m, 1.0),
        score=float(np.clip(best.score, 0, 1)),
        sub_scores=best.sub_scores,
        gripper=gripper.name,
        label=contact.label,
        opening_m=best.opening_m,
        wrist=gripper.wrist_pose(grasp),
        wrist_frame=gripper.wrist_frame,
    )
