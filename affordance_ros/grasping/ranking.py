# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the best grasps of a contact by a product of named sub-scores, or abstain and say why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.anchors import anchors_of, part_of
from affordance_ros.grasping.candidates import Anchor, Candidates, GraspSettings, fitting, orientations
from affordance_ros.grasping.clearance import Clearance, Surroundings, clearance
from affordance_ros.grasping.closing import SHEET_M, Closing, closeup, closing, hidden_share
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.suction import suction_contact
from affordance_ros.results import Abstention, Contact, GraspTarget

Array = npt.NDArray[Any]
PER_ANCHOR = 6  # candidates of one anchor that get a closer look
AROUND_M = 0.24  # what is farther from the anchor no hand of ours reaches
PROFILE_M = 0.11
SLIPS = 0.9  # tangent between side and pad beyond which no friction holds


@dataclass(frozen=True)
class _Judged:
    closing: Closing
    clearance: Clearance
    opening_m: float
    sub_scores: dict[str, float]

    @property
    def score(self) -> float:
        return float(np.prod(list(self.sub_scores.values())))


@dataclass
class _Search:
    """What was tried so far: the accepted grasps, the least own width, the fewest points touched, how many tries."""

    accepted: list[_Judged]
    fitted: int = 0
    tried: int = 0
    touching: int = 10**6
    thickest_m: float = 0.0
    slipping: int = 0


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
    search = _Search([])
    for anchor in anchors:
        _try(anchor, cloud, contact, region, (gripper, settings), search)
        chosen = distinct(search.accepted, settings)
        if len(chosen) >= settings.per_contact and chosen[0].score >= settings.good:
            break
    chosen = [item for item in distinct(search.accepted, settings) if item.score >= settings.min_score]
    too_wide = own_width(part, anchors[0], gripper, settings) + settings.margin_m > gripper.max_aperture_m
    if not search.accepted or (not chosen and too_wide):
        return _refusal(contact, part, anchors, search, gripper, settings)
    if not chosen:
        best = max(search.accepted, key=lambda item: item.score)
        text = f'the best grasp scores {best.score:.2f}, below {settings.min_score:.2f}'
        return _abstain(Code.LOW_SCORE, f'{text}; look from nearer or from another side', contact, **best.sub_scores)
    return [_target(cloud, contact, item, gripper, settings) for item in chosen[: settings.per_contact]]


def _try(  # noqa: PLR0913 - one step of the search
    anchor: Anchor,
    cloud: SceneCloud,
    contact: Contact,
    region: npt.NDArray[np.bool_] | None,
    hand: tuple[GripperSettings, GraspSettings],
    search: _Search,
) -> None:
    """Try one anchor and note what came of it."""
    gripper, settings = hand
    plane = cloud.plane_near(anchor.point)
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
    promise = np.where(above, _promise(found, anchor, gripper), 0.0)
    search.fitted += len(promise)
    order = [index for index in _best_by_turn(found, promise) if promise[index] > 0][:PER_ANCHOR]
    if not order:
        search.tried += len(promise)
        return
    near = closeup(anchor, cloud, region)
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
        for judged in _opened(measured, anchor, contact, (cloud, around), hand):
            search.touching = min(search.touching, judged.clearance.touching)
            if judged.clearance.touching <= settings.touching and judged.clearance.table_m >= settings.table_m - 1e-4:
                search.accepted.append(judged)
                break


def _best_by_turn(found: Candidates, promise: Array) -> Iterator[int]:
    """Yield candidates by promise, at most two depths of one orientation."""
    taken: dict[bytes, int] = {}
    for index in np.argsort(-promise, kind='stable'):
        key = found.rotations[index].tobytes()
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= 2:
            yield int(index)


