# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far one path in the image is from another: the four usual distances between sequences of points.

Paths are (N, 2) pixels in the order of motion. The number of points of the two may differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from affordance_ros.results import NAN, Trace

Path = npt.NDArray[np.float64]
RESAMPLED = 10


@dataclass(frozen=True)
class TraceErrors:
    """Distances between two paths, in their unit.

    dtw: sum over the best alignment, so it grows with the number of points. frechet: discrete Fréchet distance, the
    longest leash of two walkers. hausdorff: largest distance of a point to the other path, without regard to order.
    rmse: root mean square per axis, point by point, mean of both axes; NaN when the numbers of points differ.
    """

    dtw: float
    frechet: float
    hausdorff: float
    rmse: float


def checked_path(points: npt.ArrayLike) -> Path:
    """Return `points` as float64 (N, 2). Raises ValueError unless N >= 1 and all are finite."""
    path = np.asarray(points, np.float64)
    if path.ndim != 2 or path.shape[1] != 2 or not len(path) or not np.isfinite(path).all():
        raise ValueError(f'a path must be finite points (N, 2) with N >= 1, got shape {path.shape}')
    return path


def _distances(first: Path, second: Path) -> Path:
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=2), np.float64)


def dtw(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the dynamic time warping distance: the least sum of distances over monotone alignments."""
    cost = _distances(checked_path(first), checked_path(second))
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(*cost.shape):
        total[i + 1, j + 1] = cost[i, j] + min(total[i, j + 1], total[i + 1, j], total[i, j])
    return float(total[-1, -1])


def discrete_frechet(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the least, over monotone alignments, of the largest distance in the alignment."""
    cost = _distances(checked_path(first), checked_path(second))
    leash = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    leash[0, 0] = 0
    for i, j in np.ndindex(*cost.shape):
        leash[i + 1, j + 1] = max(cost[i, j], min(leash[i, j + 1], leash[i + 1, j], leash[i, j]))
    return float(leash[-1, -1])


def hausdorff(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the larger of the two directed Hausdorff distances between the sets of points."""
    cost = _distances(checked_path(first), checked_path(second))
    return float(max(cost.min(axis=1).max(), cost.min(axis=0).max()))


def axis_rmse(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the root mean square difference of each axis over the points, mean of both axes; NaN if N differs."""
    one, other = checked_path(first), checked_path(second)
    if len(one) != len(other):
        return NAN
    return float(np.sqrt(np.mean((one - other) ** 2, axis=0)).mean())


def resampled(points: npt.ArrayLike, count: int = RESAMPLED) -> Path:
    """Return `count` points, linear in the index of the points (not in arc length), ends kept."""
    path = checked_path(points)
    at = np.linspace(0, len(path) - 1, count)
    return np.column_stack([np.interp(at, np.arange(len(path)), path[:, axis]) for axis in range(2)])


def trace_errors(answer: npt.ArrayLike, truth: npt.ArrayLike) -> TraceErrors:
    """Return all four distances between two paths as they are."""
    return TraceErrors(
        dtw(answer, truth), discrete_frechet(answer, truth), hausdorff(answer, truth), axis_rmse(answer, truth)
    )


def normalised_trace_errors(answer: npt.ArrayLike, truth: npt.ArrayLike, size: tuple[int, int]) -> TraceErrors:
    """Return the distances after resampling both to 10 points, in diagonals of the image of `size` (w, h).

    They compare across image sizes and numbers of points, which the plain sums do not.
    """
    diagonal = float(np.hypot(*size))
    if not diagonal > 0:
        raise ValueError(f'size must be (width, height) in pixels, got {size}')
    return trace_errors(resampled(answer) / diagonal, resampled(truth) / diagonal)


@dataclass(frozen=True)
class TraceScore:
    """errors in pixels and normalised, of every question; None where the answer could not be read."""

    errors: tuple[TraceErrors | None, ...]
    normalised: tuple[TraceErrors | None, ...]

    @property
    def unreadable(self) -> int:
        """How many answers could not be read or hold no path."""
        return sum(error is None for error in self.errors)

    @property
    def mean(self) -> TraceErrors:
        """Mean of each distance over the READ answers, rmse over those of equal length; NaN without any."""
        return _mean([error for error in self.errors if error is not None])

    @property
    def normalised_mean(self) -> TraceErrors:
        """Mean of each normalised distance over the read answers; NaN without any."""
        return _mean([error for error in self.normalised if error is not None])


def _mean(errors: Sequence[TraceErrors]) -> TraceErrors:
    columns = (np.array([getattr(error, field.name) for error in errors]) for field in fields(TraceErrors))
    known = [column[~np.isnan(column)] for column in columns]
    return TraceErrors(*(float(column.mean()) if column.size else NAN for column in known))


def trace_score(
    answers: Sequence[Trace | None], truths: Sequence[npt.ArrayLike], sizes: Sequence[tuple[int, int]]
) -> TraceScore:
    """Score every question.

    There is no distance to an answer that is not there, so the mean is over the others and `unreadable` stands beside
    it; a perfect answer counts like any other.

    Args:
        answers: paths in pixels, one entry per question; None is an unreadable answer.
        truths: points (N, 2) in pixels, N >= 1.
        sizes: (width, height) of the image of each question.
    """
    errors: list[TraceErrors | None] = []
    normalised: list[TraceErrors | None] = []
    for answer, truth, size in zip(answers, truths, sizes, strict=True):
        read = answer is not None and len(answer.points) > 0
        errors.append(trace_errors(answer.points, truth) if answer is not None and read else None)
        normalised.append(normalised_trace_errors(answer.points, truth, size) if answer is not None and read else None)
    return TraceScore(tuple(errors), tuple(normalised))
