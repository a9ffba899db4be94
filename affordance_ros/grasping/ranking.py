# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the best grasp of a contact by a product of named sub-scores, or abstain and say why."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.grasping.candidates import Candidate, GraspSettings, candidates
from affordance_ros.grasping.clearance import Clearance, clearance
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.neighborhood import Neighborhood, look_around
from affordance_ros.results import Abstention, Contact, Frame, GraspTarget

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Judged:
    candidate: Candidate
    clearance: Clearance
    sub_scores: dict[str, float]
    score: float


def grasp_contact(
    frame: Frame, contact: Contact, gripper: GripperSettings, settings: GraspSettings, noise: NoiseModel
) -> GraspTarget | Abstention:
    """Return the best grasp target of a contact, or an abstention: TOO_WIDE, TOO_THIN, NO_CLEARANCE or LOW_SCORE."""
    around = look_around(frame, contact, noise)
    everything = list(candidates(contact, around, gripper, settings))
    widths = [item.width_m for item in everything]
    fitting = [item for item in everything if item.width_m + settings.margin_m <= gripper.max_aperture_m]
    if not fitting:
        opens = f'{gripper.name} opens {gripper.max_aperture_m * 1000:.0f} mm'
        text = f'the part is at least {min(widths) * 1000:.0f} mm wide here, {opens}'
        return _abstain(
            Code.TOO_WIDE, f'{text}; ask for a thinner part or use a wider gripper', contact, width_m=min(widths)
        )
    thick = [item for item in fitting if item.width_m >= settings.min_width_m]
    if not thick:
        return _abstain(
            Code.TOO_THIN, 'nothing here stands out enough to put fingers around', contact, width_m=max(widths)
        )
    best, least, tried = None, 0, 0
    for most, item in sorted(
        ((_promise(contact, item, gripper), item) for item in thick), key=lambda pair: -_product(pair[0])
    ):
        if best is not None and best.score >= _product(most):
            break  # no clearance can lift the rest above what is found
        tried += 1
        one = _judge(item, most, around, gripper, settings)
        least = min(least, one.clearance.touching) if tried > 1 else one.clearance.touching
        if one.clearance.touching <= settings.touching and (best is None or one.score > best.score):
            best = one
    if best is None:
        text = f'the open hand would touch something in all {tried} ways tried'
        return _abstain(
            Code.NO_CLEARANCE, f'{text}; clear the space around the part', contact, candidates=tried, touching=least
        )
    if best.score < settings.min_score:
        text = f'the best grasp scores {best.score:.2f}, below {settings.min_score:.2f}'
        return _abstain(Code.LOW_SCORE, f'{text}; look from nearer or from another side', contact, **best.sub_scores)
    return _target(frame, contact, best, gripper, settings)


def _product(sub_scores: dict[str, float]) -> float:
    return float(np.prod(list(sub_scores.values())))


def _promise(contact: Contact, candidate: Candidate, gripper: GripperSettings) -> dict[str, float]:
    """Return the sub-scores that need no look at the surroundings: their product bounds the score from above."""
    variation = 0.1 * max(0.0, contact.evidence.get('roughness', 1.0) - 1)
    room = float(np.clip(1.3 - candidate.width_m / gripper.max_aperture_m, 0.1, 1))
    tilted = float(np.cos(np.radians(candidate.tilt_deg)))
    sub_scores = {
        'depth': float(np.sqrt(np.clip(contact.valid_ratio, 0, 1)) * np.clip(contact.inlier_ratio + 0.3, 0, 1)),
        'surface': float(np.clip(1 - 3 * variation, 0.1, 1)),
        'width': room * (0.8 if candidate.width_is_lower_bound else 1.0),
        'axis': 0.4 + 0.6 * candidate.trusted_axis,
        'approach': tilted * float(np.clip(0.7 + candidate.insert_m / 0.05, 0, 1)),
    }
    if np.isfinite(contact.score):
        sub_scores['model'] = float(np.clip(contact.score, 0, 1))
    return sub_scores


def _judge(
    candidate: Candidate,
    most: dict[str, float],
    around: Neighborhood,
    gripper: GripperSettings,
    settings: GraspSettings,
) -> _Judged:
    opening = min(gripper.max_aperture_m, candidate.width_m + 2 * settings.margin_m)
    room = clearance(candidate.pose, opening, around, gripper, settings.pregrasp_m)
    sub_scores = most | {'clearance': float(np.clip(0.3 + 0.7 * room.free_m / settings.clearance_m, 0, 1))}
    return _Judged(candidate, room, sub_scores, _product(sub_scores))


def _target(
    frame: Frame, contact: Contact, best: _Judged, gripper: GripperSettings, settings: GraspSettings
) -> GraspTarget:
    grasp = best.candidate.pose
    pregrasp, lift = grasp.copy(), grasp.copy()
    pregrasp[:3, 3] -= settings.pregrasp_m * grasp[:3, 2]
    # Up is z of the target frame where its pose is known, else the way the hand came.
    up = -grasp[:3, 2] if frame.target_from_camera is None else np.asarray(frame.target_from_camera)[2, :3]
    lift[:3, 3] += settings.lift_m * up
    return GraspTarget(
        contact=contact,
        grasp=grasp,
        pregrasp=pregrasp,
        lift=lift,
        width_m=best.candidate.width_m,
        width_is_lower_bound=best.candidate.width_is_lower_bound,
        depth_m=best.candidate.insert_m,
        clearance_m=min(best.clearance.free_m, 1.0),
        score=best.score,
        sub_scores=best.sub_scores,
        gripper=gripper.name,
        label=contact.label,
        opening_m=min(gripper.max_aperture_m, best.candidate.width_m + 2 * settings.margin_m),
    )


def _abstain(code: Code, message: str, contact: Contact, **evidence: float) -> Abstention:
    return Abstention(code, message, contact.label, contact.pixel, evidence)
