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
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.refusing import abstain
from affordance_ros.grasping.unseen import hidden_palm
from affordance_ros.results import Abstention, Contact, GraspTarget

Array = npt.NDArray[Any]
SECTORS = 12
OTHER_M = 0.008  # so far off the plane of the cup lies another part


@dataclass(frozen=True)
class Seal:
    """How a cup lies on the surface: camera_from_tcp, the share of the lip on the surface, its unevenness in m."""

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
    noise = cloud.noise.sigma(float(contact.point[2]))  # of a sector of the lip: a few pixels, so less than two of one
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
    """Lay the cup on the surface about an anchor; None where there is next to nothing to lay it on."""
    radius = gripper.cup_radius_m
    disc, place = cloud.near(anchor.point, 1.15 * radius)
    if region is not None and len(disc):
        disc = disc[region[tuple(np.minimum(place * cloud.step, np.array(region.shape) - 1).T)]]
    if len(disc) < 8:
        return None
    middle, normal = _plane(disc)
    middle, normal = _plane(disc[np.abs((disc - middle) @ normal) < OTHER_M])
    normal = normal if normal @ anchor.point < 0 else -normal
    height = (disc - middle) @ normal
    side = np.cross(normal, (0.0, 0, 1.0) if abs(normal[2]) < 0.9 else (1.0, 0, 0))
    side /= np.linalg.norm(side)
    other = np.cross(normal, side)
    flat = np.column_stack((disc @ side, disc @ other))
    lip = (np.abs(np.linalg.norm(flat, axis=1) - 0.85 * radius) < 0.3 * radius) & (np.abs(height) < OTHER_M)
    sector = ((np.arctan2(flat[lip, 1], flat[lip, 0]) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    ends = np.array([np.median(height[lip][sector == index]) for index in np.unique(sector)])
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack((np.cross(side, -normal), side, -normal))
    pose[:3, 3] = anchor.point + (middle @ normal) * normal
    return Seal(pose, len(ends) / SECTORS, float(np.ptp(ends)) if len(ends) else np.inf)


def _plane(points: Array) -> tuple[Array, Array]:
    """Return the middle (3,) and the normal (3,) of points."""
    middle = np.median(points, axis=0) if len(points) else np.zeros(3)
    return middle, np.linalg.eigh((points - middle).T @ (points - middle))[1][:, 0]


def _target(
    cloud: SceneCloud,
    contact: Contact,
    anchor: Anchor,
    seal: Seal,
    hand: tuple[GripperSettings, GraspSettings],
) -> GraspTarget | None:
    gripper, settings = hand
    scene, _ = cloud.near(anchor.point, 0.24, every=2)
    scene = scene + anchor.point
    # The face itself is not in the way: its noise would lift some of its points into the lip.
    off = (scene - seal.pose[:3, 3]) @ -seal.pose[:3, 2]
    scene = scene[off > seal.uneven_m + 3 * cloud.noise.sigma(float(contact.point[2]))]
    room = clearance(seal.pose, 0.0, Surroundings(scene, None), gripper, settings.pregrasp_m)
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
        'seen': 1 - 0.8 * float(hidden_palm(seal.pose, settings.pregrasp_m, cloud, gripper)),
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
