# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contacts from surfaces of windows: point, normal, direction of the part, covariance, evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import rays
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.samples import Measured
from affordance_ros.geometry.spots import Spot
from affordance_ros.geometry.surface import main_axes
from affordance_ros.geometry.surface_fit import SurfaceFit, fit_surfaces
from affordance_ros.geometry.thin import Strip, strip_of
from affordance_ros.geometry.window import Window, abstain, joined
from affordance_ros.results import Abstention, Contact, Intrinsics

Array = npt.NDArray[Any]
Placed = tuple[Array, Array, float, Array]  # point, axis, anisotropy, covariance
MOST = 400  # samples that a surface is fitted to
ENOUGH_PX = 24  # pixels across a crop of which what is beside a strip is judged; more are thinned
AROUND = 8  # directions in which a hole's surroundings are looked at


@dataclass(frozen=True)
class Seen:
    """A surface of a window that counts as that of a spot: the pixel it is lifted at, and evidence so far.

    span: of its depth. filled: the pixel itself has no depth.
    """

    window: Window
    spot: Spot
    span: tuple[float, float]
    pixel: tuple[float, float]
    filled: bool
    counts: dict[str, float]


def seen_on(
    window: Window, spot: Spot, span: tuple[float, float], settings: LiftSettings, surfaces: int
) -> Seen | Abstention:
    """Return the surface of the window that spans `span` in depth, or TOO_FEW_POINTS."""
    inside = window.own(span)
    number = int(np.count_nonzero(inside))
    measured = window.counts['valid_points']
    counts = window.counts | {
        'surfaces': float(surfaces),
        'surface_points': float(number),
        'inlier_ratio': number / max(measured, 1.0),
    }
    if number < settings.min_points:
        return too_few(spot, number, counts)
    return Seen(window, spot, span, *_pixel(window, spot, inside), counts)


def contacts_on(surfaces: Sequence[Seen], intrinsics: Intrinsics, settings: LiftSettings) -> list[Contact]:
    """Return the contact on every surface; they are fitted together."""
    if not surfaces:
        return []
    measured = _measured(surfaces, intrinsics, settings)
    fits = fit_surfaces(measured)
    depth = np.clip([fit.depth_m for fit in fits], *np.array([seen.span for seen in surfaces]).T)
    points = np.column_stack([[surface.at for surface in measured], np.ones(len(fits))]) * depth[:, None]
    normals = np.array([fit.normal for fit in fits])
    axes, anisotropy = main_axes(np.array([_scatter(surface) for surface in measured]), normals)
    noise = np.array([settings.noise.sigma(at) for at in depth.tolist()])
    along = np.maximum([fit.depth_sigma_m for fit in fits], noise / 5)
    spread = np.array([seen.spot.spread_px for seen in surfaces]) * depth / intrinsics.fx
    covariance = _covariances(points, normals, (along, spread), settings.pose_sigma_m)
    geometry = zip(points, axes, anisotropy.tolist(), covariance, strict=True)
    return [_contact(*one, settings) for one in zip(surfaces, fits, geometry, strict=True)]


def _contact(seen: Seen, fit: SurfaceFit, where: Placed, settings: LiftSettings) -> Contact:
    """Return the contact with its evidence."""
    spot, pixel, counts = seen.spot, seen.pixel, seen.counts
    point, axis, anisotropy, covariance = where
    noise = settings.noise.sigma(float(point[2]))
    return Contact(
        point=point,
        normal=fit.normal,
        axis=axis,
        anisotropy=anisotropy,
        radius_m=settings.window_m,
        covariance=covariance,
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
            'fit_radius_m': fit.radius * settings.window_m,
            'curved': float(fit.curved),
            'edge': float(fit.half),
            'filled': float(seen.filled),
            'moved_px': math.hypot(pixel[0] - spot.pixel[0], pixel[1] - spot.pixel[1]),
        },
    )


