# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the depth image shows about a pixel: the measured window, its surfaces, how far each of them goes on."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.depth import forget
from affordance_ros.geometry.holes import MOST_PX, STEEP, fill_holes, flying
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.spots import Spot
from affordance_ros.geometry.surface import Plane
from affordance_ros.geometry.table import NO_DEPTH, SMOOTH_PX, heights, least_height, median_of
from affordance_ros.results import Abstention, Frame, Intrinsics

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
WIDEST_M = 0.024  # how far from the pixel a surface is followed
LARGEST_PX = 60
GRID = 40  # pixels of a crop to each side; a larger one is thinned
FIRST_PX = 9
CLEARLY = 0.75  # share of the votes about the pixel for a surface that is not the nearest
UNCLEAR = 0.35  # share of the votes about the pixel for surfaces too small to tell
UNKNOWN = np.float32(np.nan)
WHOLE = 0.9  # share of a crop with depth from which on single holes need no filling
COVERED = 0.6  # measured and filled together, where little is measured


@dataclass(frozen=True)
class Window:
    """A crop of the depth image about a pixel.

    z: (h, w) metres, NaN where nothing was measured, where a pixel flies, where the region ends and on the table below
    a thing. whole: the same with small holes filled. seen: all that was measured. columns, rows: image coordinates of
    the crop. core: the part of the crop that holds all within radius_px; away, inside: of the core, distance to the
    pixel in pixels, and what lies within radius_px. sigma_m: noise of one pixel here. pixel_m: size of a pixel of the
    crop. step: of the crop in pixels of the image. counts: evidence.
    """

    z: Array
    whole: Array
    seen: Array
    columns: Array
    rows: Array
    core: tuple[slice, slice]
    away: Array
    inside: Mask
    radius_px: int
    sigma_m: float
    pixel_m: float
    step: int
    counts: dict[str, float]

    def own(self, span: tuple[float, float]) -> Mask:
        """Return what of the core lies within radius_px and in a span of depth."""
        z = self.z[self.core]
        return np.asarray(self.inside & (z >= span[0]) & (z <= span[1]))


