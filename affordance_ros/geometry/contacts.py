# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A contact from one surface of a window: point, normal, direction of the part, covariance, evidence."""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import rays
from affordance_ros.geometry.lift_settings import LiftSettings
from affordance_ros.geometry.spots import Spot
from affordance_ros.geometry.surface import main_axis
from affordance_ros.geometry.surface_fit import SurfaceFit, fit_surface
from affordance_ros.geometry.thin import Strip, strip_of
from affordance_ros.geometry.window import Window, abstain, joined
from affordance_ros.results import Abstention, Contact, Intrinsics

Array = npt.NDArray[Any]
MOST = 320  # samples that a surface is fitted to
AROUND = 8  # directions in which a hole's surroundings are looked at


def contact_on(
    window: Window, spot: Spot, span: tuple[float, float], lens: tuple[Intrinsics, LiftSettings], surfaces: int
) -> Contact | Abstention:
    """Return the contact on the surface of the window that spans `span` in depth, or TOO_FEW_POINTS."""
    intrinsics, settings = lens
    inside = window.inside & (window.z >= span[0]) & (window.z <= span[1])
    number = int(inside.sum())
    measured = window.counts['valid_points']
    counts = window.counts | {
        'surfaces': float(surfaces),
        'surface_points': float(number),
        'inlier_ratio': number / max(measured, 1.0),
    }
    if number < settings.min_points:
        return too_few(spot, number, counts)
    pixel, filled = _pixel(window, spot, inside)
    fit, wide = _fitted(window, span, pixel, lens)
    depth = float(np.clip(fit.depth_m, span[0], span[1]))
    point = rays([pixel], intrinsics)[0] * depth
    axis, anisotropy = main_axis(wide, fit.normal)
    noise = settings.noise.sigma(depth)
    return Contact(
        point=point,
        normal=fit.normal,
        axis=axis,
        anisotropy=anisotropy,
        radius_m=settings.window_m,
        covariance=_covariance(point, fit, noise, spot.spread_px * depth / intrinsics.fx, settings),
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
            'filled': float(filled),
            'moved_px': float(np.hypot(pixel[0] - spot.pixel[0], pixel[1] - spot.pixel[1])),
        },
    )


def _fitted(
    window: Window, span: tuple[float, float], pixel: tuple[float, float], lens: tuple[Intrinsics, LiftSettings]
) -> tuple[SurfaceFit, Array]:
    """Return the fit of a surface at a pixel, and its points (N, 3) as far as it was followed."""
    intrinsics, settings = lens
    place = _sampled(joined(window, span))
    rows, columns = place
    flat = rays(np.stack((window.columns[columns], window.rows[rows]), axis=1), intrinsics)[:, :2]
    z = window.z[place]
    size = max(settings.window_m / float(z[len(z) // 2]), 2.5 / intrinsics.fx)
    strip = _strip(window, pixel, place, (size, intrinsics.fx))
    fit = fit_surface(flat, rays([pixel], intrinsics)[0, :2], z, size, window.sigma_m, strip)
    return fit, np.concatenate((flat * z[:, None], z[:, None]), axis=1)


def too_few(spot: Spot, number: int, counts: dict[str, float]) -> Abstention:
    """Return the abstention for a surface that shows hardly any pixel."""
    text = f'the surface at the point shows only {number} depth pixels; move closer'
    return abstain(Code.TOO_FEW_POINTS, text, spot, **counts)


def _pixel(window: Window, spot: Spot, inside: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], bool]:
    """Return the asked pixel where the surface is there, else its nearest pixel; and whether it lies in a hole.

    A hole with the surface on all sides and nothing else nearer is part of the surface: nothing is moved then.
    """
    rows, columns = np.nonzero(inside)
    away = window.away[rows, columns]
    nearest = int(away.argmin())
    other = window.inside & np.isfinite(window.z) & ~inside
    rival = float(window.away[other].min()) if other.any() else float('inf')
    if away[nearest] <= 1.0 and away[nearest] <= rival:
        return spot.pixel, False
    if away[nearest] < rival:
        across, down = window.columns[columns] - spot.pixel[0], window.rows[rows] - spot.pixel[1]
        close = away <= min(3 * away[nearest], rival)
        sector = np.floor((np.arctan2(down[close], across[close]) + np.pi) / (2 * np.pi) * AROUND).astype(int) % AROUND
        if len(set(sector.tolist())) >= AROUND - 2:
            return spot.pixel, True
    return (float(window.columns[columns[nearest]]), float(window.rows[rows[nearest]])), False


def _sampled(surface: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return rows and columns of at most MOST evenly chosen pixels of a surface."""
    chosen = np.flatnonzero(surface)
    chosen = chosen[:: 1 + len(chosen) // MOST]
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

    def around() -> tuple[Array, Array]:
        seen = np.nonzero(np.isfinite(window.seen))
        return np.stack((across[seen[1]], down[seen[0]])), window.seen[seen]

    return strip_of(np.stack((across[columns], down[rows])), z, around, (metres, window.sigma_m))


def _covariance(point: Array, fit: SurfaceFit, noise: float, spread_m: float, settings: LiftSettings) -> Array:
    """Return (3, 3) m^2: depth error along the ray, the answer's own spread along the surface, the camera's pose."""
    ray = point / np.linalg.norm(point)
    along = max(fit.depth_sigma_m, noise / 5) ** 2
    tangent = np.eye(3) - np.outer(fit.normal, fit.normal)
    return np.asarray(along * np.outer(ray, ray) + spread_m**2 * tangent + settings.pose_sigma_m**2 * np.eye(3))
