# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a stereo depth camera does to depth: noise growing with z squared, holes, flying pixels, millimetre steps."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from affordance_ros.results import Frame


@dataclass(frozen=True)
class SensorModel:
    """A stereo camera in the manner of a RealSense D435.

    baseline_m and subpixel (RMS disparity error in pixels) give sigma = z^2 * subpixel / (f * baseline).
    edge_holes, dark_holes, grazing_holes: probabilities in [0, 1] of no depth on such pixels.
    flying: share of edge pixels that mix both surfaces. quantise: round to whole millimetres, as 16UC1 does.
    """

    baseline_m: float = 0.05
    subpixel: float = 0.08
    edge_holes: float = 0.35
    dark_holes: float = 0.10
    grazing_holes: float = 0.5
    flying: float = 0.15
    quantise: bool = True

    def apply(self, frame: Frame, rng: np.random.Generator) -> Frame:
        """Return the frame with measured depth: float32 metres, NaN where the camera sees nothing."""
        if frame.depth is None or frame.intrinsics is None:
            raise ValueError('the sensor model needs depth and intrinsics')
        clean = frame.depth
        edge, behind = _edges(clean)
        depth = clean + self.sigma(clean, frame.intrinsics.fx) * rng.standard_normal(clean.shape, np.float32)
        mixed = edge & (rng.random(clean.shape, np.float32) < self.flying)
        share = rng.random(clean.shape, np.float32)
        depth = np.where(mixed, clean + share * (behind - clean), depth)
        lost = edge & (rng.random(clean.shape, np.float32) < self.edge_holes)
        dark = frame.rgb.max(axis=2) < 30
        lost |= dark & (rng.random(clean.shape, np.float32) < self.dark_holes)
        lost |= _grazing(clean, frame.intrinsics.fx) & (rng.random(clean.shape, np.float32) < self.grazing_holes)
        if self.quantise:
            depth = np.rint(depth * 1000) / 1000
        return replace(frame, depth=np.where(lost, np.nan, depth).astype(np.float32))

    def sigma(self, depth: npt.NDArray[np.float32], focal_px: float) -> npt.NDArray[np.float32]:
        """Return the standard deviation in metres at depth (any shape)."""
        return np.asarray(depth**2 * (self.subpixel / (focal_px * self.baseline_m)), np.float32)


def _edges(depth: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Return pixels next to a jump of more than 2 % + 4 mm, and the farther depth among their four neighbours."""
    filled = np.where(np.isfinite(depth), depth, np.float32(10))
    padded = np.pad(filled, 1, mode='edge')
    around = np.maximum.reduce([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    nearest = np.minimum.reduce([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    return (np.maximum(around, filled) - np.minimum(nearest, filled)) > 0.02 * filled + 0.004, around


def _grazing(depth: npt.NDArray[np.float32], focal_px: float) -> npt.NDArray[np.bool_]:
    """Return pixels whose surface is seen at more than about 80 degrees from its normal."""
    slope_v, slope_u = np.gradient(np.where(np.isfinite(depth), depth, np.float32(10)))
    steep: npt.NDArray[np.bool_] = np.hypot(slope_u, slope_v) > 5.5 * depth / focal_px
    return steep
