# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and normal at a pixel from the inverse depth around it.

1/z of a plane is linear in the pixel, exactly; 1/z of a curved surface is nearly quadratic. The noise of a stereo
camera is the same everywhere in 1/z (it is an error of disparity), so plain least squares is the right estimate there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SurfaceFit:
    """What a fit tells about the surface at its pixel.

    depth_m along the optical axis. normal: unit, towards the camera. depth_sigma_m, normal_sigma: standard deviations
    (metres, radians) that follow from the scatter. residual_m: RMS scatter in depth. curved: it is the quadratic fit.
    """

    depth_m: float
    normal: Array
    depth_sigma_m: float
    normal_sigma: float
    residual_m: float
    inliers: int
    curved: bool


def fit_surface(rays: Array, at: Array, z: Array, scale: float, sigma_m: float) -> SurfaceFit:
    """Fit the surface under the ray `at` (2,), in normalised image coordinates (x / z, y / z).

    Args:
        rays: (N, 2) normalised image coordinates of the measured pixels.
        at: (2,) where depth and normal are wanted.
        z: (N,) depth in metres.
        scale: width of the Gaussian weight in normalised image coordinates.
        sigma_m: standard deviation of one depth pixel here, metres.
    """
    offset = (rays - at) / scale
    inverse = 1 / z
    middle = float(np.median(inverse))
    sigma = sigma_m * middle**2
    x, y = offset[:, 0], offset[:, 1]
    design = np.stack((np.ones(len(z)), x, y, x * x, x * y, y * y))
    weight = np.exp(-0.5 * (x * x + y * y))
    flat, flat_left = _solved(design[:3], inverse, weight, sigma)
    solution, used, curved = flat, flat_left, False
    if len(z) >= 30:
        bent, bent_left = _solved(design, inverse, weight, sigma)
        kept = flat_left & bent_left if (flat_left & bent_left).sum() >= 20 else bent_left
        w = weight[kept]
        flat_error = float(w @ (inverse[kept] - flat @ design[:3][:, kept]) ** 2)
        bent_error = float(w @ (inverse[kept] - bent @ design[:, kept]) ** 2)
        effective = float(w.sum()) ** 2 / max(float((w * w).sum()), 1e-12)
        scatter = max(bent_error / max(effective - 6, 1.0), (0.5 * sigma) ** 2)
        if (flat_error - bent_error) / 3 > 4 * scatter:
            solution, used, curved = bent, bent_left, True
    return _read(design[: len(solution)], (inverse, weight, used), solution, at, scale, curved=curved)


def _solved(design: Array, inverse: Array, weight: Array, sigma: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the weighted least squares solution, trimmed twice at 3 scatters, and which pixels were kept."""
    kept = np.ones(len(inverse), bool)
    solution = np.zeros(len(design))
    for turn in range(3):
        w = weight * kept
        normal = (design * w) @ design.T
        solution = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(len(design)), design @ (w * inverse))
        if turn == 2:
            break
        residual = np.abs(inverse - solution @ design)
        spread = max(1.4826 * float(np.median(residual[kept])), 0.3 * sigma)
        close = residual <= 3 * spread
        if close.sum() < len(design) + 4 or (close == kept).all():
            break
        kept = close
    return solution, kept


def _read(  # noqa: PLR0913 - the pieces of one fit
    design: Array, samples: tuple[Array, Array, Array], solution: Array, at: Array, scale: float, *, curved: bool
) -> SurfaceFit:
    inverse, weight, used = samples
    w, columns = weight[used], design[:, used]
    value = max(float(solution[0]), 1e-6)
    slope = solution[1:3] / scale
    normal = -np.array([slope[0], slope[1], value - slope @ at])
    length = float(np.linalg.norm(normal))
    residual = inverse[used] - solution @ columns
    total = max(float(w.sum()), 1e-9)
    scatter = float(w @ residual**2) / total * len(w) / max(len(w) - len(solution), 1)
    gram = (columns * w) @ columns.T
    back = np.linalg.inv(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)))
    spread = scatter * back @ ((columns * w**2) @ columns.T) @ back
    depth = 1 / value
    return SurfaceFit(
        depth,
        normal / length,
        float(np.sqrt(max(spread[0, 0], 0))) * depth**2,
        float(np.sqrt(max(spread[1, 1] + spread[2, 2], 0) / 2)) / scale / length,
        float(np.sqrt(scatter)) * depth**2,
        int(used.sum()),
        curved,
    )
