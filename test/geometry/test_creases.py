# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Beside a crease the normal is that of the own face, also where noise hides the crease from a smooth fit."""

import numpy as np
import pytest

from affordance_ros.geometry.creases import ACROSS, DISCS, LINES, OFFSETS
from affordance_ros.geometry.local_fits import PLANES, all_fits
from affordance_ros.geometry.samples import Measured, samples_of
from affordance_ros.geometry.surface_fit import fit_surfaces

Z, WINDOW_M = 0.8, 0.008


def roof(turn_deg: float, aside_m: float, seed: int, sigma: float = 0.002) -> tuple[Measured, np.ndarray]:
    """Return a roof whose ridge runs `aside_m` beside the pixel, and the normal of the pixel's face."""
    steps = np.arange(-0.024, 0.0241, 0.0012)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    slope = np.tan(np.radians(turn_deg / 2))
    z = Z + slope * np.abs(x - aside_m) + np.random.default_rng(seed).normal(0, sigma, len(x))
    rays = np.stack((x, y), axis=1) / Z
    normal = np.array([-np.sign(aside_m) * slope, 0, -1])
    return Measured(rays, np.zeros(2), z, WINDOW_M / Z, sigma), normal / np.linalg.norm(normal)


def degrees(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


@pytest.mark.parametrize('aside_m', [-0.0035, 0.0035])
def test_the_face_of_the_pixel_counts(aside_m: float) -> None:
    cases = [roof(90, aside_m, seed) for seed in range(20)]
    fits = fit_surfaces([surface for surface, _ in cases])
    errors = [degrees(fit.normal, normal) for fit, (_, normal) in zip(fits, cases, strict=True)]
    assert np.median(errors) < 8
    assert np.quantile(errors, 0.9) < 15


def test_near_a_crease_the_normal_is_told_to_be_less_sure() -> None:
    beside, far = (
        np.median([fit.normal_sigma for fit in fit_surfaces([roof(90, aside, seed)[0] for seed in range(10)])])
        for aside in (0.001, 0.022)
    )
    assert beside > 2 * far


def test_a_crease_is_the_least_squares_fit_of_a_quadratic_that_turns() -> None:
    samples = samples_of([roof(70, 0.004, 3)[0]])
    fits = all_fits(samples)
    for place, disc in enumerate(DISCS):
        inside = fits.weights[0, disc]
        design, value = samples.design[0][:, inside], samples.value[0][inside]
        prior = samples.prior[0] + 1e-9 * np.eye(6)
        best = (-1.0, np.zeros(2))
        for line in range(LINES):
            across, off = ACROSS[line % len(ACROSS)], OFFSETS[line // len(ACROSS)] * fits.radius[0, disc]
            ridge = np.maximum(0, across @ design[1:3] - off)
            terms = np.vstack((design, ridge))
            precision = np.zeros((7, 7))
            precision[:6, :6], precision[6, 6] = prior, samples.prior[0, 1, 1] / 9
            found = np.linalg.solve(terms @ terms.T + precision, terms @ value)
            smooth = np.linalg.solve(design @ design.T + prior, design @ value)

            def cost(fit: np.ndarray, of: np.ndarray, firm: np.ndarray, told: np.ndarray = value) -> float:
                return float(((told - fit @ of) ** 2).sum() + fit @ firm @ fit)

            gain = cost(smooth, design, prior) - cost(found, terms, precision)
            if min((ridge > 0).sum(), (ridge == 0).sum()) >= 8 and gain > best[0]:
                best = gain, found[1:3] + (found[6] * across if off < 0 else 0)
        assert fits.creases.gain[0, place] == pytest.approx(best[0], rel=1e-3)
        np.testing.assert_allclose(fits.creases.slope[0, place], best[1], rtol=1e-3, atol=1e-3)
        assert np.isfinite(fits.creases.variance[0, place])
        assert not np.allclose(fits.creases.slope[0, place], fits.solution[0, PLANES + disc, 1:3], atol=0.1)
