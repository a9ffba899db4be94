# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why a contact is not held: a code, a sentence with the way out, and what was measured."""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.grasping.candidates import Anchor, GraspSettings, orientations
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.search import Search, Task
from affordance_ros.results import Abstention, Contact

Array = npt.NDArray[Any]


def refusal(task: Task, part: Array, anchors: list[Anchor], search: Search) -> Abstention:
    """Return why nothing holds: TOO_THIN, TOO_WIDE, LOW_SCORE or NO_CLEARANCE, with what was measured."""
    contact, gripper, settings = task.contact, task.gripper, task.settings
    own = own_width(part, anchors[0], gripper, settings)
    if not len(part) or 0 < search.thickest_m < settings.min_width_m or _on_table(task):
        text = 'nothing here stands out enough to put fingers around'
        return abstain(Code.TOO_THIN, f'{text}; point at a part that does', contact, width_m=search.thickest_m)
    if own + settings.margin_m > gripper.max_aperture_m:
        opens = f'{gripper.name} opens {gripper.max_aperture_m * 1000:.0f} mm'
        text = f'the part is at least {own * 1000:.0f} mm wide here, {opens}'
        return abstain(Code.TOO_WIDE, f'{text}; ask for a thinner part or use a wider gripper', contact, width_m=own)
    if search.slipping and search.touching == 10**6:
        text = 'the sides of the part run away from the fingers wherever they fit'
        slipping = float(search.slipping)
        return abstain(Code.LOW_SCORE, f'{text}; point at a part with parallel sides', contact, slipping=slipping)
    text = f'the open hand would touch something in all {max(1, search.tried)} ways tried'
    if search.blind:
        text += f', or reach where nothing was seen ({search.blind})'
    touched = float(search.touching if search.touching < 10**6 else -1)
    return abstain(
        Code.NO_CLEARANCE,
        f'{text}; clear the space around the part, or look from another side',
        contact,
        candidates=float(search.tried),
        touching=touched,
        unseen=float(search.blind),
        width_m=own,
    )


def _on_table(task: Task) -> bool:
    """Tell whether the contact lies on the support plane, which nothing can be put around."""
    plane = task.plane
    if plane is None:
        return False
    return abs(float(task.contact.point @ plane.normal - plane.offset)) < max(3 * plane.residual_m, 0.002)


def own_width(part: Array, anchor: Anchor, gripper: GripperSettings, settings: GraspSettings) -> float:
    """Return the least extent of the part itself at an anchor in the slab between the fingers, over all turns."""
    rotations, _ = orientations(anchor, None, settings)
    offsets = part[:: max(1, len(part) // 600)] - anchor.point
    x, y = (offsets @ rotations[:, :, column].T for column in (0, 1))
    inside = np.abs(x) <= gripper.finger_width_m / 2 + 0.001
    high, low = np.where(inside, y, -np.inf).max(axis=0), np.where(inside, y, np.inf).min(axis=0)
    return float((high - low).min(initial=np.inf))


def abstain(code: Code, message: str, contact: Contact, **evidence: float) -> Abstention:
    """Return a refusal at a contact with the numbers that it was told from."""
    return Abstention(code, message, contact.label, contact.pixel, evidence)
