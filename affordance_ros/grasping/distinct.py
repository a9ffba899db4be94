# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression in SE(3): of hands that are alike only the best is kept."""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.scoring import Judged

Array = npt.NDArray[Any]


def distinct(judged: list[Judged], settings: GraspSettings) -> list[Judged]:
    """Return grasps, best first, of which no two are alike in SE(3); a hand turned by 180 degrees is the same hand."""
    kept: list[Judged] = []
    for item in sorted(judged, key=lambda one: -one.score):
        if all(not alike(item.closing.pose, other.closing.pose, settings) for other in kept):
            kept.append(item)
    return kept


def alike(first: Array, second: Array, settings: GraspSettings) -> bool:
    """Tell whether two hands (4, 4) take hold in the same way: near in place and in turn."""
    if np.linalg.norm(first[:3, 3] - second[:3, 3]) >= settings.apart_m:
        return False
    relative = first[:3, :3].T @ second[:3, :3]
    half_turn = relative[0, 0] * -1 + relative[1, 1] * -1 + relative[2, 2]
    cosine = (max(float(np.trace(relative)), float(half_turn)) - 1) / 2
    return bool(np.arccos(np.clip(cosine, -1, 1)) < np.radians(settings.apart_deg))
