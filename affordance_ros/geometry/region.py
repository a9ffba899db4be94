# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a region (mask, mode of a heatmap, box) to the pixel that stands for it on a surface.

Masks bleed over edges, so they are eroded first. The pixel is the medoid of the cleaned cloud: a point of the surface,
where the centroid of a ring or of a mug's handle floats in the air.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.spots import Region, Spot
from affordance_ros.geometry.surface import support_plane
from affordance_ros.results import Frame

Array = npt.NDArray[Any]
SAMPLES = 300
BOX_REST = 0.12  # least share of a box above its support plane for the plane to be left out


@dataclass(frozen=True)
class RegionCloud:
    """The cleaned cloud of a region: points (N, 3), their pixels (N, 2), weights (N,), the region that was kept."""

    points: Array
    pixels: Array
    weights: Array
    region: Region

    @property
    def medoid(self) -> tuple[float, float]:
        """The pixel whose point has the least weighted distance to all the others."""
        away = np.linalg.norm(self.points[:, None] - self.points[None], axis=2)
        best = int((away @ self.weights).argmin())
        return float(self.pixels[best, 0]), float(self.pixels[best, 1])


def settled(frame: Frame, spot: Spot, noise: NoiseModel, range_m: tuple[float, float]) -> Spot:
    """Return the spot with its region cleaned and its pixel on the region's surface; unchanged where nothing is seen.

    A box becomes the part of it that stands before its background. Keypoints and ends of paths stay as they are.
    """
    if not spot.is_region:
        return spot
    region = spot.region
    if region is None and spot.box is not None:
        region = _in_box(frame, spot.box, noise, range_m)
    if region is None or not region.any():
        return spot
    cloud = region_cloud(frame, replace(spot, region=region), noise, range_m)
    if cloud is None:
        return replace(spot, region=region)
    spread = spot.spread_px if spot.method == 'heatmap' else float(np.sqrt(len(cloud.pixels)) / 8)
    return replace(spot, region=cloud.region, pixel=cloud.medoid, spread_px=max(0.5, min(spread, 12.0)))


def region_cloud(frame: Frame, spot: Spot, noise: NoiseModel, range_m: tuple[float, float]) -> RegionCloud | None:
    """Return at most SAMPLES points of the main surface of a region, None when it shows fewer than three."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    assert spot.region is not None
    region = eroded(spot.region)
    left, top, width, height = cv2.boundingRect(region.astype(np.uint8))
    crop = np.s_[top : top + height, left : left + width]
    depth = frame.depth[crop]
    v, u = np.nonzero(region[crop] & (depth >= range_m[0]) & (depth <= range_m[1]))
    if len(u) < 3:
        return None
    chosen = np.linspace(0, len(u) - 1, min(SAMPLES, len(u))).astype(int)
    u, v = u[chosen], v[chosen]
    z = depth[v, u].astype(np.float64)
    pixels = np.column_stack((u + left, v + top)).astype(np.float64)
    weights = np.ones(len(u)) if spot.heat is None else np.asarray(spot.heat)[v + top, u + left]
    main = main_mode(z, weights, noise)
    points = deproject(pixels[main], z[main], frame.intrinsics)
    low, high = z[main].min(), z[main].max()
    pad = 2 * noise.sigma(float(high))
    kept = region.copy()
    kept[crop] &= (depth >= low - pad) & (depth <= high + pad) | ~np.isfinite(depth)
    return RegionCloud(points, pixels[main], weights[main], kept)


def main_mode(z: Array, weights: Array, noise: NoiseModel) -> npt.NDArray[np.bool_]:
    """Return which depths (N,) belong to the mode with most weight; modes are split at gaps above 6 sigma."""
    order = np.argsort(z)
    gap = max(6 * noise.sigma(float(np.median(z))), 0.012)
    group = np.zeros(len(z), int)
    group[order] = np.concatenate(([0], np.cumsum(np.diff(z[order]) > gap)))
    return np.asarray(group == int(np.bincount(group, weights).argmax()))


def eroded(region: Region, most_px: int = 2) -> Region:
    """Return the region without its border of up to `most_px` pixels, less where it is too thin for that."""
    whole = int(region.sum())
    if whole < 40:
        return region
    left, top, width, height = cv2.boundingRect(region.astype(np.uint8))
    crop = np.s_[top : top + height, left : left + width]
    padded = np.pad(region[crop], 1).astype(np.uint8)
    for pixels in range(most_px, 0, -1):
        smaller = cv2.erode(padded, np.ones((2 * pixels + 1,) * 2, np.uint8))[1:-1, 1:-1].astype(bool)
        if smaller.sum() >= 0.4 * whole:
            result = np.zeros_like(region)
            result[crop] = smaller
            return result
    return region


def _in_box(
    frame: Frame, box: tuple[float, float, float, float], noise: NoiseModel, range_m: tuple[float, float]
) -> Region | None:
    """Return the pixels of a box that stand before its background: never the whole box."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    x0, y0 = (int(max(0, np.floor(value))) for value in box[:2])
    x1, y1 = (
        int(min(size - 1, np.ceil(value))) for value, size in zip(box[2:], (frame.width, frame.height), strict=True)
    )
    if x1 < x0 or y1 < y0:
        return None
    region = np.zeros((frame.height, frame.width), bool)
    crop = np.s_[y0 : y1 + 1, x0 : x1 + 1]
    depth = frame.depth[crop].astype(np.float64)
    valid = (depth >= range_m[0]) & (depth <= range_m[1])
    if valid.sum() < 3:
        return None
    rows, columns = np.nonzero(valid)
    step = max(1, len(rows) // 4000)
    pixels = np.column_stack((columns + x0, rows + y0))[::step]
    cloud = deproject(pixels, depth[rows, columns][::step], frame.intrinsics)
    plane = support_plane(cloud, noise.sigma(float(np.median(cloud[:, 2]))))
    keep = np.ones(len(cloud), bool)
    if plane is not None:
        above = cloud @ plane.normal - plane.offset
        band = max(3 * plane.residual_m, 0.004)
        if (above > band).mean() >= BOX_REST:
            keep = above > band
    # What lies at the middle of the box counts most; the background shows at its corners.
    middle, half = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), np.array([x1 - x0 + 1, y1 - y0 + 1]) / 2
    weight = np.exp(-2 * (((pixels - middle) / half) ** 2).sum(axis=1))
    z = np.where(keep, cloud[:, 2], np.inf)
    chosen = np.zeros(len(cloud), bool)
    chosen[keep] = _nearest_mode(z[keep], weight[keep], noise)
    full = np.zeros(depth.shape, bool)
    full[rows[::step][chosen], columns[::step][chosen]] = True
    if step > 1:
        reach = int(np.ceil(np.sqrt(step)))
        full = cv2.dilate(full.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)).astype(bool) & valid
    region[crop] = full
    return region


def _nearest_mode(z: Array, weights: Array, noise: NoiseModel) -> npt.NDArray[np.bool_]:
    """Return which depths belong to the nearest mode that holds a fifth of the weight."""
    order = np.argsort(z)
    gap = max(6 * noise.sigma(float(np.median(z))), 0.012)
    group = np.zeros(len(z), int)
    group[order] = np.concatenate(([0], np.cumsum(np.diff(z[order]) > gap)))
    held = np.bincount(group, weights)
    return np.asarray(group == int(np.flatnonzero(held >= 0.2 * held.sum())[0]))
