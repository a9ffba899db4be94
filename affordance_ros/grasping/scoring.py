# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a grasp is worth: a product of named sub-scores, and a cheap guess of it before the closer look."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.candidates import Anchor, Candidates
from affordance_ros.grasping.clearance import Clearance
from affordance_ros.grasping.closing import Closing
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.walls import SHEET_M
from affordance_ros.results import Contact

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """A grasp with the space around it. score: the product of its sub-scores."""

    closing: Closing
    clearance: Clearance
    opening_m: float
    sub_scores: dict[str, float]

    @cached_property
    def score(self) -> float:
        """In [0, 1]."""
        return float(np.prod(list(self.sub_scores.values())))


def promise(found: Candidates, anchor: Anchor, gripper: GripperSettings) -> Array:
    """Return (N,): what a candidate may be worth by the coarse profile alone."""
    room = np.clip(1.25 - 0.6 * found.width_m / gripper.max_aperture_m, 0.1, 1)
    slope = 1 / (1 + (found.slope / 0.45) ** 2)
    axis = 1 - anchor.anisotropy * (1 - found.across)
    deep = np.clip(0.45 + found.insert_m / 0.020, 0, 1)
    return np.asarray(room * slope * axis * deep * (0.65 + 0.35 * np.clip(found.square, 0, 1)))


def of_anchor(anchor: Anchor, contact: Contact, *, whole: bool) -> dict[str, float]:
    """Return the sub-scores that every grasp at an anchor shares, in [0, 1]. whole: a region says what to hold.

    No grasp there can be worth more than their product.
    """
    rough = max(0.0, contact.evidence.get('roughness', 1.0) - 1)
    scores = {
        'depth': float(np.sqrt(np.clip(contact.valid_ratio, 0, 1)) * np.clip(contact.inlier_ratio + 0.5, 0, 1)),
        'surface': float(np.clip(1.1 - 0.1 * rough, 0.5, 1)),
        'place': _place(anchor.distance_m, whole=whole),
    }
    if np.isfinite(contact.score):
        scores['model'] = float(np.clip(contact.score, 0, 1))
    return scores


def of_closing(measured: Closing, anchor: Anchor, gripper: GripperSettings) -> dict[str, float]:
    """Return what the part between the jaws is worth, in [0, 1], whatever stands around it."""
    square = float(np.clip(-measured.pose[:3, 2] @ anchor.normal, 0, 1))
    across = np.sqrt(max(0.0, 1 - float(measured.pose[:3, 1] @ anchor.axis) ** 2))
    return {
        'width': float(np.clip(1.25 - 0.6 * measured.width_m / gripper.max_aperture_m, 0.1, 1))
        * (0.75 if measured.lower_bound else 1.0),
        'antipodal': _antipodal(measured),
        'part': float(np.clip((measured.asked - 0.2) / 0.6, 0.02, 1)),
        'axis': float(1 - anchor.anisotropy * (1 - across)),
        # A wall is held from its rim, along its face; everything else from the side that it shows.
        'approach': 1.0 if measured.wall else 0.75 + 0.25 * square,
        'reach': _reach(measured),
    }


def _place(distance_m: float, *, whole: bool) -> float:
    """Return what a place is worth so far from the contact; without a region nobody knows whose part it is."""
    least, reach = (0.7, 0.05) if whole else (0.25, 0.035)
    return least + (1 - least) * float(np.exp(-((distance_m / reach) ** 2)))


def _antipodal(measured: Closing) -> float:
    """Return how well the ends oppose each other: parallel to the pads, met straight opposite, both seen."""
    slips = (1 + (measured.slope / 0.4) ** 2) * (1 + (measured.taper / 0.5) ** 4) * (1 + (measured.friction / 0.3) ** 4)
    return 1 / slips


def _reach(measured: Closing) -> float:
    """Return whether the part lies deep enough between the jaws; a thin wall is seldom straight for long."""
    deep = float(np.clip(0.3 + 0.7 * measured.engaged_m / 0.006, 0.2, 1))
    return deep * (float(np.clip(1.2 - measured.engaged_m / 0.03, 0.5, 1)) if measured.width_m < SHEET_M else 1.0)
