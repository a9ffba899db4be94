# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quadratics with a crease: a surface that turns at a line near the pixel, as where the lid of a box meets its side.

A quadratic bends smoothly over a crease and hardly errs in depth there, but its normal is a mean of both faces. So the
disc is also fitted with c * max(0, t - d) added, t across the line and d its distance, for lines of several directions
and distances. The normal at the pixel is then that of the side that it lies on. Everything follows from the moments of
the samples beyond each line.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DISCS = (1, 2)  # discs that creases are looked for in
TURNS = 6
OFFSETS = np.array([-0.5, -0.2, 0.2, 0.5])  # of a line from the pixel, in radii of the disc
LINES = TURNS * len(OFFSETS)
SIDE = 8  # least samples on either side of a line
ROWS = 17  # of the products (see `local_fits`) that are summed
SHARP = 3.0  # change of slope over a crease that is expected, in slopes
_ANGLES = np.arange(TURNS) * np.pi / TURNS
ACROSS = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1)
_X, _Y = np.tile(ACROSS, (len(OFFSETS), 1)).T
_OFF = np.repeat(OFFSETS, TURNS)
_OWN = np.where(_OFF[:, None] < 0, np.stack((_X, _Y), axis=1), 0.0)  # slope of a crease at the pixel
# Rows of the products with the six terms and the value, and of those times x and times y.
_PLAIN, _BY_X, _BY_Y = np.arange(7), np.array([1, 3, 4, 13, 14, 15, 7]), np.array([2, 4, 5, 14, 15, 16, 8])


@dataclass(frozen=True)
class Creases:
    """The likeliest crease in each of the DISCS, C of them, of K surfaces.

    slope: (K, C, 2) at the pixel. variance: (K, C) of it for noise 1, infinite where no line has samples on both sides.
    gain: (K, C) by how much the crease lessens the sum of squares.
    """

    slope: Array
    variance: Array
    gain: Array


def sum_beyond(products: Array, inner: Array, radii: Array, out: Array) -> None:
    """Write into out (2, L, 17) the sums of the products over the samples beyond every line.

    products: (17, N) of the samples in the larger disc. inner: (N,) which of them are in the smaller one. radii: (2,).
    """
    along = ACROSS @ products[1:3]
    lines = np.multiply.outer(radii, OFFSETS).reshape(-1, 1, 1)
    beyond = (along > lines).reshape(2, -1, TURNS, len(inner))
    beyond[0] &= inner
    np.matmul(beyond.reshape(-1, len(inner)).astype(np.float64), products.T, out=out.reshape(-1, ROWS))


def likeliest(beyond: Array, whole: tuple[Array, Array, Array], radii: Array, firm: Array) -> Creases:
    """Return the crease of each disc that lessens the residual most.

    Args:
        beyond: (K, 2, L, 17) sums of `sum_beyond`.
        whole: of the quadratics without crease: samples (K, 2), solutions (K, 2, 6), covariances (K, 2, 6, 6).
        radii: (K, 2) of the discs.
        firm: (K,) precision of what is expected of a slope.
    """
    count, solution, covariance = whole
    off = radii[..., None] * _OFF
    sums = _X[:, None] * beyond[..., _BY_X] + _Y[:, None] * beyond[..., _BY_Y] - off[..., None] * beyond[..., _PLAIN]
    terms = sums[..., :6]
    leaning = terms @ covariance  # how the quadratic gives way to the crease
    square = _X * terms[..., 1] + _Y * terms[..., 2] - off * terms[..., 0] - (leaning * terms).sum(axis=3)
    precision = np.maximum(square, 0) + firm[:, None, None] / SHARP**2
    turned = sums[..., 6] - (terms @ solution[..., None])[..., 0]
    number = beyond[..., 0]
    sided = (number >= SIDE) & (number <= count[..., None] - SIDE)
    gains = np.where(sided, turned * turned / precision, -1.0)
    best = gains.argmax(axis=2)
    of = np.arange(len(best))[:, None], np.arange(len(DISCS)), best
    gain, variance = gains[of], 1 / precision[of]
    # What the crease changes at the pixel: its quadratic gives way, and the pixel itself may lie beyond the line.
    change = _OWN[best] - leaning[of][..., 1:3]
    slope = solution[..., 1:3] + (turned[of] * variance)[..., None] * change
    steep = covariance[..., 1, 1] + covariance[..., 2, 2] + variance * (change * change).sum(axis=2)
    return Creases(slope, np.where(gain >= 0, steep, np.inf), gain)
