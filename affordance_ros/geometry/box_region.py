# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a box to the thing in it: what stands above the table and before its background, never the whole box."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.holes import fill_holes
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.spots import Region
from affordance_ros.geometry.surface import Plane, support_plane
from affordance_ros.geometry.table import SMOOTH_PX, heights, least_height, median_of
from affordance_ros.results import Frame

Array = npt.NDArray[Any]
MOST_PX = 120  # a larger box is looked at in steps
FEWEST = 12
LEAST_SHARE = 0.02  # of the box above its support plane for the plane to be left out
MODE_SHARE = 0.2
MARGIN = 0.25  # of the longer side, looked at beyond the box


def object_in_box(
    frame: Frame, box: tuple[float, float, float, float], settings: LiftSettings, table: Plane | None = None
) -> Region | None:
    """Return the pixels (H, W) of a box xyxy that belong to the thing in it, None when it shows next to no depth.

    The table (or the plane that fills most of the box) is left out; of the connected things that remain the one about
    the middle of the box is taken, and of its depth modes the nearest that counts.
    """
    assert frame.depth is not None
    assert frame.intrinsics is not None
    x0, y0 = (int(max(0, np.floor(value))) for value in box[:2])
    x1, y1 = (
        int(min(size - 1, np.ceil(value))) for value, size in zip(box[2:], (frame.width, frame.height), strict=True)
    )
    if x1 < x0 or y1 < y0:
        return None
    step = max(1, max(x1 - x0, y1 - y0) // MOST_PX)
    # A margin shows what goes on beyond the box.
    beyond = round(MARGIN * max(x1 - x0, y1 - y0)) + 3
    columns, rows = (
        np.arange(max(first - beyond, 0), min(last + beyond + 1, end), step)
        for first, last, end in ((x0, x1, frame.width), (y0, y1, frame.height))
    )
    z = frame.depth[rows[0] : rows[-1] + 1 : step, columns[0] : columns[-1] + 1 : step].astype(np.float64)
    z = np.where((z >= settings.range_m[0]) & (z <= settings.range_m[1]), z, np.nan)
    known = np.isfinite(z)
    if known.sum() < FEWEST:
        return None
    middle = float(np.median(z[known]))
    sigma = settings.noise.sigma(middle)
    pixel_m = step * middle / frame.intrinsics.fx
    whole, _ = fill_holes(z, sigma, pixel_m)
    kept = _above(frame, whole, (columns, rows), (sigma, table))
    inside = ((columns >= x0) & (columns <= x1))[None] & ((rows >= y0) & (rows <= y1))[:, None]
    weight = _middle_weight((columns, rows), (x0, y0, x1, y1)) * inside
    kept = _main_thing(kept, median_of(whole, SMOOTH_PX), weight, max(1.5 * sigma, 0.004) + 2 * pixel_m) & inside
    down, across = np.nonzero(kept)
    if not len(down):
        return None
    chosen = np.zeros_like(kept)
    mode = nearest_mode(whole[down, across], weight[down, across], settings.noise)
    chosen[down[mode], across[mode]] = True
    region = np.zeros((frame.height, frame.width), bool)
    large = np.repeat(np.repeat(chosen, step, axis=0), step, axis=1)
    part = region[rows[0] : rows[0] + len(large), columns[0] : columns[0] + large.shape[1]]
    part[:] = large[: part.shape[0], : part.shape[1]]
    return region


def _above(
    frame: Frame, z: Array, place: tuple[Array, Array], scale: tuple[float, Plane | None]
) -> npt.NDArray[np.bool_]:
    """Return which pixels (h, w) stand above the table; all that are known where hardly any does."""
    assert frame.intrinsics is not None
    sigma, table = scale
    known = np.isfinite(z)
    if table is None:
        rows, columns = np.nonzero(known)
        every = max(1, len(rows) // 2000)
        pixels = np.column_stack((place[0][columns], place[1][rows]))[::every]
        table = support_plane(deproject(pixels, z[rows, columns][::every], frame.intrinsics), sigma)
    if table is None:
        return np.asarray(known)
    above = median_of(heights(z, place, table, frame.intrinsics), SMOOTH_PX) > least_height(sigma)
    return np.asarray(above if above.sum() >= max(FEWEST, LEAST_SHARE * known.sum()) else known)


def _middle_weight(place: tuple[Array, Array], box: tuple[int, int, int, int]) -> Array:
    """Return (h, w): what lies at the middle of the box counts most; its background shows at the corners."""
    across, down = (
        2 * (at - first) / max(last - first, 1) - 1 for at, first, last in zip(place, box[:2], box[2:], strict=True)
    )
    return np.asarray(np.exp(-2 * (down[:, None] ** 2 + across[None] ** 2)))


def _main_thing(kept: npt.NDArray[np.bool_], smooth: Array, weight: Array, step_m: float) -> npt.NDArray[np.bool_]:
    """Return the connected part (h, w) of the kept pixels that fits the box best; depth steps part what touches.

    A good box is as long and as wide as its thing: what spans it counts more than what merely lies in it, and what goes
    on beyond it is something else. weight: (h, w), 0 outside the box.
    """
    far = np.where(kept & np.isfinite(smooth), smooth, 1e3)
    edge = np.zeros_like(kept)
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        jump = np.abs(far[after] - far[before]) > step_m
        edge[after] |= jump
        edge[before] |= jump
    count, labels, stats, _ = cv2.connectedComponentsWithStats((kept & ~edge).astype(np.uint8), connectivity=4)
    if count < 2:
        return kept
    flat = labels.ravel().astype(np.intp)
    mass: Array = np.bincount(flat, weight.ravel(), minlength=count)
    within = np.bincount(flat, (weight > 0).ravel(), minlength=count) / np.bincount(flat, minlength=count)
    spans = stats[:, cv2.CC_STAT_WIDTH].astype(np.float64) * stats[:, cv2.CC_STAT_HEIGHT]
    mass = mass * spans * within**3
    mass[0] = 0
    return np.asarray(labels == int(mass.argmax()))


def nearest_mode(z: Array, weights: Array, noise: NoiseModel) -> npt.NDArray[np.bool_]:
    """Return which depths (N,) belong to the nearest mode that holds a fifth of the weight."""
    order = np.argsort(z)
    gap = max(6 * noise.sigma(float(np.median(z))), 0.012)
    group = np.zeros(len(z), int)
    group[order] = np.concatenate(([0], np.cumsum(np.diff(z[order]) > gap)))
    held = np.bincount(group, weights)
    return np.asarray(group == int(np.flatnonzero(held >= MODE_SHARE * held.sum())[0]))
