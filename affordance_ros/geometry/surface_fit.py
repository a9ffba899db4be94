# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and normal at a pixel from the inverse depth around it, over the neighbourhood that errs least.

1/z of a plane is linear in the pixel, exactly; 1/z of a curved surface is nearly quadratic. The noise of a stereo
camera is the same everywhere in 1/z (it is an error of disparity), so plain least squares is the right estimate there.

A small neighbourhood is noisy, a large one bends or runs over an edge. So planes and quadratics are fitted to discs of
several radii and planes also to half discs, all at once from shared moments, and the one with the least expected error
is taken: its variance, plus what its residual has in excess of the noise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.local_fits import Fits, all_fits, noise_of, refined, samples_of
from affordance_ros.geometry.thin import Strip

Array = npt.NDArray[Any]
BIAS = 1.5  # slope error of a fit whose residual exceeds the noise by 1 over a disc of radius 1
LEAST_NOISE = 0.6  # share of the told variance that is counted at least: real noise is not white


@dataclass(frozen=True)
class SurfaceFit:
    """What a fit tells about the surface at its pixel.

    depth_m along the optical axis. normal: unit, towards the camera. depth_sigma_m, normal_sigma: expected errors
    (metres, radians). residual_m: RMS scatter in depth. radius: of the neighbourhood in windows. curved: quadratic.
    half: it is one side of an edge.
    """

    depth_m: float
    normal: Array
    depth_sigma_m: float
    normal_sigma: float
    residual_m: float
    inliers: int
    radius: float
    curved: bool
    half: bool


def fit_surface(  # noqa: PLR0913 - one surface and what is known of it
    rays: Array, at: Array, z: Array, window: float, sigma_m: float, strip: Strip | None = None
) -> SurfaceFit:
    """Fit the surface under the ray `at` (2,), in normalised image coordinates (x / z, y / z).

    Args:
        rays: (N, 2) normalised image coordinates of the measured pixels of one surface.
        at: (2,) where depth and normal are wanted.
        z: (N,) depth in metres.
        window: radius of the window in normalised image coordinates.
        sigma_m: standard deviation of one depth pixel here, metres.
        strip: the strip that the surface forms in the image, in windows about `at`, if it is a thin part.
    """
    samples = samples_of(rays, at, z, (window, sigma_m), strip)
    planes, bent = all_fits(samples)
    fits = [fit for fit in (planes, bent) if fit is not None]
    noise = noise_of(fits)
    best: list[tuple[float, float, int, int]] = []  # risk of the normal, of the depth, which family, which fit
    bend = _bend(bent, noise) if bent is not None and samples.thin else None
    for family, fit in enumerate(fits):
        excess = np.maximum(0, fit.residual - noise * (1 + 2 * np.sqrt(2 / fit.count)))
        variance = max(noise, LEAST_NOISE)
        diagonal = np.diagonal(fit.covariance, axis1=1, axis2=2)
        reach = fit.radius * np.where(fit.half, 0.6, 1.0)
        steep = variance * (diagonal[:, 1] + diagonal[:, 2]) + BIAS**2 * excess / reach**2
        off = variance * diagonal[:, 0] + excess
        if bend is not None and family == 0:
            steep = steep + _leaning(fit, bend, variance)
        best += [(float(steep[k]), float(off[k]), family, k) for k in range(len(steep))]
    steepest = min(best, key=lambda item: item[0])
    nearest = min(best, key=lambda item: item[1])
    normal_fit = refined(samples, fits[steepest[2]], steepest[3], noise)
    depth_fit = normal_fit if nearest[2:] == steepest[2:] else refined(samples, fits[nearest[2]], nearest[3], noise)
    inverse = max(samples.middle + samples.unit * float(depth_fit[0][0]), 1e-6)
    depth = 1 / inverse
    tilt = normal_fit[0][1:3] * samples.unit / window
    normal = -np.array([tilt[0], tilt[1], inverse - tilt @ at])
    length = float(np.linalg.norm(normal))
    chosen = fits[steepest[2]]
    return SurfaceFit(
        depth,
        normal / length,
        float(np.sqrt(nearest[1])) * samples.unit * depth**2,
        float(np.sqrt(steepest[0] / 2)) * samples.unit / window / length,
        float(np.sqrt(normal_fit[1])) * samples.unit * depth**2,
        normal_fit[2],
        float(chosen.radius[steepest[3]]),
        steepest[2] == 1,
        bool(chosen.half[steepest[3]]),
    )


def _bend(bent: Fits, noise: float) -> tuple[Array, float]:
    """Return the second derivatives (2, 2) of the surface and the variance of one, by the best quadratic."""
    spread = np.trace(bent.covariance[:, 3:, 3:], axis1=1, axis2=2)
    excess = np.maximum(0, bent.residual - noise * (1 + 2 * np.sqrt(2 / bent.count)))
    best = int((max(noise, LEAST_NOISE) * spread + excess / bent.radius**4).argmin())
    xx, xy, yy = bent.solution[best, 3:]
    return np.array([[2 * xx, xy], [xy, 2 * yy]]), float(spread[best])


def _leaning(fit: Fits, bend: tuple[Array, float], variance: float) -> Array:
    """Return (K,): squared slope errors of planes whose samples are not about the pixel, on a surface that bends."""
    second, spread = bend
    return np.asarray(((fit.middle @ second) ** 2).sum(axis=1) + variance * spread * (fit.middle**2).sum(axis=1))
