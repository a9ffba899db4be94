# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small holes of one surface, and pixels that belong to none: what a depth image does not know and what it makes up."""

from typing import Any

import numpy as np
import numpy.typing as npt

Depth = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
MOST_PX = 6
STEEP = 3.0  # a surface steeper than this, in metres of depth per metre across, counts as an edge


def fill_holes(depth: Depth, sigma_m: float, pixel_m: float, most_px: int = MOST_PX) -> tuple[Depth, Mask]:
    """Return the depth with small holes filled, and where. Nothing is filled across an edge.

    A hole pixel takes the value between its measured neighbours in its row or column, where these are at most
    `most_px` apart and differ by no more than 4 sigma and a steep surface would.

    Args:
        depth: (h, w) metres, NaN where invalid.
        sigma_m: standard deviation of one depth pixel.
        pixel_m: size of a pixel on the surface.
        most_px: widest gap that is bridged.
    """
    known = np.isfinite(depth)
    across, across_there = _bridged(depth, known, (sigma_m, pixel_m), most_px)
    down, down_there = _bridged(depth.T, known.T, (sigma_m, pixel_m), most_px)
    down, down_there = down.T, down_there.T
    both = across_there & down_there
    # Where row and column disagree the pixel is at a corner of two surfaces: it stays a hole.
    both_agree = np.abs(across - down) <= 4 * sigma_m + 2 * STEEP * pixel_m
    filled = (across_there ^ down_there) | (both & both_agree)
    value = np.where(both, (across + down) / 2, np.where(across_there, across, down))
    return np.where(filled, value, depth), np.asarray(filled & ~known)


def _bridged(depth: Depth, known: Mask, scale: tuple[float, float], most_px: int) -> tuple[Depth, Mask]:
    """Return the value between the measured neighbours of each row's holes, and where there is one."""
    sigma_m, pixel_m = scale
    height, width = depth.shape
    columns = np.arange(width)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    gap = after - before
    rows = np.arange(height)[:, None]
    left, right = depth[rows, np.maximum(before, 0)], depth[rows, np.minimum(after, width - 1)]
    there = ~known & (before >= 0) & (after < width) & (gap <= most_px + 1)
    there &= np.abs(left - right) <= 4 * sigma_m + STEEP * pixel_m * gap
    share = (columns - before) / np.maximum(gap, 1)
    return np.where(there, left + share * (right - left), 0.0), there


def flying(depth: Depth, jump_m: float) -> Mask:
    """Return which pixels hang between both neighbours of a row or a column, as mixed pixels at an edge do.

    Such a pixel lies farther than `jump_m` from both, and between them: a slanted surface has small steps, a thin part
    lies before both of its neighbours.
    """
    found = np.zeros(depth.shape, bool)
    down, across = depth[1:] - depth[:-1], depth[:, 1:] - depth[:, :-1]
    for leap in (down > jump_m, down < -jump_m):  # twice in a row in the same direction
        found[1:-1] |= leap[1:] & leap[:-1]
    for leap in (across > jump_m, across < -jump_m):
        found[:, 1:-1] |= leap[:, 1:] & leap[:, :-1]
    return found
