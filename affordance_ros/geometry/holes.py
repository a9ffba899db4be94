# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small holes of one surface, and pixels that belong to none: what a depth image does not know and what it makes up."""

from typing import Any

import numpy as np
import numpy.typing as npt

Depth = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.integer[Any]]
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
    rows, columns = np.nonzero(~known)
    across, across_there = _bridged(depth, known, (rows, columns), (sigma_m, pixel_m, most_px))
    down, down_there = _bridged(depth.T, known.T, (columns, rows), (sigma_m, pixel_m, most_px))
    both = across_there & down_there
    # Where row and column disagree the pixel is at a corner of two surfaces: it stays a hole.
    both_agree = np.abs(across - down) <= 4 * sigma_m + 2 * STEEP * pixel_m
    chosen = (across_there ^ down_there) | (both & both_agree)
    value = np.where(both, (across + down) / 2, np.where(across_there, across, down))
    whole, filled = depth.copy(), np.zeros(depth.shape, bool)
    place = rows[chosen], columns[chosen]
    whole[place], filled[place] = value[chosen], True
    return whole, filled


def _bridged(
    depth: Depth, known: Mask, holes: tuple[Index, Index], scale: tuple[float, float, int]
) -> tuple[Depth, Mask]:
    """Return the value (N,) between the measured neighbours of each hole (row, column) in its row, if there is one."""
    sigma_m, pixel_m, most_px = scale
    width = depth.shape[1]
    row, column = holes
    columns = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(known, columns, np.int32(-1)), axis=1)[holes]
    after = np.minimum.accumulate(np.where(known, columns, np.int32(width))[:, ::-1], axis=1)[:, ::-1][holes]
    gap = after - before
    left, right = depth[row, np.maximum(before, 0)], depth[row, np.minimum(after, width - 1)]
    there = (before >= 0) & (after < width) & (gap <= most_px + 1)
    there &= np.abs(left - right) <= 4 * sigma_m + STEEP * pixel_m * gap
    share = (column - before) / np.maximum(gap, 1)
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
