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

from affordance_ros.geometry.box_region import object_in_box
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.spots import Region, Spot
from affordance_ros.geometry.surface import Plane
from affordance_ros.results import Frame

Array = npt.NDArray[Any]
SAMPLES = 300
INNER = 0.6  # of the largest distance to the edge: what may stand for a region


@dataclass(frozen=True)
class RegionCloud:
    """The cleaned cloud of a region: points (N, 3), their pixels (N, 2), weights (N,), the region that was kept.

    deep: (N,) distance of each pixel to the edge of the region.
    """

    points: Array
    pixels: Array
    weights: Array
    deep: Array
    region: Region

    @property
    def medoid(self) -> tuple[float, float]:
        """The pixel, well inside the region, whose point has the least weighted distance to all the others.

        At the edge of a handle the surface turns away and noise is worst; its middle line is as good an answer.
        """
        inner = np.flatnonzero(self.deep >= INNER * self.deep.max())
        away = np.linalg.norm(self.points[inner, None] - self.points[None], axis=2)
        best = int(inner[(away @ self.weights).argmin()])
        return float(self.pixels[best, 0]), float(self.pixels[best, 1])


def settled(frame: Frame, spot: Spot, settings: LiftSettings, table: Plane | None = None) -> Spot:
    """Return the spot with its region cleaned and its pixel on the region's surface; unchanged where nothing is seen.

    A box becomes the part of it that stands before its background. Keypoints and ends of paths stay as they are.
    """
    if not spot.is_region:
        return spot
    region = spot.region
    if region is None and spot.box is not None:
        region = object_in_box(frame, spot.box, settings, table)
    if region is None or not region.any():
        return spot
    cloud = region_cloud(frame, replace(spot, region=region), settings.noise, settings.range_m)
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
    inside = np.pad(region[crop], 1).astype(np.uint8)
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1][v, u][main]
    low, high = z[main].min(), z[main].max()
    pad = 2 * noise.sigma(float(high))
    kept = region.copy()
    kept[crop] &= (depth >= low - pad) & (depth <= high + pad) | ~np.isfinite(depth)
    return RegionCloud(points, pixels[main], weights[main], deep, kept)


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
