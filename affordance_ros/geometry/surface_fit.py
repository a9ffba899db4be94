# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and normal at a pixel from the inverse depth around it, over the neighbourhood that errs least.

1/z of a plane is linear in the pixel, exactly; 1/z of a curved surface is nearly quadratic. The noise of a stereo
camera is the same everywhere in 1/z (it is an error of disparity), so plain least squares is the right estimate there.

A small neighbourhood is noisy, a large one bends or runs over an edge. So planes and quadratics are fitted to discs of
several radii and planes also to half discs, all at once from shared moments. Each tells how much it may err: its
variance, plus what its residual has in excess of the noise. Their weighted mean is the answer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.local_fits import Fits, Samples, all_fits, noise_of, refined, samples_of
from affordance_ros.geometry.thin import Strip

Array = npt.NDArray[Any]
BIAS = 1.8  # slope error of a fit whose residual exceeds the noise by 1 over a disc of radius 1
LEAST_NOISE = 1.0  # share of the told variance that is counted at least: real noise is not white
SLOPE_POWER, DEPTH_POWER = 3, 2  # how strongly the fits that err less outweigh the others


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
    families = [planes] if bent is None else [planes, bent]
    noise = noise_of(families)
    bend = _bend(bent, noise) if bent is not None and samples.thin else None
    risks = [_risks(fit, noise) for fit in families]
    if bend is not None:
        risks[0] = risks[0][0] + _leaning(planes, bend, noise), risks[0][1]
    steep, off = (np.concatenate(parts) for parts in zip(*risks, strict=True))
    slopes, values = (np.concatenate([fit.solution[:, part] for fit in families]) for part in (slice(1, 3), 0))
    best, nearest = int(steep.argmin()), int(off.argmin())
    chosen, inliers, residual = _refined_at(samples, families, best, noise)
    slopes[best] = chosen[1:3]
    values[nearest] = (chosen if nearest == best else _refined_at(samples, families, nearest, noise)[0])[0]
    # The fits overlap and err differently: their mean, weighted by what each may err, is better than the best one.
    weight = _weights(steep, SLOPE_POWER)
    tilt, tilt_error = weight @ slopes * samples.unit / window, float(weight @ steep)
    weight = _weights(off, DEPTH_POWER)
    inverse = max(samples.middle + samples.unit * float(weight @ values), 1e-6)
    normal = -np.array([tilt[0], tilt[1], inverse - tilt @ at])
    length = float(np.sqrt(normal @ normal))
    family, index = _place(families, best)
    metres = samples.unit / inverse**2
    return SurfaceFit(
        1 / inverse,
        normal / length,
        float(np.sqrt(weight @ off)) * metres,
        float(np.sqrt(tilt_error / 2)) * samples.unit / window / length,
        float(np.sqrt(residual)) * metres,
        inliers,
        float(family.radius[index]),
        family is bent,
        bool(family.half[index]),
    )


def _weights(risk: Array, power: float) -> Array:
    """Return (K,): how much each fit counts; their sum is 1."""
    weight = (risk.min() / risk) ** power
    return np.asarray(weight / weight.sum())


def _risks(fit: Fits, noise: float) -> tuple[Array, Array]:
    """Return the expected squared errors (K,) of slope and value: what noise does, and what the residual tells."""
    excess = np.maximum(0, fit.residual - noise * (1 + 2 * np.sqrt(2 / fit.count)))
    variance = max(noise, LEAST_NOISE)
    diagonal = np.diagonal(fit.covariance, axis1=1, axis2=2)
    reach = fit.radius * np.where(fit.half, 0.6, 1.0)
    steep = variance * (diagonal[:, 1] + diagonal[:, 2]) + BIAS**2 * excess / reach**2
    return steep, variance * diagonal[:, 0] + excess


def _place(families: list[Fits], index: int) -> tuple[Fits, int]:
    """Return the family of a fit and its index there."""
    first = len(families[0].radius)
    return (families[0], index) if index < first else (families[1], index - first)


def _refined_at(samples: Samples, families: list[Fits], index: int, noise: float) -> tuple[Array, int, float]:
    """Return solution, number of samples and residual variance of a fit without its outliers."""
    solution, residual, number = refined(samples, *_place(families, index), noise)
    return solution, number, residual


def _bend(bent: Fits, noise: float) -> tuple[Array, float]:
    """Return the second derivatives (2, 2) of the surface and the variance of one, by the best quadratic."""
    spread = np.trace(bent.covariance[:, 3:, 3:], axis1=1, axis2=2)
    excess = np.maximum(0, bent.residual - noise * (1 + 2 * np.sqrt(2 / bent.count)))
    best = int((max(noise, LEAST_NOISE) * spread + excess / bent.radius**4).argmin())
    xx, xy, yy = bent.solution[best, 3:]
    return np.array([[2 * xx, xy], [xy, 2 * yy]]), float(spread[best])


def _leaning(fit: Fits, bend: tuple[Array, float], noise: float) -> Array:
    """Return (K,): squared slope errors of planes whose samples are not about the pixel, on a surface that bends."""
    (second, spread), variance = bend, max(noise, LEAST_NOISE)
    return np.asarray(((fit.middle @ second) ** 2).sum(axis=1) + variance * spread * (fit.middle**2).sum(axis=1))
