# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Suction: a cup square to the surface where it is smooth all around the lip, within the asked part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.anchors import anchors_of, part_of
from affordance_ros.grasping.candidates import Anchor, GraspSettings
from affordance_ros.grasping.clearance import Surroundings, clearance
from affordance_ros.grasping.closing import closeup
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.refusing import abstain
from affordance_ros.results import Abstention, Contact, GraspTarget

Array = npt.NDArray[Any]
SECTORS = 12


@dataclass(frozen=True)
class Seal:
    """How a cup lies on the surface: camera_from_tcp, the share of the lip on the surface, unevenness in metres."""

    pose: Array
    covered: float
    uneven_m: float


def suction_contact(
    cloud: SceneCloud,
    contact: Contact,
    region: npt.NDArray[np.bool_] | None,
    gripper: GripperSettings,
    settings: GraspSettings,
) -> list[GraspTarget] | Abstention:
    """Return suction targets of a contact, best first.

    Abstains as TOO_THIN (no place is large enough for the cup), NOT_FLAT (none is smooth enough), NO_CLEARANCE or
    LOW_SCORE.
    """
    part = part_of(contact, cloud, region)
    seals = [
        (anchor, seal)
        for anchor in anchors_of(contact, part, settings.anchors)
        if (seal := _seal(anchor, cloud, region, gripper)) is not None
    ]
    large = [(anchor, seal) for anchor, seal in seals if seal.covered >= 0.8]
    if not large:
        best = max((seal.covered for _, seal in seals), default=0.0)
        text = f'no place of the part is as large as the cup of {2000 * gripper.cup_radius_m:.0f} mm'
        return abstain(Code.TOO_THIN, f'{text}; use a smaller cup or a gripper', contact, covered=best)
    noise = 2 * cloud.noise.sigma(float(contact.point[2]))
    smooth = [(anchor, seal) for anchor, seal in large if seal.uneven_m <= gripper.cup_give_m + noise]
    if not smooth:
        least = min(seal.uneven_m for _, seal in large)
        text = f'the smoothest place is uneven by {1000 * least:.1f} mm under the cup'
        return abstain(Code.NOT_FLAT, f'{text}; use a softer cup or a gripper', contact, uneven_m=least)
    found = [
        target for anchor, seal in smooth if (target := _target(cloud, contact, anchor, seal, (gripper, settings)))
    ]
    if not found:
        text = 'the cup or its stem would touch something everywhere'
        return abstain(Code.NO_CLEARANCE, f'{text}; clear the space above the part', contact, places=float(len(smooth)))
    found.sort(key=lambda target: -target.score)
    if found[0].score < settings.min_score:
        text = f'the best place scores {found[0].score:.2f}, below {settings.min_score:.2f}'
        return abstain(Code.LOW_SCORE, f'{text}; look from nearer', contact, **found[0].sub_scores)
    return [target for target in found if target.score >= settings.min_score][: settings.per_contact]


def _seal(
    anchor: Anchor, cloud: SceneCloud, region: npt.NDArray[np.bool_] | None, gripper: GripperSettings
) -> Seal | None:
    near = closeup(anchor, cloud, region)
    points = near.points if near.asked is None else near.points[near.asked]
    # The support plane itself may be sucked at; closeup leaves it out, so take the cloud where nothing else is left.
    if len(points) < 8:
        points, _ = cloud.near(anchor.point, 2 * gripper.cup_radius_m)
    radius = gripper.cup_radius_m
    disc = points[(points**2).sum(axis=1) < (1.15 * radius) ** 2]
    if len(disc) < 8:
        return None
    middle = np.median(disc, axis=0)
    normal = np.linalg.eigh((disc - middle).T @ (disc - middle))[1][:, 0]
    normal = normal if normal @ anchor.point < 0 else -normal
    height = (disc - middle) @ normal
    side = np.cross(normal, (0.0, 0, 1.0) if abs(normal[2]) < 0.9 else (1.0, 0, 0))
    side /= np.linalg.norm(side)
    other = np.cross(normal, side)
    flat = np.column_stack((disc @ side, disc @ other))
    lip = np.abs(np.linalg.norm(flat, axis=1) - 0.85 * radius) < 0.3 * radius
    sector = ((np.arctan2(flat[lip, 1], flat[lip, 0]) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    covered = len(np.unique(sector)) / SECTORS
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack((np.cross(side, -normal), side, -normal))
    pose[:3, 3] = anchor.point + float(np.median(height)) * normal + (middle @ normal) * normal
    return Seal(pose, covered, float(np.quantile(np.abs(height), 0.9)))


def _target(
    cloud: SceneCloud,
    contact: Contact,
    anchor: Anchor,
    seal: Seal,
    hand: tuple[GripperSettings, GraspSettings],
) -> GraspTarget | None:
    gripper, settings = hand
    scene, _ = cloud.near(anchor.point, 0.24, every=2)
    room = clearance(seal.pose, 0.0, Surroundings(scene + anchor.point, None), gripper, settings.pregrasp_m)
    if room.touching > settings.touching:
        return None
    up = cloud.up
    pregrasp, lift = seal.pose.copy(), seal.pose.copy()
    pregrasp[:3, 3] -= settings.pregrasp_m * seal.pose[:3, 2]
    lift[:3, 3] += settings.lift_m * (-seal.pose[:3, 2] if up is None else up)
    scores = {
        'depth': float(np.sqrt(np.clip(contact.valid_ratio, 0, 1))),
        'seal': float(np.clip(seal.covered, 0, 1)),
        'flat': float(np.exp(-seal.uneven_m / (gripper.cup_give_m + cloud.noise.sigma(float(contact.point[2]))))),
        'upward': 1.0 if up is None else float(np.clip(0.6 - 0.4 * seal.pose[:3, 2] @ up, 0.2, 1)),
        'place': 0.5 + 0.5 * float(np.exp(-((anchor.distance_m / 0.04) ** 2))),
        'clearance': float(np.clip(0.6 + 0.4 * room.free_m / settings.clearance_m, 0, 1)),
    }
    if np.isfinite(contact.score):
        scores['model'] = float(np.clip(contact.score, 0, 1))
    return GraspTarget(
        contact=contact,
        grasp=seal.pose,
        pregrasp=pregrasp,
        lift=lift,
        width_m=0.0,
        width_is_lower_bound=False,
        depth_m=0.0,
        clearance_m=room.free_m,
        score=float(np.prod(list(scores.values()))),
        sub_scores=scores,
        gripper=gripper.name,
        label=contact.label,
        opening_m=0.0,
        wrist=gripper.wrist_pose(seal.pose),
        wrist_frame=gripper.wrist_frame,
    )