def _measured(surfaces: Sequence[Seen], intrinsics: Intrinsics, settings: LiftSettings) -> list[Measured]:
    """Return what each surface is fitted to; the rays of all of them are found at once."""
    places = [_sampled(joined(seen.window, seen.span)) for seen in surfaces]
    pixels = [np.array([seen.pixel for seen in surfaces], dtype=np.float64)]
    for seen, (rows, columns) in zip(surfaces, places, strict=True):
        pixels.append(np.stack((seen.window.columns[columns], seen.window.rows[rows]), axis=1))
    flat = rays(np.concatenate(pixels), intrinsics)[:, :2]
    found, first = [], len(surfaces)
    for at, seen, place in zip(flat[: len(surfaces)], surfaces, places, strict=True):
        window, count = seen.window, len(place[0])
        z = window.z[place].astype(np.float64)
        size = max(settings.window_m / float(z[count // 2]), 2.5 / intrinsics.fx)
        strip = _strip(window, seen.pixel, place, (size, intrinsics.fx))
        found.append(Measured(flat[first : first + count], at, z, size, window.sigma_m, strip))
        first += count
    return found


def _scatter(surface: Measured) -> Array:
    """Return the covariance (3, 3) of the points of a surface as far as it was followed."""
    points = np.empty((3, len(surface.z)))
    np.multiply(surface.rays.T, surface.z, out=points[:2])
    points[2] = surface.z
    points -= points @ np.full((len(surface.z), 1), 1 / len(surface.z))
    return np.asarray(points @ points.T / len(surface.z))


def too_few(spot: Spot, number: int, counts: dict[str, float]) -> Abstention:
    """Return the abstention for a surface that shows hardly any pixel."""
    text = f'the surface at the point shows only {number} depth pixels; move closer'
    return abstain(Code.TOO_FEW_POINTS, text, spot, **counts)


def _pixel(window: Window, spot: Spot, inside: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], bool]:
    """Return the asked pixel where the surface is there, else its nearest pixel; and whether it lies in a hole.

    A hole with the surface on all sides and nothing else nearer is part of the surface: nothing is moved then.
    inside: (h, w) of the core of the window.
    """
    if inside.flat[window.away.argmin()] and window.away.min() <= 1.0:
        return spot.pixel, False  # the pixel nearest to the asked one belongs to the surface, as nearly always
    rows, columns = np.nonzero(inside)
    away = window.away[rows, columns]
    nearest = int(away.argmin())
    other = window.inside & np.isfinite(window.z[window.core]) & ~inside
    rival = float(window.away[other].min()) if other.any() else float('inf')
    if away[nearest] <= 1.0 and away[nearest] <= rival:
        return spot.pixel, False
    u, v = window.columns[window.core[1]][columns], window.rows[window.core[0]][rows]
    if away[nearest] < rival:
        across, down = u - spot.pixel[0], v - spot.pixel[1]
        close = away <= min(3 * away[nearest], rival)
        sector = np.floor((np.arctan2(down[close], across[close]) + np.pi) / (2 * np.pi) * AROUND).astype(int) % AROUND
        if len(set(sector.tolist())) >= AROUND - 2:
            return spot.pixel, True
    return (float(u[nearest]), float(v[nearest])), False


def _sampled(surface: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return rows and columns of at most MOST evenly chosen pixels of a surface."""
    chosen = np.flatnonzero(surface)
    if len(chosen) > MOST:
        chosen = chosen[np.arange(MOST) * len(chosen) // MOST]
    return np.divmod(chosen, surface.shape[1])


def _strip(
    window: Window, pixel: tuple[float, float], place: tuple[Array, Array], scale: tuple[float, float]
) -> Strip | None:
    """Return the strip that a surface at rows and columns of the window forms. scale: window, focal length in px."""
    size_px = scale[0] * scale[1]
    across, down = (window.columns - pixel[0]) / size_px, (window.rows - pixel[1]) / size_px
    rows, columns = place
    z = window.z[rows, columns]
    metres = scale[0] * float(z[len(z) // 2])

    def around() -> tuple[Array, Array, Array]:
        down_step, across_step = 1 + len(down) // ENOUGH_PX, 1 + len(across) // ENOUGH_PX
        return across[::across_step], down[::down_step], window.seen[::down_step, ::across_step]

    return strip_of(np.stack((across[columns], down[rows])), z, around, (metres, window.sigma_m))


def _covariances(points: Array, normals: Array, sigma: tuple[Array, Array], pose_m: float) -> Array:
    """Return (K, 3, 3) m^2: error along the ray, the answer's own spread along the surface, the camera's pose."""
    along, spread = (item[:, None, None] ** 2 for item in sigma)
    ray = points / np.sqrt((points * points).sum(axis=1, keepdims=True))
    tangent = np.eye(3) - normals[:, :, None] * normals[:, None]
    return np.asarray(along * (ray[:, :, None] * ray[:, None]) + spread * tangent + pose_m**2 * np.eye(3))
