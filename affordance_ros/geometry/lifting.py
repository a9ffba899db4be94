# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to contacts on the visible surface, or to an abstention that says why not."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import deproject
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.surface import crop, main_axis, normal_of
from affordance_ros.results import NAN, Abstention, Contact, Frame, Prediction

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LiftSettings:
    """How a pixel becomes a point. Lengths in metres.

    window_m: radius about the pixel that is looked at. min_valid: least share of that window with depth.
    min_surface: least share of the valid depth for a surface to count. min_points: least pixels of the chosen surface.
    range_m: nearest and farthest depth that is believed. pose_sigma_m: error of the camera pose, one axis.
    """

    window_m: float = 0.008
    min_valid: float = 0.3
    min_surface: float = 0.2
    min_points: int = 12
    range_m: tuple[float, float] = (0.15, 3.0)
    pose_sigma_m: float = 0.002
    noise: NoiseModel = field(default_factory=NoiseModel)


@dataclass(frozen=True)
class Spot:
    """One place to lift: pixel (u, v), the model's score, the label, and how the answer named it."""

    pixel: tuple[float, float]
    score: float = NAN
    label: str = ''
    method: str = 'keypoint'
    region: npt.NDArray[np.bool_] | None = None


def lift(frame: Frame, prediction: Prediction, settings: LiftSettings) -> list[Contact | Abstention]:
    """Return one contact or abstention per place that the prediction names, best first."""
    if frame.depth is None:
        return [
            Abstention(
                Code.NO_DEPTH,
                'the frame has no depth image; publish one on depth/image, registered to the colour image',
            )
        ]
    if frame.intrinsics is None:
        return [Abstention(Code.BAD_INPUT, 'the frame has no intrinsics; publish camera_info beside the image')]
    spots = spots_of(prediction)
    if not spots:
        return [Abstention(*prediction.why_empty)]
    return [lift_spot(frame, spot, settings) for spot in spots]


def spots_of(prediction: Prediction) -> list[Spot]:
    """Return the places a prediction names: keypoints, else masks, heatmap, boxes, or the ends of traces.

    A keypoint with a mask of its own (the one at the same index, see `models.refine`) is lifted within that mask.
    """
    if prediction.keypoints is not None and len(prediction.keypoints):
        k = prediction.keypoints
        return [
            Spot((float(p[0]), float(p[1])), float(s), name, region=_own_mask(prediction, index))
            for index, (p, s, name) in enumerate(zip(k.points, np.asarray(k.scores), k.labels, strict=True))
        ]
    if prediction.masks is not None and len(prediction.masks):
        m = prediction.masks
        return [
            _region_spot(mask, 'mask', float(s), name)
            for mask, s, name in zip(m.masks, np.asarray(m.scores), m.labels, strict=True)
            if mask.any()
        ]
    if prediction.heatmap is not None and prediction.heatmap.values.max() > 0:
        values = prediction.heatmap.values
        return [_region_spot(values >= 0.5 * values.max(), 'heatmap', float(values.max()), '')]
    if prediction.boxes is not None and len(prediction.boxes):
        b = prediction.boxes
        middles = (np.asarray(b.boxes)[:, :2] + np.asarray(b.boxes)[:, 2:]) / 2
        return [
            Spot((float(p[0]), float(p[1])), float(s), name, 'box')
            for p, s, name in zip(middles, np.asarray(b.scores), b.labels, strict=True)
        ]
    return [
        Spot((float(trace.points[index][0]), float(trace.points[index][1])), label=trace.label or name, method='trace')
        for trace in prediction.traces or ()
        if len(trace.points)
        for index, name in ((0, 'start'), (-1, 'end'))
    ]


def _own_mask(prediction: Prediction, index: int) -> npt.NDArray[np.bool_] | None:
    """Return the mask of a keypoint, or None when there is none or it leaves the keypoint out."""
    masks, points = prediction.masks, prediction.keypoints
    if masks is None or points is None or len(masks) < len(points):
        return None
    u, v = (round(float(value)) for value in points.points[index])
    mask = masks.masks[index]
    inside = 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and bool(mask[v, u])
    return mask if inside else None


