# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and normal of known surfaces, with noise, at edges, on thin round parts; the told errors mean something."""

import numpy as np
import pytest

from affordance_ros.geometry.samples import Measured
from affordance_ros.geometry.surface_fit import SurfaceFit, fit_surfaces
from affordance_ros.geometry.thin import Strip, strip_of

WINDOW_M, PITCH = 0.008, 0.001


def fit_surface(surface: Measured) -> SurfaceFit:
    return fit_surfaces([surface])[0]


def patch(reach: float = 0.024, z: float = 0.6) -> np.ndarray:
    """Return normalised image coordinates (N, 2) of a square grid of pixels about the axis."""
    steps = np.arange(-reach, reach + 1e-9, PITCH) / z
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def plane_depth(rays: np.ndarray, z: float, normal: np.ndarray) -> np.ndarray:
    return z * normal[2] / (rays @ normal[:2] + normal[2])


def angle(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def tilted(degrees: float) -> np.ndarray:
    return np.array([0.0, np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])


@pytest.mark.parametrize('tilt', [0, 25, 50, 65])
def test_a_clean_plane_is_exact(tilt: float) -> None:
    rays = patch()
    fit = fit_surface(Measured(rays, np.zeros(2), plane_depth(rays, 0.6, tilted(tilt)), WINDOW_M / 0.6, 0.0005))
    assert fit.depth_m == pytest.approx(0.6, abs=2e-5)
    assert angle(fit.normal, tilted(tilt)) < 0.5
    assert not fit.half


@pytest.mark.parametrize('tilt', [0, 40])
def test_errors_are_as_large_as_told(tilt: float) -> None:
    rays, sigma = patch(), 0.003
    true = plane_depth(rays, 0.6, tilted(tilt))
    turns, shifts, told = [], [], []
    for seed in range(60):
        noisy = true + np.random.default_rng(seed).normal(0, sigma, len(true))
        fit = fit_surface(Measured(rays, np.zeros(2), noisy, WINDOW_M / 0.6, sigma))
        turns.append(np.radians(angle(fit.normal, tilted(tilt))))
        shifts.append(fit.depth_m - 0.6)
        told.append((fit.normal_sigma, fit.depth_sigma_m))
    normal_sigma, depth_sigma = np.median(told, axis=0)
    assert 0.3 < np.sqrt(np.mean(np.square(turns)) / 2) / normal_sigma < 2.5
    assert 0.3 < np.std(shifts) / depth_sigma < 2.5
    assert np.degrees(np.median(turns)) < 3


def test_beside_a_crease_the_own_side_counts() -> None:
    rays = patch()
    left, right = np.array([-0.6, 0, -0.8]), np.array([0.6, 0, -0.8])
    depth = np.where(rays[:, 0] < 0, plane_depth(rays, 0.6, left), plane_depth(rays, 0.6, right))
    depth += np.random.default_rng(0).normal(0, 0.0005, len(depth))
    for x, normal in ((-0.006, left), (0.006, right)):
        fit = fit_surface(Measured(rays, np.array([x / 0.6, 0]), depth, WINDOW_M / 0.6, 0.0005))
        assert angle(fit.normal, normal) < 4


def test_a_few_wrong_pixels_do_not_matter() -> None:
    rays = patch()
    depth = plane_depth(rays, 0.6, tilted(20))
    depth += np.random.default_rng(0).normal(0, 0.001, len(depth))
    depth[np.random.default_rng(1).random(len(depth)) < 0.02] += 0.03
    fit = fit_surface(Measured(rays, np.zeros(2), depth, WINDOW_M / 0.6, 0.001))
    assert fit.depth_m == pytest.approx(0.6, abs=0.0015)
    assert angle(fit.normal, tilted(20)) < 8


def stick(offset_m: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rays, noisy depth and normal at `offset_m` from the middle of a stick of 8 mm radius along y."""
    rays, radius, z = patch(), 0.008, 0.9
    x = rays[:, 0] * 0.9
    own = np.abs(x) < 0.93 * radius
    depth = z - np.sqrt(radius**2 - x[own] ** 2)
    depth += np.random.default_rng(seed).normal(0, 0.003, len(depth))
    sine = offset_m / radius
    return rays[own], depth, np.array([sine, 0, -np.sqrt(1 - sine**2)])


def test_the_outline_of_a_thin_part_tells_where_its_side_faces() -> None:
    blind, knowing = [], []
    for seed in range(12):
        rays, depth, normal = stick(0.005, seed)
        at = np.array([0.005 / 0.9, 0])
        strip = Strip(np.array([1.0, 0]), -0.005 / WINDOW_M, 1.0)
        blind.append(angle(fit_surface(Measured(rays, at, depth, WINDOW_M / 0.9, 0.003)).normal, normal))
        knowing.append(angle(fit_surface(Measured(rays, at, depth, WINDOW_M / 0.9, 0.003, strip)).normal, normal))
    assert np.median(knowing) < 12
    assert np.median(knowing) < 0.8 * np.median(blind)


def test_a_strip_must_stand_before_both_of_its_sides() -> None:
    steps = np.linspace(-3, 3, 61)
    across, along = (values.ravel() for values in np.meshgrid(steps, steps))
    own = np.abs(across) < 0.8
    offset = np.stack((across, along))

    def found(left: float, right: float) -> Strip | None:
        depth = np.where(own, 0.6, np.where(across < 0, left, right))
        return strip_of(offset[:, own], depth[own], lambda: (steps, steps, depth.reshape(61, 61)), (WINDOW_M, 0.001))

    strip = found(0.7, 0.7)
    assert strip is not None
    assert abs(strip.across[0]) == pytest.approx(1, abs=0.01)
    assert strip.half == pytest.approx(0.8, abs=0.1)
    assert found(0.7, 0.6) is None  # the side face of a box goes on
    assert found(0.5, 0.7) is None  # something stands before it
    round_patch = np.hypot(across, along) < 0.8
    depth = np.where(round_patch, 0.6, 0.7)
    grid = steps, steps, depth.reshape(61, 61)
    assert strip_of(offset[:, round_patch], depth[round_patch], lambda: grid, (WINDOW_M, 0.001)) is None


def test_surfaces_fitted_together_are_fitted_as_alone() -> None:
    rays, rng = patch(), np.random.default_rng(3)
    strip = Strip(np.array([1.0, 0]), -0.005 / WINDOW_M, 1.0)
    sticks, depth, _ = stick(0.005, 1)
    surfaces = [
        Measured(rays, np.zeros(2), plane_depth(rays, 0.6, tilted(50)), WINDOW_M / 0.6, 0.0005),
        Measured(sticks, np.array([0.005 / 0.9, 0]), depth, WINDOW_M / 0.9, 0.003, strip),
        Measured(rays[:14], rays[7], 0.5 + rng.normal(0, 0.001, 14), WINDOW_M / 0.5, 0.001),
    ]
    assert fit_surfaces([]) == []
    for together, surface in zip(fit_surfaces(surfaces), surfaces, strict=True):
        alone = fit_surface(surface)
        assert together.depth_m == pytest.approx(alone.depth_m, abs=1e-9)
        assert angle(together.normal, alone.normal) < 1e-3
        assert together.inliers == alone.inliers
        assert together.residual_m == pytest.approx(alone.residual_m, rel=1e-6)
