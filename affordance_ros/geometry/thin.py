# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is a surface a thin part: a strip in the image that stands before what is on both sides of it?

Handles, shafts and rims show few pixels across, too few for noise to leave their curvature. What is known of them
without depth is their outline: its middle faces the camera, its sides turn away.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
WIDEST = 2.2  # half width in windows
LONGER = 0.6  # largest ratio of the variances across and along
BEYOND = (1.15, 0.6)  # where what is beside the strip is looked for: from 1.15 half widths, 0.6 windows wide
ALONG = 1.5
FEWEST = 6


@dataclass(frozen=True)
class Strip:
    """across: unit (2,) in the image. middle, half: where its middle is across, and half its width, in windows."""

    across: Array
    middle: float
    half: float


def strip_of(
    offset: Array, z: Array, around: Callable[[], tuple[Array, Array, Array]], scale: tuple[float, float]
) -> Strip | None:
    """Return the strip that a surface forms, None when it is none or does not stand before what is beside it.

    Args:
        offset: (2, N) pixels of the surface about the asked one, in windows.
        z: (N,) their depth in metres.
        around: gives columns (w,) and rows (h,) of the crop in the same way, and all depth there (h, w).
        scale: window in metres, noise of one pixel in metres.
    """
    number = offset.shape[1]
    u, v = (offset @ np.ones(number) / number).tolist()
    (xx, xy), (_, yy) = (offset @ offset.T / number).tolist()
    xx, xy, yy = xx - u * u, xy - u * v, yy - v * v
    mean, spread = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    least = max(mean - spread, 1e-9)  # variance across, in closed form
    half = math.sqrt(3 * least)
    if half > WIDEST or least > LONGER * (mean + spread):
        return None
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    across, along = np.array([-math.sin(angle), math.cos(angle)]), np.array([math.cos(angle), math.sin(angle)])
    strip = Strip(across, float(across[0] * u + across[1] * v), half)
    own = z[np.abs(along @ offset) < ALONG]
    if len(own) < FEWEST:
        return None
    front = float(np.partition(own, len(own) // 2)[len(own) // 2])
    x, y, depth = around()
    beside = across[0] * x + (across[1] * y - strip.middle)[:, None]
    near = np.abs(along[0] * x + (along[1] * y)[:, None]) < ALONG
    step = max(0.3 * half * scale[0], 0.4 * scale[1], 0.001)
    for side in (beside, -beside):
        other = depth[near & (side > BEYOND[0] * half) & (side < BEYOND[0] * half + BEYOND[1])]
        other = other[np.isfinite(other)]
        if len(other) >= FEWEST and np.partition(other, len(other) // 2)[len(other) // 2] < front + step:
            return None
    return strip
