# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What surfaces are fitted to: their samples in inverse depth, side by side, and what is expected of each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.geometry.thin import Strip

Array = npt.NDArray[Any]
SLOPE, BEND_M = 1.0, 0.006  # priors: tangent of a slope, depth by which a surface bends over one window
FACING = 0.5  # tangent by which the middle of a thin part may turn away


@dataclass(frozen=True)
class Measured:
    """The measured pixels of one surface.

    rays: (N, 2) normalised image coordinates (x / z, y / z). at: (2,) where depth and normal are wanted. z: (N,) depth
    in metres. window: radius of the window in normalised image coordinates. sigma_m: standard deviation of one depth
    pixel here. strip: the strip that the surface forms in the image, in windows about `at`, if it is a thin part.
    """

    rays: Array
    at: Array
    z: Array
    window: float
    sigma_m: float
    strip: Strip | None = None


@dataclass(frozen=True)
class Samples:
    """K surfaces of up to N samples; what is beyond the `number` (K,) of one is 0, and infinitely far away.

    design: (K, 6, N) terms 1, x, y, xx, xy, yy in windows about the asked ray. value: (K, N) inverse depth less its
    middle (K,), in units (K,) of the noise. away: (K, N) in windows. window, thin: (K,). at: (K, 2). prior: (K, 6, 6)
    precision and expected: (K, 6) information of what is expected.
    """

    design: Array
    value: Array
    away: Array
    number: Array
    middle: Array
    unit: Array
    window: Array
    at: Array
    thin: Array
    prior: Array
    expected: Array


def samples_of(surfaces: Sequence[Measured]) -> Samples:
    """Return what is fitted, of at least one surface."""
    number = np.array([len(surface.z) for surface in surfaces])
    shape = len(surfaces), int(number.max())
    design, value, away = np.zeros((shape[0], 6, shape[1])), np.zeros(shape), np.full(shape, np.inf)
    middle, unit, prior = np.empty(shape[0]), np.empty(shape[0]), np.zeros((shape[0], 6, 6))
    expected = np.zeros((shape[0], 6))
    for k, (surface, count) in enumerate(zip(surfaces, number.tolist(), strict=True)):
        inverse = 1 / surface.z
        middle[k] = np.partition(inverse, count // 2)[count // 2]
        unit[k] = surface.sigma_m * middle[k] ** 2
        value[k, :count] = (inverse - middle[k]) / unit[k]
        design[k, 0, :count] = 1
        design[k, 1:3, :count] = ((surface.rays - surface.at) / surface.window).T
        window_m = surface.window / float(middle[k])
        slope, bend = SLOPE * window_m / surface.sigma_m, BEND_M / surface.sigma_m
        prior[k, range(1, 6), range(1, 6)] = (slope**-2, slope**-2, bend**-2, bend**-2, bend**-2)
        if surface.strip is not None:
            _round_prior(prior[k], expected[k], surface.strip, window_m / surface.sigma_m)
    design[:, 3:5] = design[:, 1:2] * design[:, 1:3]
    design[:, 5] = design[:, 2] ** 2
    np.sqrt(design[:, 3] + design[:, 5], out=away, where=design[:, 0] > 0)
    window, at = np.array([surface.window for surface in surfaces]), np.array([surface.at for surface in surfaces])
    thin = np.array([surface.strip is not None for surface in surfaces])
    return Samples(design, value, away, number, middle, unit, window, at, thin, prior, expected)


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