def _region_spot(mask: npt.NDArray[np.bool_], method: str, score: float, label: str) -> Spot:
    """Return the pixel of a region nearest to its centroid: on the region even when the centroid is not."""
    v, u = np.nonzero(mask)
    nearest = int(((u - u.mean()) ** 2 + (v - v.mean()) ** 2).argmin())
    return Spot((float(u[nearest]), float(v[nearest])), score, label, method, mask)


def lift_spot(frame: Frame, spot: Spot, settings: LiftSettings) -> Contact | Abstention:
    """Lift one place: metric window, nearest significant surface, robust depth, normal, axis and covariance."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    u, v = spot.pixel
    if not (-0.5 <= u <= frame.width - 0.5 and -0.5 <= v <= frame.height - 0.5):
        return _abstain(
            Code.OUT_OF_IMAGE, f'the point ({u:.0f}, {v:.0f}) lies outside the {frame.width}x{frame.height} image', spot
        )
    near, far = settings.range_m
    around = _depths(frame.depth, spot.pixel, 9, settings.range_m)
    if not len(around):
        return _abstain(
            Code.NO_DEPTH,
            f'no depth between {near} and {far} m within 9 px of ({u:.0f}, {v:.0f})',
            spot,
            valid_ratio=0.0,
        )
    focal = (frame.intrinsics.fx + frame.intrinsics.fy) / 2
    radius_px = int(np.clip(np.ceil(settings.window_m * focal / np.quantile(around, 0.2)), 3, 60))
    return _lift_window(frame, spot, radius_px, settings)


def _depths(
    depth: npt.NDArray[np.float32], pixel: tuple[float, float], reach: int, bounds: tuple[float, float]
) -> Array:
    u, v = round(pixel[0]), round(pixel[1])
    window = depth[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1].astype(np.float64)
    return np.asarray(window[(window >= bounds[0]) & (window <= bounds[1])])


def _lift_window(frame: Frame, spot: Spot, radius_px: int, settings: LiftSettings) -> Contact | Abstention:
    assert frame.depth is not None
    assert frame.intrinsics is not None
    patch = crop(frame.depth, frame.intrinsics, spot.pixel, radius_px)
    rows, columns = np.mgrid[: patch.points.shape[0], : patch.points.shape[1]]
    pixels = np.stack((columns + patch.origin[0], rows + patch.origin[1]), axis=-1).astype(np.float64)
    away = np.linalg.norm(pixels - spot.pixel, axis=-1)
    inside = away <= max(radius_px, 1)
    if spot.region is not None:
        inside &= spot.region[pixels[..., 1].astype(int), pixels[..., 0].astype(int)]
    z = patch.points[..., 2]
    valid = inside & (z >= settings.range_m[0]) & (z <= settings.range_m[1])
    ratio = float(valid.sum() / max(1, inside.sum()))
    counts = {'valid_ratio': ratio, 'valid_points': float(valid.sum()), 'window_px': float(radius_px)}
    if ratio < settings.min_valid:
        where = f'({spot.pixel[0]:.0f}, {spot.pixel[1]:.0f})'
        sentence = f'only {ratio:.0%} of the window at {where} has depth; move the camera or add light'
        return _abstain(Code.NO_DEPTH, sentence, spot, **counts)
    points, pixel_list, distance = patch.points[valid], pixels[valid], away[valid]
    chosen, surfaces = _nearest_surface(points[:, 2], distance / max(1, radius_px), settings)
    counts |= {'surfaces': float(surfaces), 'surface_points': float(chosen.sum())}
    if chosen.sum() < settings.min_points:
        if surfaces == 0 and valid.sum() >= settings.min_points:
            return _abstain(
                Code.MULTI_SURFACE,
                'the depth at the point is scattered over many surfaces; none is clear enough',
                spot,
                **counts,
            )
        return _abstain(
            Code.TOO_FEW_POINTS,
            f'the surface at the point shows only {int(chosen.sum())} depth pixels; move closer',
            spot,
            **counts,
        )
    inliers = float(chosen.sum() / valid.sum())
    return _contact(frame, spot, (points[chosen], pixel_list[chosen]), settings, counts | {'inlier_ratio': inliers})


def _nearest_surface(z: Array, reach: Array, settings: LiftSettings) -> tuple[npt.NDArray[np.bool_], int]:
    """Split depths (N,) at gaps above 4 sigma; return the mask of the nearest one with enough weight, and how many.

    The median would be the table beside a thin handle; the nearest significant surface is the handle.
    """
    order = np.argsort(z)
    gap = max(4 * settings.noise.sigma(float(np.median(z))), 0.004)
    group = np.zeros(len(z), int)
    group[order] = np.concatenate(([0], np.cumsum(np.diff(z[order]) > gap)))
    weight = np.bincount(group, np.exp(-2 * reach**2))
    size = np.bincount(group)
    significant = (weight >= settings.min_surface * weight.sum()) & (size >= min(settings.min_points, len(z)))
    if not significant.any():
        return np.zeros(len(z), bool), 0
    return group == int(np.flatnonzero(significant)[0]), int(significant.sum())


def _contact(
    frame: Frame, spot: Spot, surface: tuple[Array, Array], settings: LiftSettings, counts: dict[str, float]
) -> Contact:
    """Build the contact from the chosen surface: points (N, 3) and pixels (N, 2)."""
    assert frame.intrinsics is not None
    points, pixels = surface
    nearest = int(np.linalg.norm(pixels - spot.pixel, axis=1).argmin())
    offset = pixels[nearest] - spot.pixel
    pixel = spot.pixel if np.abs(offset).max() <= 1.0 else (float(pixels[nearest][0]), float(pixels[nearest][1]))
    depth, spread = _depth_at(pixels, points[:, 2], np.asarray(pixel))
    sigma = max(settings.noise.sigma(depth), spread)
    point = deproject([pixel], [depth], frame.intrinsics)[0]
    normal, variation, residual = normal_of(points, point, settings.noise.sigma(depth))
    axis, anisotropy = main_axis(points, normal)
    ray = point / np.linalg.norm(point)
    along = sigma**2 / max(1.0, min(len(points), 25))
    covariance = along * np.outer(ray, ray) + (
        settings.pose_sigma_m**2 + (0.5 * depth / frame.intrinsics.fx) ** 2
    ) * np.eye(3)
    return Contact(
        point=point,
        normal=normal,
        axis=axis,
        anisotropy=anisotropy,
        radius_m=settings.window_m,
        covariance=covariance,
        pixel=pixel,
        score=spot.score,
        valid_ratio=counts['valid_ratio'],
        inlier_ratio=counts['inlier_ratio'],
        sigma_m=sigma,
        method=spot.method,
        label=spot.label,
        evidence=counts
        | {'surface_variation': variation, 'residual_m': residual, 'moved_px': float(np.linalg.norm(offset))},
    )


def _depth_at(pixels: Array, z: Array, pixel: Array) -> tuple[float, float]:
    """Return depth and robust spread at a pixel: a weighted plane in 1/z (exact for planes), trimmed once."""
    offsets = pixels - pixel
    scale = max(1.5, float(np.linalg.norm(offsets, axis=1).max()) / 2)
    weight = np.exp(-0.5 * (offsets**2).sum(axis=1) / scale**2)
    design = np.column_stack((np.ones(len(z)), offsets))
    spread = 0.0
    inverse = 1 / float(np.median(z))
    for _ in range(2):
        solution: Any = np.linalg.lstsq(design * weight[:, None], weight / z, rcond=None)[0]
        inverse = float(solution[0])
        residual = 1 / z - design @ solution
        spread = 1.4826 * float(np.median(np.abs(residual))) / max(inverse, 1e-6) ** 2
        weight = weight * (np.abs(residual) <= 3 * spread * max(inverse, 1e-6) ** 2 + 1e-9)
        if (weight > 0).sum() < 6:
            break
    depth = float(np.clip(1 / max(inverse, 1e-6), z.min(), z.max()))
    return depth, spread


def _abstain(code: Code, message: str, spot: Spot, **evidence: float) -> Abstention:
    return Abstention(code, message, spot.label, spot.pixel, evidence)