def _tip_heights(anchor: Anchor, found: Candidates, gripper: GripperSettings, plane: Any) -> Array:
    """Return (N,): height of the lower fingertip over the plane with the jaws open."""
    normal = plane.normal
    base = float(anchor.point @ normal - plane.offset)
    y = found.rotations[:, :, 1] @ normal
    spread = np.abs(found.rotations[:, :, 0] @ normal) * gripper.finger_width_m / 2
    outer = gripper.finger_thickness_m + 0.004
    sides = np.minimum(y * (found.low_m - outer), y * (found.high_m + outer))
    return np.asarray(base + found.insert_m * (found.rotations[:, :, 2] @ normal) + sides - spread)


def _promise(found: Candidates, anchor: Anchor, gripper: GripperSettings) -> Array:
    """Return (N,): what a candidate may be worth by the coarse profile alone."""
    room = np.clip(1.25 - 0.6 * found.width_m / gripper.max_aperture_m, 0.1, 1)
    slope = 1 / (1 + (found.slope / 0.45) ** 2)
    axis = 1 - anchor.anisotropy * (1 - found.across)
    deep = np.clip(0.45 + found.insert_m / 0.020, 0, 1)
    return np.asarray(room * slope * axis * deep * (0.65 + 0.35 * np.clip(found.square, 0, 1)))


def _opened(
    measured: Closing,
    anchor: Anchor,
    contact: Contact,
    scene: tuple[SceneCloud, Surroundings],
    hand: tuple[GripperSettings, GraspSettings],
) -> Iterator[_Judged]:
    """Yield the grasp with the jaws open by the full margin, then by half of it."""
    (cloud, around), (gripper, settings) = scene, hand
    for share in (1.0, 0.5):
        opening = min(gripper.max_aperture_m, measured.width_m + 2 * share * settings.margin_m)
        room = clearance(measured.pose, opening, around, gripper, settings.pregrasp_m)
        hidden = hidden_share(measured.pose, opening, cloud, gripper)
        scores = _sub_scores(measured, anchor, contact, gripper) | {
            'seen': (1 - hidden) ** 1.5,
            'clearance': (0.7 + 0.3 * share) * float(np.clip(0.5 + 0.5 * room.free_m / settings.clearance_m, 0, 1)),
        }
        yield _Judged(measured, room, opening, scores)


def _sub_scores(measured: Closing, anchor: Anchor, contact: Contact, gripper: GripperSettings) -> dict[str, float]:
    rough = max(0.0, contact.evidence.get('roughness', 1.0) - 1)
    square = float(np.clip(-measured.pose[:3, 2] @ anchor.normal, 0, 1))
    across = np.sqrt(max(0.0, 1 - float(measured.pose[:3, 1] @ anchor.axis) ** 2))
    scores = {
        'depth': float(np.sqrt(np.clip(contact.valid_ratio, 0, 1)) * np.clip(contact.inlier_ratio + 0.5, 0, 1)),
        'surface': float(np.clip(1.1 - 0.1 * rough, 0.5, 1)),
        'width': float(np.clip(1.25 - 0.6 * measured.width_m / gripper.max_aperture_m, 0.1, 1))
        * (0.75 if measured.lower_bound else 1.0),
        'antipodal': _antipodal(measured),
        'part': float(np.clip((measured.asked - 0.2) / 0.6, 0.02, 1)),
        'axis': float(1 - anchor.anisotropy * (1 - across)),
        'approach': 0.75 + 0.25 * square,
        'reach': _reach(measured),
        'place': 0.7 + 0.3 * float(np.exp(-((anchor.distance_m / 0.05) ** 2))),
    }
    if np.isfinite(contact.score):
        scores['model'] = float(np.clip(contact.score, 0, 1))
    return scores


def _antipodal(measured: Closing) -> float:
    """Return how well the ends oppose each other: parallel to the pads, met straight opposite, both seen."""
    slips = (1 + (measured.slope / 0.4) ** 2) * (1 + (measured.taper / 0.5) ** 4) * (1 + (measured.skew / 0.5) ** 4)
    return (0.86 + 0.07 * measured.sides_seen) / slips


