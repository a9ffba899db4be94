# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes and quadratics in inverse depth over discs and half discs of several radii, all from the same moments.

Every weighted least squares fit needs sums of products of the same six terms; one matrix product gives the sums of all
neighbourhoods. What is expected of a surface (it is not seen edge-on, thin parts are round) enters as a Gaussian prior.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.thin import Strip

Array = npt.NDArray[Any]
RADII = (0.6, 1.0, 1.6, 3.0)  # in units of the window
HALVES = 6
FEWEST = 10
SLOPE, BEND_M = 1.0, 0.006  # priors: tangent of a slope, depth by which a surface bends over one window
FACING = 0.5  # tangent by which the middle of a thin part may turn away
_TINY = {size: 1e-9 * np.eye(size) for size in (3, 6)}
_ANGLES = np.arange(HALVES) * 2 * np.pi / HALVES
_SIDES = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1)
_FIRST, _SECOND = np.triu_indices(6)  # the 21 different products of six terms
_PAIRS = np.zeros((6, 6), int)
_PAIRS[_FIRST, _SECOND] = _PAIRS[_SECOND, _FIRST] = np.arange(21)
_SQUARE = _PAIRS.ravel()


@dataclass(frozen=True)
class Samples:
    """offset: (2, N) in windows. design: (6, N). value: (N,) inverse depth less its middle, in noise. away: (N,)."""

    offset: Array
    design: Array
    value: Array
    away: Array
    middle: float
    unit: float
    window: float
    prior: tuple[Array, Array]
    thin: bool


@dataclass(frozen=True)
class Fits:
    """K fits with p parameters: solutions (K, p), covariance (K, p, p), residual variance (K,).

    weights: those of all neighbourhoods, and which of them belong to the fits. middle: (K, 2) of the samples.
    count: degrees of freedom.
    """

    weights: tuple[Array, Array]
    radius: Array
    solution: Array
    covariance: Array
    residual: Array
    count: Array
    half: Array
    middle: Array


