# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression in SE(3): of hands that are alike only the best is kept."""

from math import acos, radians
from typing import Any

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
    away = first[:3, 3] - second[:3, 3]
    if float(away @ away) >= settings.apart_m**2:
        return False
    # The three cosines between like axes are the trace of the turn between the hands.
    x, y, z = (first[:3, :3] * second[:3, :3]).sum(axis=0).tolist()
    cosine = (max(x + y, -x - y) + z - 1) / 2
    return acos(min(max(cosine, -1.0), 1.0)) < radians(settings.apart_deg)
