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
TOP = np.array([0, -1, -1]) / np.sqrt(2)


def cap(aside_m: float, seed: int, sigma: float = 0.002) -> Measured:
    """Return a bottle's cap seen from 45 degrees: `aside_m` beside the pixel its flat top meets its round side."""
    steps = np.arange(-0.024, 0.0241, 0.0012)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    z = Z + np.where(y < aside_m, aside_m - y, y - aside_m + x**2 / 0.04)
    z += np.random.default_rng(seed).normal(0, sigma, len(z))
    return Measured(np.stack((x, y), axis=1) / Z, np.zeros(2), z, WINDOW_M / Z, sigma)


def turned_off(aside_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the normals of 40 noisy caps are off, and how far they say they may be, in degrees."""
    fits = fit_surfaces([cap(aside_m, seed) for seed in range(40)])
    off = [np.degrees(np.arccos(fit.normal @ TOP)) for fit in fits]
    return np.array(off), np.degrees([fit.normal_sigma for fit in fits])


def test_the_face_of_the_pixel_counts() -> None:
    assert np.median(turned_off(0.012)[0]) < 2
    assert np.median(turned_off(0.008)[0]) < 2
    assert np.median(turned_off(0.002)[0]) < 16  # a smooth fit is 27 degrees off here


def test_a_normal_beside_a_crease_is_told_to_be_less_sure() -> None:
    off, told = turned_off(0.002)
    assert np.mean(off > 3 * told) < 0.2
    assert np.median(told) > 3 * np.median(turned_off(0.012)[1])


def test_a_crease_is_the_least_squares_fit_of_a_quadratic_that_turns() -> None:
    samples = samples_of([cap(0.004, 3)])
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
