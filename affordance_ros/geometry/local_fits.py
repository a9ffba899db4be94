# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes, quadratics and creases in inverse depth over discs and half discs of several radii, from the same moments.

Every weighted least squares fit needs sums of products of the same six terms; one matrix product gives the sums of all
neighbourhoods of a surface. What is expected of a surface (it is not seen edge-on, thin parts are round) enters as a
Gaussian prior. All surfaces of a frame are fitted together (K of them): there are few numbers and many steps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry import creases
from affordance_ros.geometry.samples import Samples

Array = npt.NDArray[Any]
RADII = (0.6, 1.0, 1.6, 3.0)  # in units of the window
HALVES = 6
FEWEST = 10
DISCS, PLANES, FITS = 4, 4 * (1 + HALVES), 4 * (2 + HALVES)  # planes of discs, of half discs, then quadratics of discs
TINY = 1e-9
_ANGLES = np.arange(HALVES) * 2 * np.pi / HALVES
_SIDES = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1)
# Rows of the products: the six terms, then value times 1, x, y, value squared: enough for planes. The others follow.
_POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
_HIGHER = ((3, 0), (2, 1), (1, 2), (0, 3), (4, 0), (3, 1), (2, 2), (1, 3), (0, 4))
_ROW = {power: row for row, power in enumerate(_POWERS)} | {power: 13 + row for row, power in enumerate(_HIGHER)}
_GRAM = np.array([[_ROW[a[0] + b[0], a[1] + b[1]] for b in _POWERS] for a in _POWERS])
_RIGHT, _SQUARE, _PLANE_ROWS, _ROWS = np.array([6, 7, 8, 10, 11, 12]), 9, 10, 22
IS_HALF = (np.arange(FITS) >= DISCS) & (np.arange(FITS) < PLANES)
IS_BENT = np.arange(FITS) >= PLANES
_OF_DISC = np.concatenate((np.arange(DISCS), np.repeat(np.arange(DISCS), HALVES), np.arange(DISCS)))


@dataclass(frozen=True)
class Fits:
    """K surfaces with F = 32 fits each: planes over four discs, over half discs, quadratics over the discs; creases.

    weights: bool (K, 28, N), which samples a plane was fitted to. usable: (K, F), which fits enough samples support.
    solution: (K, F, 6), of planes the first three. variance: (K, F, 3) of value and slopes, spread: (K, 4) of the bends
    of the quadratics, for noise 1. residual: (K, F) variance. free: (K, F) degrees of freedom. middle: (K, F, 2) of the
    samples.
    """

    weights: Array
    usable: npt.NDArray[np.bool_]
    radius: Array
    solution: Array
    variance: Array
    spread: Array
    residual: Array
    free: Array
    middle: Array
    creases: creases.Creases


def all_fits(samples: Samples) -> Fits:
    """Return the planes (discs, then half discs) and the quadratics (discs) of every surface."""
    nth = np.minimum(FEWEST + 4, samples.number) - 1
    reached = np.partition(samples.away, sorted(set(nth.tolist())), axis=1)[np.arange(len(nth)), nth]
    radii = np.maximum(RADII, reached[:, None] * 1.001)
    weights = _neighbourhoods(samples, radii)
    moments, discs, beyond = _moments(samples, weights, radii)
    usable = np.concatenate((moments[..., 0] >= FEWEST, discs[..., 0] >= 2 * FEWEST), axis=1)
    usable[:, DISCS - 1] = True  # the largest disc serves where nothing else does
    flat, variance = _planes(samples, moments)
    bent, covariance = _quadratics(samples, discs)
    solution = np.zeros((len(radii), FITS, 6))
    solution[:, :PLANES, :3], solution[:, PLANES:] = flat, bent
    left = np.concatenate((_left(moments, flat, 3), _left(discs, bent, 6)), axis=1)
    count = np.concatenate((moments[..., 0], discs[..., 0]), axis=1)
    free = np.maximum(count - np.where(IS_BENT, 6, 3), 1.0)
    sums = np.concatenate((moments[..., 1:3], discs[..., 1:3]), axis=1)
    diagonal = np.diagonal(covariance, axis1=2, axis2=3)
    creased = np.s_[:, list(creases.DISCS)]
    smooth = discs[..., 0][creased], bent[creased], covariance[creased]
    return Fits(
        weights,
        usable,
        radii[:, _OF_DISC],
        solution,
        np.concatenate((variance, diagonal[..., :3]), axis=1),
        diagonal[..., 3:].sum(axis=2),
        np.maximum(left, 0) / free,
        free,
        sums / np.maximum(count, 1)[..., None],
        creases.likeliest(beyond, smooth, radii[creased], samples.prior[:, 1, 1]),
    )


