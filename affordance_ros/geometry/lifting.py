# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to contacts on the visible surface, or to an abstention that says why not."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import deproject, rays
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.region import settled
from affordance_ros.geometry.spots import Region, Spot, spots_of
from affordance_ros.geometry.surface import main_axis
from affordance_ros.geometry.surface_fit import SurfaceFit, fit_surface
from affordance_ros.results import Abstention, Contact, Frame, Prediction

Array = npt.NDArray[Any]
LARGEST_PX = 60
NORMAL_SIGMA = 0.05  # radians; a wider window is taken until the normal is expected to be this good
WIDEST_M = 0.024
__all__ = ['LiftSettings', 'Lifted', 'Spot', 'lift', 'lift_places', 'lift_spot', 'spots_of']


@dataclass(frozen=True)
class LiftSettings:
    """How a pixel becomes a point. Lengths in metres.

    window_m: radius about the pixel that is looked at. min_valid: least share of that window with depth.
    min_surface: least share of the valid depth for a surface to count. min_points: least pixels of the chosen surface.
    range_m: nearest and farthest depth that is believed. pose_sigma_m: error of the camera pose, one axis.
    ties: what to do when a nearer surface beside the pixel counts as much as the one under it: 'both' gives two
    contacts, 'abstain' refuses, 'first' takes the one under the pixel.
    """

    window_m: float = 0.008
    min_valid: float = 0.3
    min_surface: float = 0.2
    min_points: int = 12
    range_m: tuple[float, float] = (0.15, 3.0)
    pose_sigma_m: float = 0.002
    noise: NoiseModel = field(default_factory=NoiseModel)
    ties: str = 'both'


@dataclass(frozen=True)
class Lifted:
    """What became of one place: a contact or an abstention, and the region that the answer gave for it, if any."""

    item: Contact | Abstention
    region: Region | None = None


@dataclass(frozen=True)
class _Window:
    """The measured pixels about a spot: pixels (N, 2), depth (N,), distance to the spot (N,) px, radius, counts."""

    pixels: Array
    z: Array
    away: Array
    radius_px: int
    counts: dict[str, float]


def lift(frame: Frame, prediction: Prediction, settings: LiftSettings) -> list[Contact | Abstention]:
    """Return contacts and abstentions for every place that the prediction names, best first."""
    return [lifted.item for lifted in lift_places(frame, prediction, settings)]


def lift_places(frame: Frame, prediction: Prediction, settings: LiftSettings) -> list[Lifted]:
    """Return what became of every place that the prediction names, with its region. A tie gives two for one place."""
    if prediction.in_words:
        return []
    if frame.depth is None:
        text = 'the frame has no depth image; publish one on depth/image, registered to the colour image'
        return [Lifted(Abstention(Code.NO_DEPTH, text))]
    if frame.intrinsics is None:
        text = 'the frame has no intrinsics; publish camera_info beside the image'
        return [Lifted(Abstention(Code.BAD_INPUT, text))]
    found = []
    for spot in spots_of(prediction):
        place = settled(frame, spot, settings.noise, settings.range_m)
        found += [Lifted(item, place.region) for item in lift_spots(frame, place, settings)]
    if found:
        return found
    if prediction.hands:
        text = 'nobody judged which hand acts, so no end of a path counts'
        return [Lifted(Abstention(Code.EMPTY_MODEL_OUTPUT, f"{text}; ask for one: task 'right_hand' or 'left_hand'"))]
    return [Lifted(Abstention(*prediction.why_empty))]


def lift_spot(frame: Frame, spot: Spot, settings: LiftSettings) -> Contact | Abstention:
    """Lift one place to the surface under its pixel."""
    return lift_spots(frame, spot, settings)[0]