def samples_of(rays: Array, at: Array, z: Array, scale: tuple[float, float], strip: Strip | None) -> Samples:
    """Return what is fitted: arguments as of `fit_surface`; scale: window, noise of one pixel."""
    window, sigma_m = scale
    inverse = 1 / z
    middle = float(np.partition(inverse, len(inverse) // 2)[len(inverse) // 2])
    unit = sigma_m * middle**2
    x, y = offset = (rays - at).T / window
    design = np.empty((6, len(z)))
    design[0], design[1], design[2] = 1, x, y
    design[3], design[4], design[5] = x * x, x * y, y * y
    window_m = window / middle
    slope, bend = SLOPE * window_m / sigma_m, BEND_M / sigma_m
    prior = np.diag([0.0, slope**-2, slope**-2, *(bend**-2,) * 3])
    expected = np.zeros(6)
    if strip is not None:
        _round_prior(prior, expected, strip, window_m / sigma_m)
    value, away = (inverse - middle) / unit, np.sqrt(design[3] + design[5])
    return Samples(offset, design, value, away, middle, unit, window, (prior, expected), strip is not None)


def _round_prior(prior: Array, expected: Array, strip: Strip, unit: float) -> None:
    """Write into prior (6, 6) and expected (6,) that a thin part is round: it bends across, and faces us amidst."""
    (a, b), middle, half = strip.across, strip.middle, strip.half
    prior[1:, 1:] = 0
    prior[1, 1] = prior[2, 2] = (SLOPE * unit) ** -2
    bend = -unit * 0.5 / max(half, 0.15)
    rows = np.array([
        (0, 0, 0, a * a, a * b, b * b),
        (0, 0, 0, b * b, -a * b, a * a),
        (0, 0, 0, -2 * a * b, a * a - b * b, 2 * a * b),
        (0, a, b, 2 * middle * a * a, 2 * middle * a * b, 2 * middle * b * b),
    ])  # fmt: skip
    weighted = rows.T / np.array([0.7 * bend, 0.1 * unit, 0.1 * unit, FACING * unit]) ** 2
    prior += weighted @ rows
    expected += weighted[:, 0] * bend


def all_fits(samples: Samples) -> tuple[Fits, Fits | None]:
    """Return the planes (discs, then half discs) and the quadratics (discs) that enough samples support."""
    radii = np.maximum(RADII, np.sort(samples.away)[min(FEWEST + 4, len(samples.away)) - 1] * 1.001)
    discs = (samples.away <= radii[:, None]).astype(np.float64)
    across = _SIDES @ samples.offset
    halves = (discs[:, None] * (across >= -0.2 * radii[:, None, None])).reshape(-1, len(samples.away))
    weights = np.concatenate((discs, halves))
    design = samples.design
    products = np.concatenate((design[_FIRST] * design[_SECOND], design * samples.value, samples.value[None] ** 2))
    moments = weights @ products.T
    gram, right, square = moments[:, _SQUARE].reshape(-1, 6, 6), moments[:, 21:27], moments[:, 27]
    radius = np.concatenate((radii, np.repeat(radii, HALVES)))
    half = np.arange(len(weights)) >= len(radii)
    enough = gram[:, 0, 0] >= FEWEST
    enough[len(radii) - 1] = True  # the largest disc serves where nothing else does
    planes = _solved(samples, (weights, gram, right, square, radius, half), enough, 3)
    bendable = (gram[:, 0, 0] >= 2 * FEWEST) & ~half
    if not bendable.any():
        return planes, None
    return planes, _solved(samples, (weights, gram, right, square, radius, half), bendable, 6)


def _solved(samples: Samples, moments: tuple[Array, ...], which: npt.NDArray[np.bool_], size: int) -> Fits:
    """Solve the chosen fits with `size` parameters."""
    gram, right, square, radius, half = (item[which] for item in moments[1:])
    middle = gram[:, 0, 1:3] / np.maximum(gram[:, :1, 0], 1)
    gram, right = gram[:, :size, :size], right[:, :size]
    prior, expected = _prior(samples, size)
    covariance = np.linalg.inv(gram + prior)
    solution = (covariance @ (right + expected)[..., None])[..., 0]
    left = square + (solution * ((gram @ solution[..., None])[..., 0] - 2 * right)).sum(axis=1)
    free = np.maximum(gram[:, 0, 0] - size, 1.0)
    return Fits(
        (moments[0], np.flatnonzero(which)),
        radius,
        solution,
        covariance,
        np.maximum(left, 0) / free,
        free,
        half,
        middle,
    )


def _prior(samples: Samples, size: int) -> tuple[Array, Array]:
    """Return precision (p, p) and information (p,) of what is expected of a surface: of a plane next to nothing."""
    prior, expected = samples.prior
    if size == 6:
        return prior + _TINY[6], expected
    return np.diag([0.0, prior[1, 1], prior[2, 2]]) + _TINY[3], np.zeros(3)


def noise_of(fits: list[Fits]) -> float:
    """Return the variance of the noise, in units of what was told: that of the fit that leaves least."""
    least = min(float((fit.residual * (1 + np.sqrt(2 / fit.count))).min()) for fit in fits)
    return float(np.clip(least, 1e-3, 2.0))


def refined(samples: Samples, fits: Fits, index: int, noise: float) -> tuple[Array, float, int]:
    """Return solution, residual variance and number of samples of a fit without what lies beyond 3 sigma of it."""
    solution = fits.solution[index]
    size = len(solution)
    weights, which = fits.weights
    used = weights[which[index]] > 0
    prior, expected = _prior(samples, size)
    design, value = samples.design[:size, used], samples.value[used]
    for _ in range(2):
        scatter = np.abs(value - solution @ design)
        close = scatter <= 3 * np.sqrt(max(noise, 0.25 * float(fits.residual[index])))
        if close.all() or close.sum() < max(FEWEST, size + 4):
            break
        design, value = design[:, close], value[close]
        solution = np.linalg.solve(design @ design.T + prior, design @ value + expected)
    left = value - solution @ design
    return solution, float(left @ left) / max(len(value) - size, 1), len(value)