def _neighbourhoods(samples: Samples, radii: Array) -> Array:
    """Return bool (K, 28, N): the samples of each disc and of each half disc, which goes a little over its line."""
    count, longest = samples.away.shape
    weights = np.empty((count, PLANES, longest), bool)
    discs = weights[:, :DISCS]
    np.less_equal(samples.away[:, None], radii[..., None], out=discs)
    across = _SIDES @ samples.design[:, 1:3]
    halves = weights[:, DISCS:].reshape(count, DISCS, HALVES, longest)
    np.greater_equal(across[:, None], -0.2 * radii[..., None, None], out=halves)
    halves &= discs[:, :, None]
    return weights


def _moments(samples: Samples, weights: Array, radii: Array) -> tuple[Array, Array, Array]:
    """Return sums over every neighbourhood: (K, 28, 10) what planes need, (K, 4, 22) what quadratics need.

    The third are (K, 2, L, 17) over what is beyond each line that may be a crease.

    Surface by surface in the same memory, which stays in the cache.
    """
    count, _, longest = weights.shape
    planes, discs = np.empty((count, PLANES, _PLANE_ROWS)), np.empty((count, DISCS, _ROWS))
    beyond = np.empty((count, 2, creases.LINES, creases.ROWS))
    chosen, products = np.empty((PLANES, longest)), np.empty((_ROWS, longest))
    small, large = creases.DISCS
    for k in range(count):
        chosen[...] = weights[k]
        _fill_products(products, samples.design[k], samples.value[k])
        np.matmul(chosen[:DISCS], products.T, out=discs[k])
        np.matmul(chosen[DISCS:], products[:_PLANE_ROWS].T, out=planes[k, DISCS:])
        near = np.flatnonzero(weights[k, large])
        creases.sum_beyond(
            products[: creases.ROWS].take(near, axis=1), weights[k, small, near], radii[k, small : large + 1], beyond[k]
        )
    planes[:, :DISCS] = discs[..., :_PLANE_ROWS]
    return planes, discs, beyond


def _fill_products(products: Array, design: Array, value: Array) -> None:
    """Write into products (22, N) what the moments are sums of."""
    products[:6] = design
    square = design[3:]
    np.multiply(design[:3], value, out=products[6:9])
    np.multiply(value, value, out=products[_SQUARE])
    np.multiply(square, value, out=products[10:13])
    np.multiply(square, design[1], out=products[13:16])  # xxx, xxy, xyy
    np.multiply(square[2], design[2], out=products[16])
    np.multiply(square, square[0], out=products[17:20])
    np.multiply(square[1:], square[2], out=products[20:22])


def _planes(samples: Samples, moments: Array) -> tuple[Array, Array]:
    """Return solutions (K, 28, 3) and variances (K, 28, 3) of the planes, inverted in closed form."""
    n, x, y, xx, xy, yy = (moments[..., row] for row in range(6))
    firm = samples.prior[:, None, 1, 1] + TINY, samples.prior[:, None, 2, 2] + TINY
    n, xx, yy = n + TINY, xx + firm[0], yy + firm[1]
    nn, xn, yn = xx * yy - xy * xy, y * xy - x * yy, x * xy - y * xx
    cc, cd, dd = n * yy - y * y, x * y - n * xy, n * xx - x * x
    scale = 1 / (n * nn + x * xn + y * yn)
    a, b, c = moments[..., 6], moments[..., 7], moments[..., 8]
    solution = np.stack((nn * a + xn * b + yn * c, xn * a + cc * b + cd * c, yn * a + cd * b + dd * c), axis=2)
    return solution * scale[..., None], np.stack((nn, cc, dd), axis=2) * scale[..., None]