def lift_spots(frame: Frame, spot: Spot, settings: LiftSettings) -> list[Contact | Abstention]:
    """Lift one place: metric window, surface under the pixel or the nearest significant one, fit, axis, covariance.

    Returns two contacts where a nearer surface beside the pixel competes with the one under it (see `ties`).
    """
    window = _window(frame, spot, settings)
    if isinstance(window, Abstention):
        return [window]
    groups = _surfaces(window, settings)
    counts = window.counts | {'surfaces': float(len(groups))}
    if not groups:
        text = 'the depth at the point is scattered over many surfaces; none is clear enough'
        if len(window.z) >= settings.min_points:
            return [_abstain(Code.MULTI_SURFACE, text, spot, **counts)]
        return [_too_few(spot, len(window.z), counts)]
    if len(groups) > 1 and spot.region is None:
        if settings.ties == 'abstain':
            text = 'two surfaces compete at the point; point at the middle of the part or move closer'
            return [_abstain(Code.MULTI_SURFACE, text, spot, **counts)]
        counts['tie'] = 1.0
    chosen = groups[: 2 if settings.ties == 'both' and spot.region is None else 1]
    return [_lift_group(frame, spot, (window, group), settings, counts) for group in chosen]


def _lift_group(
    frame: Frame,
    spot: Spot,
    surface: tuple[_Window, npt.NDArray[np.bool_]],
    settings: LiftSettings,
    counts: dict[str, float],
) -> Contact | Abstention:
    window, group = surface
    number = int(group.sum())
    told = counts | {'surface_points': float(number), 'inlier_ratio': number / len(window.z)}
    if number < settings.min_points:
        return _too_few(spot, number, told)
    return _contact(frame, spot, (window.pixels[group], window.z[group]), settings, told)


def _too_few(spot: Spot, number: int, counts: dict[str, float]) -> Abstention:
    text = f'the surface at the point shows only {number} depth pixels; move closer'
    return _abstain(Code.TOO_FEW_POINTS, text, spot, **counts)


