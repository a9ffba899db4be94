# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and normal at a pixel from the inverse depth around it, over the neighbourhood that errs least.

1/z of a plane is linear in the pixel, exactly; 1/z of a curved surface is nearly quadratic. The noise of a stereo
camera is the same everywhere in 1/z (it is an error of disparity), so plain least squares is the right estimate there.

A small neighbourhood is noisy, a large one bends or runs over an edge. So planes and quadratics are fitted to discs of
several radii, planes also to half discs and quadratics with a crease, all at once from shared moments. Each tells how
much it may err: its variance, plus what its residual has in excess of the noise. Their weighted mean is the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.creases import DISCS
from affordance_ros.geometry.local_fits import IS_BENT, IS_HALF, PLANES, Fits, all_fits, noise_of, refined
from affordance_ros.geometry.samples import Measured, Samples, samples_of

Array = npt.NDArray[Any]
BIAS = 1.8  # slope error of a fit whose residual exceeds the noise by 1 over a disc of radius 1
COST = 10  # twice the log likelihood that a crease must gain: it has three parameters more
LEAST_NOISE = 1.0  # share of the told variance that is counted at least: real noise is not white
SLOPE_POWER, DEPTH_POWER = 3, 2  # how strongly the fits that err less outweigh the others
SPREAD_POWER = 1.5  # the same where it counts how far they are apart
_REACH = np.where(IS_HALF, 0.6, 1.0)


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


def fit_surfaces(surfaces: Sequence[Measured]) -> list[SurfaceFit]:
    """Fit every surface under its ray `at`; those of one frame together take little longer than one of them."""
    if not surfaces:
        return []
    samples = samples_of(surfaces)
    fits = all_fits(samples)
    noise = noise_of(fits)
    steep, off = _risks(samples, fits, noise)
    turned = _creased(fits, noise, steep)
    each = np.arange(len(surfaces))
    best, nearest = steep.argmin(axis=1), off.argmin(axis=1)
    solution, residual, inliers = refined(samples, fits, np.stack((best, nearest), axis=1), noise)
    slopes, values = fits.solution[..., 1:3], fits.solution[..., 0]
    slopes[each, best], values[each, nearest] = solution[:, 0, 1:3], solution[:, 1, 0]
    slopes, steep = np.concatenate((slopes, fits.creases.slope), axis=1), np.concatenate((steep, turned), axis=1)
    # The fits overlap and err differently: their mean, weighted by what each may err, is better than the best one.
    weight = _weights(steep, SLOPE_POWER)
    slope = weight[:, None] @ slopes
    tilt = slope[:, 0] * (samples.unit / samples.window)[:, None]
    # Where they disagree by more than they tell, as at edges, the normal is known no better than that.
    apart = ((slopes - slope) ** 2).sum(axis=2)
    tilt_error = _mean(weight, steep) + _mean(_weights(steep, SPREAD_POWER), apart)
    weight = _weights(off, DEPTH_POWER)
    inverse = np.maximum(samples.middle + samples.unit * _mean(weight, values), 1e-6)
    normal = -np.column_stack((tilt, inverse - (tilt * samples.at).sum(axis=1)))
    length = np.sqrt((normal * normal).sum(axis=1))
    metres = samples.unit / inverse**2
    columns = (
        1 / inverse,
        np.sqrt(_mean(weight, off)) * metres,
        np.sqrt(tilt_error / 2) * samples.unit / samples.window / length,
        np.sqrt(residual[:, 0]) * metres,
        inliers[:, 0],
        fits.radius[each, best],
        IS_BENT[best],
        IS_HALF[best],
    )
    found = zip(normal / length[:, None], *(column.tolist() for column in columns), strict=True)
    return [SurfaceFit(depth, unit, *others) for unit, depth, *others in found]


def _weights(risk: Array, power: float) -> Array:
    """Return (K, F): how much each fit counts; their sum is 1."""
    weight = (risk.min(axis=1, keepdims=True) / risk) ** power
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _mean(weight: Array, values: Array) -> Array:
    """Return the weighted means (K,) of values (K, F); what does not count may be infinite."""
    return np.asarray((weight * np.where(weight > 0, values, 0)).sum(axis=1))


def _risks(samples: Samples, fits: Fits, noise: Array) -> tuple[Array, Array]:
    """Return the expected squared errors (K, F) of slope and value: what noise does, and what the residual tells.

    Those of fits that too few samples support are infinite.
    """
    told = noise[:, None]
    excess = np.maximum(0, fits.residual - told * (1 + 2 * np.sqrt(2 / fits.free)))
    variance = np.maximum(told, LEAST_NOISE)
    steep = variance * (fits.variance[..., 1] + fits.variance[..., 2]) + BIAS**2 * excess / (fits.radius * _REACH) ** 2
    off = variance * fits.variance[..., 0] + excess
    if samples.thin.any():
        leaning = np.where(fits.usable[:, PLANES:].any(axis=1) & samples.thin, 1.0, 0.0)
        steep[:, :PLANES] += leaning[:, None] * _leaning(fits, excess, variance)
    return np.where(fits.usable, steep, np.inf), np.where(fits.usable, off, np.inf)


def _creased(fits: Fits, noise: Array, steep: Array) -> Array:
    """Return the expected squared errors (K, 2) of the slopes of creases.

    Either a surface has a crease or not: how likely the samples make it tells by how much quadratic and crease may err
    if the other is right. The risks `steep` (K, F) of the quadratics are raised accordingly.
    """
    told, bent = fits.creases, np.s_[:, np.array(DISCS) + PLANES]
    variance, noise = np.maximum(noise, LEAST_NOISE)[:, None], noise[:, None]
    sure = np.isfinite(told.variance)
    likely = sure / (1 + np.exp(np.clip((COST - told.gain / variance) / 2, -50, 50)))
    free, radius = fits.free[bent], fits.radius[bent]
    excess = np.maximum(0, fits.residual[bent] - told.gain / free - noise * (1 + 2 * np.sqrt(2 / free)))
    apart = ((told.slope - fits.solution[bent][..., 1:3]) ** 2).sum(axis=2)
    steep[bent] += likely * apart
    turned = variance * told.variance + BIAS**2 * excess / radius**2 + (1 - likely) * apart
    return np.where(sure, turned, np.inf)


def _leaning(fits: Fits, excess: Array, variance: Array) -> Array:
    """Return (K, 28): squared slope errors of planes whose samples are not about the pixel, on a surface that bends.

    How it bends is what the quadratic tells that errs least.
    """
    bent = np.s_[:, PLANES:]
    risk = variance * fits.spread + excess[bent] / fits.radius[bent] ** 4
    best = np.where(fits.usable[bent], risk, np.inf).argmin(axis=1)
    each = np.arange(len(best))
    xx, xy, yy = fits.solution[each, PLANES + best, 3:].T[..., None]
    x, y = np.moveaxis(fits.middle[:, :PLANES], 2, 0)
    shift = (2 * xx * x + xy * y) ** 2 + (xy * x + 2 * yy * y) ** 2
    return np.asarray(shift + variance * fits.spread[each, best][:, None] * (x * x + y * y))