def _quadratics(samples: Samples, moments: Array) -> tuple[Array, Array]:
    """Return solutions (K, 4, 6) and covariances (K, 4, 6, 6) of the quadratics."""
    covariance = np.linalg.inv(moments[..., _GRAM] + (samples.prior + TINY * np.eye(6))[:, None])
    return (covariance @ (moments[..., _RIGHT] + samples.expected[:, None])[..., None])[..., 0], covariance


def _left(moments: Array, solution: Array, size: int) -> Array:
    """Return the sums of squares (K, F) that fits with `size` parameters leave."""
    gram, right = moments[..., _GRAM[:size, :size]], moments[..., _RIGHT[:size]]
    fitted = (gram @ solution[..., None])[..., 0]
    return np.asarray(moments[..., _SQUARE] + (solution * (fitted - 2 * right)).sum(axis=2))


def noise_of(fits: Fits) -> Array:
    """Return the variance of the noise (K,), in units of what was told: that of the fit that leaves least."""
    least = np.where(fits.usable, fits.residual * (1 + np.sqrt(2 / fits.free)), np.inf).min(axis=1)
    return np.asarray(np.clip(least, 1e-3, 2.0))


def refined(samples: Samples, fits: Fits, which: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Return solutions (K, M, 6), residual variances and numbers of samples (K, M) without what errs beyond 3 sigma.

    which: (K, M) fits of each surface. noise: (K,).
    """
    each, size = np.arange(len(which))[:, None], np.where(IS_BENT[which], 6, 3)
    used = fits.weights[each, np.where(IS_BENT[which], which - PLANES, which)]
    design, value = samples.design, samples.value[:, None]
    gram, right = _priors(samples, size)
    limit = 3 * np.sqrt(np.maximum(noise[:, None], 0.25 * fits.residual[each, which]))[..., None]
    solution, number = fits.solution[each, which], np.count_nonzero(used, axis=2)
    left = value - solution @ design
    going = np.ones(which.shape, bool)
    for _ in range(2):
        close = used & (np.abs(left) <= limit)
        rest = np.count_nonzero(close, axis=2)
        going &= (rest < number) & (rest >= np.maximum(FEWEST, size + 4))
        if not going.any():
            break
        used, number = np.where(going[..., None], close, used), np.where(going, rest, number)
        whole, told = gram.copy(), right.copy()
        for k, fit in np.argwhere(going).tolist():  # small enough to stay in the cache one by one
            terms = size[k, fit]
            weighted = design[k, :terms] * used[k, fit]
            whole[k, fit, :terms, :terms] += weighted @ design[k, :terms].T
            told[k, fit, :terms] += weighted @ value[k, 0]
        solution = np.where(going[..., None], np.linalg.solve(whole, told[..., None])[..., 0], solution)
        left = value - solution @ design
    left *= used
    return solution, (left * left).sum(axis=2) / np.maximum(number - size, 1), number


def _priors(samples: Samples, size: Array) -> tuple[Array, Array]:
    """Return precision (K, M, 6, 6) and information (K, M, 6) of what is expected: of a plane next to nothing.

    Planes have six parameters here as well, the last three held at 0.
    """
    whole = samples.prior + TINY * np.eye(6)
    held = np.diag([TINY, 0, 0, 1, 1, 1])
    plane = np.where(np.diag([False, True, True, False, False, False]), whole, held)
    bent = (size == 6)[..., None]
    return np.where(bent[..., None], whole[:, None], plane[:, None]), np.where(bent, samples.expected[:, None], 0)