def _reach(measured: Closing) -> float:
    """Return whether the part lies deep enough between the jaws; a thin wall is seldom straight for long."""
    deep = float(np.clip(0.3 + 0.7 * measured.engaged_m / 0.006, 0.2, 1))
    return deep * (float(np.clip(1.15 - measured.engaged_m / 0.05, 0.6, 1)) if measured.width_m < SHEET_M else 1.0)


def distinct(judged: list[_Judged], settings: GraspSettings) -> list[_Judged]:
    """Return grasps, best first, of which no two are alike in SE(3); a hand turned by 180 degrees is the same hand."""
    kept: list[_Judged] = []
    for item in sorted(judged, key=lambda one: -one.score):
        if all(not _alike(item.closing.pose, other.closing.pose, settings) for other in kept):
            kept.append(item)
    return kept


def _alike(first: Array, second: Array, settings: GraspSettings) -> bool:
    if np.linalg.norm(first[:3, 3] - second[:3, 3]) >= settings.apart_m:
        return False
    relative = first[:3, :3].T @ second[:3, :3]
    half_turn = relative[0, 0] * -1 + relative[1, 1] * -1 + relative[2, 2]
    cosine = (max(float(np.trace(relative)), float(half_turn)) - 1) / 2
    return bool(np.arccos(np.clip(cosine, -1, 1)) < np.radians(settings.apart_deg))


def _refusal(  # noqa: PLR0913 - everything that a refusal is told from
    contact: Contact,
    part: Array,
    anchors: list[Anchor],
    search: _Search,
    gripper: GripperSettings,
    settings: GraspSettings,
) -> Abstention:
    own = own_width(part, anchors[0], gripper, settings)
    if not len(part) or 0 < search.thickest_m < settings.min_width_m:
        text = 'nothing here stands out enough to put fingers around'
        return _abstain(Code.TOO_THIN, f'{text}; point at a part that does', contact, width_m=search.thickest_m)
    if own + settings.margin_m > gripper.max_aperture_m:
        opens = f'{gripper.name} opens {gripper.max_aperture_m * 1000:.0f} mm'
        text = f'the part is at least {own * 1000:.0f} mm wide here, {opens}'
        return _abstain(Code.TOO_WIDE, f'{text}; ask for a thinner part or use a wider gripper', contact, width_m=own)
    if search.slipping and search.touching == 10**6:
        text = 'the sides of the part run away from the fingers wherever they fit'
        slipping = float(search.slipping)
        return _abstain(Code.LOW_SCORE, f'{text}; point at a part with parallel sides', contact, slipping=slipping)
    text = f'the open hand would touch something in all {max(1, search.tried)} ways tried'
    touched = float(search.touching if search.touching < 10**6 else -1)
    return _abstain(
        Code.NO_CLEARANCE,
        f'{text}; clear the space around the part',
        contact,
        candidates=float(search.tried),
        touching=touched,
        width_m=own,
    )


def own_width(part: Array, anchor: Anchor, gripper: GripperSettings, settings: GraspSettings) -> float:
    """Return the least extent of the part itself at an anchor in the slab between the fingers, over all turns."""
    rotations, _ = orientations(anchor, None, settings)
    offsets = part[:: max(1, len(part) // 600)] - anchor.point
    x, y = (offsets @ rotations[:, :, column].T for column in (0, 1))
    inside = np.abs(x) <= gripper.finger_width_m / 2 + 0.001
    high, low = np.where(inside, y, -np.inf).max(axis=0), np.where(inside, y, np.inf).min(axis=0)
    return float((high - low).min(initial=np.inf))


def _target(
    cloud: SceneCloud, contact: Contact, best: _Judged, gripper: GripperSettings, settings: GraspSettings
) -> GraspTarget:
    grasp = best.closing.pose
    pregrasp, lift = grasp.copy(), grasp.copy()
    pregrasp[:3, 3] -= settings.pregrasp_m * grasp[:3, 2]
    up = cloud.up
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


def _abstain(code: Code, message: str, contact: Contact, **evidence: float) -> Abstention:
    return Abstention(code, message, contact.label, contact.pixel, evidence)