def _window(frame: Frame, spot: Spot, settings: LiftSettings) -> _Window | Abstention:
    """Return the measured pixels within window_m of a spot, or why there are none."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    u, v = spot.pixel
    if not (-0.5 <= u <= frame.width - 0.5 and -0.5 <= v <= frame.height - 0.5):
        text = f'the point ({u:.0f}, {v:.0f}) lies outside the {frame.width}x{frame.height} image'
        return _abstain(Code.OUT_OF_IMAGE, text, spot)
    near, far = settings.range_m
    z, _, _ = _crop(frame.depth, spot.pixel, 9)
    around = z[(z >= near) & (z <= far)]
    if not len(around):
        text = f'no depth between {near} and {far} m within 9 px of ({u:.0f}, {v:.0f})'
        return _abstain(Code.NO_DEPTH, text, spot, valid_ratio=0.0)
    focal = (frame.intrinsics.fx + frame.intrinsics.fy) / 2
    radius = int(np.clip(np.ceil(settings.window_m * focal / np.quantile(around, 0.2)), 3, LARGEST_PX))
    z, columns, rows = _crop(frame.depth, spot.pixel, radius)
    away = np.hypot(columns[None] - u, rows[:, None] - v)
    inside = away <= radius
    if spot.region is not None:
        inside &= spot.region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    valid = inside & (z >= near) & (z <= far)
    ratio = float(valid.sum() / max(1, inside.sum()))
    counts = {'valid_ratio': ratio, 'valid_points': float(valid.sum()), 'window_px': float(radius)}
    if ratio < settings.min_valid:
        text = f'only {ratio:.0%} of the window at ({u:.0f}, {v:.0f}) has depth; move the camera or add light'
        return _abstain(Code.NO_DEPTH, text, spot, **counts)
    down, across = np.nonzero(valid)
    pixels = np.column_stack((columns[across], rows[down])).astype(np.float64)
    return _Window(pixels, z[valid].astype(np.float64), away[valid], radius, counts)


def _crop(depth: npt.NDArray[np.float32], pixel: tuple[float, float], reach: int) -> tuple[Array, Array, Array]:
    """Return the depth within `reach` of a pixel and its columns and rows."""
    height, width = depth.shape
    u, v = min(max(round(pixel[0]), 0), width - 1), min(max(round(pixel[1]), 0), height - 1)
    left, right, top, bottom = (
        max(0, u - reach),
        min(width, u + reach + 1),
        max(0, v - reach),
        min(height, v + reach + 1),
    )
    return depth[top:bottom, left:right], np.arange(left, right), np.arange(top, bottom)


def _surfaces(window: _Window, settings: LiftSettings) -> list[npt.NDArray[np.bool_]]:
    """Split the window at depth gaps above 4 sigma; return the surface to take and, in a tie, its nearer rival.

    The median would be the table beside a thin handle; the nearest significant surface is the handle. Only where the
    pixels right under the spot clearly belong to a farther surface does that one come first.
    """
    z, reach = window.z, window.away / max(1, window.radius_px)
    order = np.argsort(z)
    gap = max(4 * settings.noise.sigma(float(np.median(z))), 0.004)
    group = np.zeros(len(z), int)
    group[order] = np.concatenate(([0], np.cumsum(np.diff(z[order]) > gap)))
    weight = np.bincount(group, np.exp(-2 * reach**2))
    significant = weight >= settings.min_surface * weight.sum()
    significant &= np.bincount(group) >= min(settings.min_points, len(z))
    if not significant.any():
        return []
    nearest = int(np.flatnonzero(significant)[0])
    under = group[window.away <= max(1.5, 0.25 * window.radius_px)]
    votes = np.bincount(under, minlength=len(weight)) if len(under) >= 4 else np.zeros(len(weight))
    winner = int(votes.argmax())
    if significant[winner] and winner != nearest and votes[winner] >= 0.75 * votes.sum() > 0:
        return [group == winner, group == nearest]
    return [group == nearest]


def _contact(
    frame: Frame, spot: Spot, surface: tuple[Array, Array], settings: LiftSettings, counts: dict[str, float]
) -> Contact:
    """Build the contact from the chosen surface: pixels (N, 2) and depth (N,)."""
    assert frame.intrinsics is not None
    pixels, z = surface
    nearest = int(np.linalg.norm(pixels - spot.pixel, axis=1).argmin())
    offset = pixels[nearest] - spot.pixel
    pixel = spot.pixel if np.abs(offset).max() <= 1.0 else (float(pixels[nearest][0]), float(pixels[nearest][1]))
    fit, wide = _fitted(frame, spot, surface, pixel, settings)
    depth = float(np.clip(fit.depth_m, z.min(), z.max()))
    noise = settings.noise.sigma(depth)
    point = deproject([pixel], [depth], frame.intrinsics)[0]
    axis, anisotropy = main_axis(wide, fit.normal)
    return Contact(
        point=point,
        normal=fit.normal,
        axis=axis,
        anisotropy=anisotropy,
        radius_m=settings.window_m,
        covariance=_covariance(point, fit, noise, spot.spread_px * depth / frame.intrinsics.fx, settings),
        pixel=pixel,
        score=spot.score,
        valid_ratio=counts['valid_ratio'],
        inlier_ratio=counts['inlier_ratio'],
        sigma_m=max(noise, fit.residual_m),
        method=spot.method,
        label=spot.label,
        evidence=counts
        | {
            'residual_m': fit.residual_m,
            'roughness': fit.residual_m / max(noise, 1e-6),
            'normal_sigma': fit.normal_sigma,
            'curved': float(fit.curved),
            'moved_px': float(np.linalg.norm(offset)),
        },
    )


def _fitted(
    frame: Frame, spot: Spot, surface: tuple[Array, Array], pixel: tuple[float, float], settings: LiftSettings
) -> tuple[SurfaceFit, Array]:
    """Return the fit at a pixel and the points (N, 3) of the surface within WIDEST_M.

    The depth comes from the window; where noise leaves the normal uncertain it is taken from a wider one.
    """
    assert frame.depth is not None
    assert frame.intrinsics is not None
    k = frame.intrinsics
    pixels, z = surface
    sigma = settings.noise.sigma(float(np.median(z)))
    at = rays([pixel], k)[0, :2]
    scale = settings.window_m / float(np.median(z)) / 2
    fit = fit_surface(rays(pixels, k)[:, :2], at, z, max(scale, 1.5 / k.fx), sigma)
    around, where = _grown(frame, spot, pixel, (float(z.min()), float(z.max())), settings)
    if len(around) < len(z):
        return fit, deproject(pixels, z, k)
    flat = rays(where, k)[:, :2]
    points = np.column_stack((flat, np.ones(len(flat)))) * around[:, None]
    if fit.normal_sigma > NORMAL_SIGMA:
        wider = fit_surface(flat, at, around, 2 * max(scale, 1.5 / k.fx), sigma)
        if wider.normal_sigma < fit.normal_sigma:
            fit = SurfaceFit(
                fit.depth_m,
                wider.normal,
                fit.depth_sigma_m,
                wider.normal_sigma,
                fit.residual_m,
                fit.inliers,
                wider.curved,
            )
    return fit, points


def _grown(
    frame: Frame, spot: Spot, pixel: tuple[float, float], span: tuple[float, float], settings: LiftSettings
) -> tuple[Array, Array]:
    """Return depth (N,) and pixels (N, 2) of the surface within WIDEST_M: joined to the pixel without a jump."""
    assert frame.depth is not None
    assert frame.intrinsics is not None
    middle = (span[0] + span[1]) / 2
    reach = int(np.clip(WIDEST_M * frame.intrinsics.fx / middle, 4, 2 * LARGEST_PX))
    z, columns, rows = _crop(frame.depth, pixel, reach)
    usable = (z >= settings.range_m[0]) & (z <= settings.range_m[1])
    if spot.region is not None:
        usable &= spot.region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    filled = np.where(usable, z, np.float32(-1000)).astype(np.float32)
    start = (int(round(pixel[0])) - int(columns[0]), int(round(pixel[1])) - int(rows[0]))
    seed = _seed_of(filled, start, span)
    if seed is None:
        return np.zeros(0), np.zeros((0, 2))
    jump = max(4 * settings.noise.sigma(middle), 0.003) + 3 * middle / frame.intrinsics.fx
    mask = np.zeros((filled.shape[0] + 2, filled.shape[1] + 2), np.uint8)
    cv2.floodFill(filled.copy(), mask, seed, 0, jump, jump, 8 | cv2.FLOODFILL_MASK_ONLY | (1 << 8))
    down, across = np.nonzero(mask[1:-1, 1:-1])
    step = max(1, len(down) // 500)
    down, across = down[::step], across[::step]
    return z[down, across].astype(np.float64), np.column_stack((columns[across], rows[down])).astype(np.float64)


def _seed_of(depth: Array, start: tuple[int, int], span: tuple[float, float]) -> tuple[int, int] | None:
    """Return (column, row) of the pixel nearest to the start whose depth is of the surface."""
    rows, columns = np.nonzero((depth >= span[0]) & (depth <= span[1]))
    if not len(rows):
        return None
    nearest = int(((columns - start[0]) ** 2 + (rows - start[1]) ** 2).argmin())
    return int(columns[nearest]), int(rows[nearest])


def _covariance(point: Array, fit: SurfaceFit, noise: float, spread_m: float, settings: LiftSettings) -> Array:
    """Return (3, 3) m^2: depth noise along the ray, the answer's own spread along the surface, the camera's pose."""
    ray = point / np.linalg.norm(point)
    along = max(fit.depth_sigma_m, noise / 5) ** 2
    tangent = np.eye(3) - np.outer(fit.normal, fit.normal)
    return np.asarray(along * np.outer(ray, ray) + spread_m**2 * tangent + settings.pose_sigma_m**2 * np.eye(3))


def _abstain(code: Code, message: str, spot: Spot, **evidence: float) -> Abstention:
    return Abstention(code, message, spot.label, spot.pixel, evidence)