def look(frame: Frame, spot: Spot, settings: LiftSettings, table: Plane | None = None) -> Window | Abstention:
    """Return the window about a spot, or why there is none: OUT_OF_IMAGE or NO_DEPTH.

    Where the spot lies above the table, the table is taken out of the window: a thin tool lies so close to it that
    depth alone would not tell them apart.
    """
    assert frame.depth is not None
    assert frame.intrinsics is not None
    u, v = spot.pixel
    if not (-0.5 <= u <= frame.width - 0.5 and -0.5 <= v <= frame.height - 0.5):
        text = f'the point ({u:.0f}, {v:.0f}) lies outside the {frame.width}x{frame.height} image'
        return abstain(Code.OUT_OF_IMAGE, text, spot)
    near, far = settings.range_m
    first = frame.depth[_span(v, frame.height, FIRST_PX), _span(u, frame.width, FIRST_PX)]
    believed = first[(first >= near) & (first <= far)]
    if not len(believed):
        return _nothing(first, spot, settings)
    window = _measured(frame, spot, float(np.partition(believed, len(believed) // 5)[len(believed) // 5]), settings)
    ratio = window.counts['valid_ratio']
    covered = ratio + window.counts['filled_ratio']
    if ratio < settings.min_valid and not (ratio >= settings.min_valid * 2 / 3 and covered >= COVERED):
        text = f'only {ratio:.0%} of the window at ({u:.0f}, {v:.0f}) has depth; move the camera or add light'
        return abstain(Code.NO_DEPTH, text, spot, **window.counts)
    return window if table is None else _without(window, table, frame.intrinsics)


def _measured(frame: Frame, spot: Spot, middle: float, settings: LiftSettings) -> Window:
    """Return the crop about a spot at about `middle` metres, without flying pixels, small holes filled."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    (u, v), (near, far) = spot.pixel, settings.range_m
    focal = (frame.intrinsics.fx + frame.intrinsics.fy) / 2
    radius = min(max(int(np.ceil(settings.window_m * focal / middle)), 3), LARGEST_PX)
    reach = min(max(int(WIDEST_M * focal / middle), radius + 1), 2 * LARGEST_PX)
    step = max(1, reach // GRID)
    rows, columns = _around(v, frame.height, reach, step), _around(u, frame.width, reach, step)
    crop = slice(rows[0], rows[-1] + 1, step), slice(columns[0], columns[-1] + 1, step)
    z = frame.depth[crop].copy()
    core = _core(rows, v, radius), _core(columns, u, radius)
    away = np.sqrt(((columns[core[1]] - u) ** 2)[None] + ((rows[core[0]] - v) ** 2)[:, None])
    inside = away <= radius
    valid = (z >= near) & (z <= far)
    sigma, pixel_m = settings.noise.sigma(middle), step * middle / focal
    forget(z, ~valid)
    hanging = flying(z, max(6 * sigma, 0.006) + STEEP * pixel_m)
    forget(z, hanging)
    valid &= ~hanging
    seen = z
    if spot.region is not None:
        allowed = spot.region[crop]
        inside &= allowed[core]
        valid &= allowed
        z = np.where(valid, z, UNKNOWN)
    asked, measured = max(1, int(np.count_nonzero(inside))), int(np.count_nonzero(valid[core] & inside))
    counts = {'valid_ratio': measured / asked, 'valid_points': float(measured), 'window_px': float(radius)}
    whole, counts['filled_ratio'] = z, 0.0
    if np.count_nonzero(valid) < WHOLE * valid.size:
        whole, filled = fill_holes(z, sigma, pixel_m, max(2, MOST_PX // step))
        counts['filled_ratio'] = int(np.count_nonzero(filled[core] & inside)) / asked
    return Window(z, whole, seen, columns, rows, core, away, inside, radius, sigma, pixel_m, step, counts)


def _core(at: Array, center: float, radius: int) -> slice:
    """Return which of the coordinates (ascending) lie within a radius of a coordinate."""
    return slice(int(at.searchsorted(center - radius)), int(at.searchsorted(center + radius, 'right')))


def _without(window: Window, table: Plane, intrinsics: Intrinsics) -> Window:
    """Return the window without the pixels of the table, if the spot itself is not on it."""
    height = heights(window.whole, (window.columns, window.rows), table, intrinsics)
    smooth = median_of(height, SMOOTH_PX)
    least = least_height(window.sigma_m)
    near = smooth[window.core]
    around = np.isfinite(near) & (window.away <= max(1.5, 0.15 * window.radius_px) * max(1.0, window.step))
    if not around.any():
        return window
    # The smoothed height runs a pixel or two over an edge: the bottom of a bowl beside its rim is not high.
    own = around & np.isfinite(window.z[window.core]) & (window.away <= 1.5 * window.step)
    raw = middle_of(height[window.core][own]) + window.sigma_m / 2 if own.any() else np.inf
    here = min(middle_of(near[around]), raw)
    if here < 1.5 * least:
        return window
    lower = smooth < max(min(0.5 * here, least), 0.35 * min(here, 0.02))
    z = np.where(lower, UNKNOWN, window.z)
    whole = z if window.whole is window.z else np.where(lower, UNKNOWN, window.whole)
    return replace(window, z=z, whole=whole)


def _around(center: float, size: int, reach: int, step: int) -> npt.NDArray[np.int64]:
    """Return every step-th coordinate within reach of a coordinate, itself among them."""
    middle = min(max(round(center), 0), size - 1)
    low, high = min(reach, middle) // step, min(reach, size - 1 - middle) // step
    return middle + step * np.arange(-low, high + 1)


def _span(center: float, size: int, reach: int) -> slice:
    """Return the coordinates within reach of a coordinate."""
    middle = min(max(round(center), 0), size - 1)
    return slice(max(0, middle - reach), middle + reach + 1)


def _nothing(depth: Array, spot: Spot, settings: LiftSettings) -> Abstention:
    """Say why there is no depth to believe at a spot."""
    u, v = spot.pixel
    near, far = settings.range_m
    seen = depth[np.isfinite(depth) & (depth > 0)]
    text = f'no depth between {near} and {far} m within {FIRST_PX} px of ({u:.0f}, {v:.0f})'
    if len(seen):
        text += f'; the camera says {float(np.median(seen)):.3g} m there: move it, or check the unit of the depth'
    return abstain(Code.NO_DEPTH, text, spot, valid_ratio=0.0)


def surfaces(window: Window, spot: Spot, settings: LiftSettings) -> list[tuple[float, float]]:
    """Split the window at depth gaps; return the span of the surface to take and, in a tie, of its rival.

    The median would be the table beside a thin handle; the nearest significant surface is the handle. Only where the
    pixels right under the spot clearly belong to a farther surface does that one come first.
    """
    measured = window.z[window.core]
    chosen = window.inside & np.isfinite(measured)
    z = measured[chosen]
    if not len(z):
        return []
    ordered = np.sort(z)
    ends = np.flatnonzero(ordered[1:] - ordered[:-1] > max(4 * window.sigma_m, 0.004))
    if not len(ends):
        return [(float(ordered[0]), float(ordered[-1]))]
    away, group = window.away[chosen], np.empty(len(z), int)
    group[np.argsort(z)] = np.searchsorted(ends, np.arange(len(z)), side='left')
    weight = np.bincount(group, np.exp(-2 * (away / window.radius_px) ** 2))
    significant = weight >= settings.min_surface * weight.sum()
    significant &= np.bincount(group) >= min(settings.min_points, len(z))
    if not significant.any():
        return []
    starts, stops = np.concatenate(([0], ends + 1)), np.concatenate((ends, [len(z) - 1]))
    spans = [(float(ordered[first]), float(ordered[last])) for first, last in zip(starts, stops, strict=True)]
    nearest = int(np.flatnonzero(significant)[0])
    # In a hole what is beside it counts: all that is about as near as the nearest pixel with depth.
    reach = max(1.5, spot.spread_px, 0.1 * window.radius_px, float(away.min()))
    votes = np.bincount(group, np.exp(-((away / reach) ** 2)))
    if votes[~significant].sum() >= UNCLEAR * votes.sum():
        return []  # what is under the pixel is too small to tell, and it is not what is beside it
    votes = np.where(significant, votes, 0)
    others = np.where(np.arange(len(votes)) == nearest, 0, votes)
    winner = int(others.argmax())
    if votes[winner] >= CLEARLY * votes.sum() > 0 and winner != nearest:
        return [spans[winner], spans[nearest]]
    if others[winner] >= (1 - CLEARLY) * votes.sum() > 0:
        return [spans[nearest], spans[winner]]
    return [spans[nearest]]


def joined(window: Window, span: tuple[float, float]) -> Mask:
    """Return the measured pixels (h, w) of a surface: those in its span and what joins them without a jump.

    Jumps are looked for after a median of 3x3 or 5x5 pixels, which keeps edges and takes most of the noise.
    """
    smooth = np.fmax(median_of(window.whole, 5 if window.sigma_m > window.pixel_m else 3), NO_DEPTH)
    own = window.own(span)
    row, column = divmod(int(np.where(own, window.away, np.inf).argmin()), own.shape[1])
    row, column = row + window.core[0].start, column + window.core[1].start
    jump = max(1.5 * window.sigma_m, 0.002) + STEEP * window.pixel_m
    mask = np.zeros((smooth.shape[0] + 2, smooth.shape[1] + 2), np.uint8)
    cv2.floodFill(smooth, mask, (column, row), 0, jump, jump, 8 | cv2.FLOODFILL_MASK_ONLY | (1 << 8))
    reached = mask[1:-1, 1:-1].astype(bool) & np.isfinite(window.z)
    reached[window.core] &= ~window.inside | own  # what the split took from the window stays out
    reached[window.core] |= own
    return np.asarray(reached)


def middle_of(values: Array) -> float:
    """Return the (upper) median of some numbers (N,), without what numpy.median spends on a few of them."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


def abstain(code: Code, message: str, spot: Spot, **evidence: float) -> Abstention:
    """Return an abstention about a spot."""
    return Abstention(code, message, spot.label, spot.pixel, evidence)
