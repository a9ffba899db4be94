# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far predicted hand paths are from the true ones: our scores under their right names, and the official ones.

Positions are fractions of the image, hands are in the order right, left, steps in the order of time. A step whose true
position is outside the image counts as no error, as in the published numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_STEPS = 4


@dataclass(frozen=True)
class TrajectoryScore:
    """Means over the valid hands, all samples pooled: over all steps, of the last step, and weighted by t / T.

    hands: how many valid hands there were; without any, the means are NaN.
    """

    ade: float
    fde: float
    wde: float
    hands: int


def step_errors(predicted: Array, true: Array) -> Array:
    """Return (..., T) distances between positions (..., T, 2); 0 where the true one is outside the image."""
    if predicted.shape[-2:] != true.shape[-2:]:
        raise ValueError(f'paths must have as many steps, got {predicted.shape} for {true.shape}')
    return np.where(_inside(true), np.linalg.norm(true - predicted, axis=-1), 0.0)


def average_error(predicted: Array, true: Array) -> Array:
    """Return (...) mean distances over the steps (ADE)."""
    return np.asarray(step_errors(predicted, true).mean(axis=-1))


def final_error(predicted: Array, true: Array) -> Array:
    """Return (...) distances at the last step (FDE)."""
    return np.asarray(step_errors(predicted, true)[..., -1])


def weighted_error(predicted: Array, true: Array) -> Array:
    """Return (...) sums of t / T times the distance over the number of steps inside the image (WDE)."""
    errors = step_errors(predicted, true)
    weights = np.arange(1, errors.shape[-1] + 1) / errors.shape[-1]
    return np.asarray((errors * weights).sum(axis=-1) / np.maximum(_inside(true).sum(axis=-1), 1))


def farthest_corners(true: Array) -> Array:
    """Return (..., 2): the corner of the image farthest from each position, the worst answer inside the image.

    It stands for a position that was not answered, so that silence never scores better than an answer.
    """
    return np.where(np.asarray(true) < 0.5, 1.0, 0.0)


def trajectory_score(predicted: Array, true: Array, valid: Array) -> TrajectoryScore:
    """Score predictions (N, S, 2, T, 2) of S samples against true paths (N, 2, T, 2) where valid (N, 2) is above 0.

    What was predicted for a hand that is not valid plays no part, NaN included.

    Raises:
        ValueError: when the shapes do not fit together, or there is no sample.
    """
    if predicted.ndim != 5 or predicted.shape[1] == 0 or predicted.shape[:1] + predicted.shape[2:] != true.shape:
        raise ValueError(
            f'predicted must be (N, S, 2, T, 2) for true (N, 2, T, 2), got {predicted.shape}, {true.shape}'
        )
    if valid.shape != true.shape[:2]:
        raise ValueError(f'valid must be {true.shape[:2]}, got {valid.shape}')
    chosen = np.asarray(valid) > 0
    if not chosen.any():
        return TrajectoryScore(float('nan'), float('nan'), float('nan'), 0)
    paths = np.moveaxis(np.asarray(predicted, np.float64), 1, 0)[:, chosen]
    truth = np.asarray(true, np.float64)[chosen]
    means = [float(measure(paths, truth).mean()) for measure in (average_error, final_error, weighted_error)]
    return TrajectoryScore(means[0], means[1], means[2], int(chosen.sum()))


def _inside(true: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(((true >= 0) & (true < 1)).all(axis=-1))


class OfficialError(NamedTuple):
    """per_hand: (N, hands), already multiplied with the validity. value: their sum over `valid`, the sum of it."""

    per_hand: Array
    value: float
    valid: float


def official_ade(predicted: Array, true: Array, valid: Array) -> OfficialError:
    """Return the mean error over the steps of paths (N, hands, T, 2), as compute_ade does."""
    inside = _inside(true)[..., None]
    per_hand = np.linalg.norm((true - predicted) * inside, axis=-1).mean(axis=-1) * valid
    return OfficialError(per_hand, _divided(per_hand.sum(), valid.sum()), float(valid.sum()))


def official_fde(predicted: Array, true: Array, valid: Array) -> OfficialError:
    """Return the error of the last step, as compute_fde does; paths may have different lengths."""
    last = true[:, :, -1]
    error = (last - predicted[:, :, -1]) * _inside(last)[..., None]
    per_hand = np.linalg.norm(error, axis=-1) * valid
    return OfficialError(per_hand, _divided(per_hand.sum(), valid.sum()), float(valid.sum()))


def official_wde(predicted: Array, true: Array, valid: Array) -> OfficialError:
    """Return the weighted error, as compute_wde does: four steps only, and a little too small by its 1e-6."""
    inside = _inside(true)
    errors = np.linalg.norm((true - predicted) * inside[..., None], axis=-1)
    weighted = errors * np.array([0.25, 0.5, 0.75, 1.0]) * inside
    per_hand = weighted.sum(axis=-1) / np.maximum(inside.sum(axis=-1), 1) * valid
    return OfficialError(per_hand, float(per_hand.sum() / (valid.sum() + 1e-6)), float(valid.sum()))


@dataclass(frozen=True)
class OfficialTrajectoryScore:
    """What the official evaluation prints: `ade` holds the error of the LAST step and `fde` the MEAN over the steps.

    `wde` is the mean over all hands, the ones that are not valid counting 0. std: of the three, in that order.
    """

    ade: float
    fde: float
    wde: float
    std: tuple[float, float, float]


def official_trajectory_score(predicted: Array, true: Array, valid: Array) -> OfficialTrajectoryScore:
    """Score (N, S, 2, 4, 2) against (N, 2, 4, 2) as the official evaluation of HandsOnVLM does, quirks included.

    Raises:
        AssertionError: with NaN anywhere, no valid hand, a validity between 0 and 1, or other than two hands.
        ValueError: without samples, with other than four steps, or when shapes do not fit.
        IndexError: without the axis of the samples.
    """
    samples = [predicted[:, index, :, :, :] for index in range(predicted.shape[1])]
    if not samples:
        raise ValueError('the official evaluation needs at least one sample')
    final, mean, weighted = (
        np.stack([measure(sample, true, valid).per_hand for sample in samples]).astype(np.float32)
        for measure in (official_fde, official_ade, official_wde)
    )
    if final.shape[2] != 2:
        raise AssertionError(final.shape)
    chosen = np.asarray(valid) > 0
    pooled = final[:, chosen], mean[:, chosen]
    with np.errstate(invalid='ignore', divide='ignore'):
        for each, kept in zip((final, mean), pooled, strict=True):
            first = (each.mean(axis=0) * valid).sum() / np.float64(valid.sum())
            second = kept.mean() if kept.size else np.nan
            if not np.isclose(first, second, atol=1e-3):
                raise AssertionError((first, second))
        names = (*pooled, weighted)
        means = [float(each.mean()) for each in names]
        spread = [float(each.std()) for each in names]
    return OfficialTrajectoryScore(means[0], means[1], means[2], (spread[0], spread[1], spread[2]))


@dataclass(frozen=True)
class EvaluatedClip:
    """One clip of the official evaluation: predicted (1, S, 2, T, 2), true (1, 2, T, 2), valid (1, 2)."""

    predicted: Array
    true: Array
    valid: Array


def official_evaluation(clips: Sequence[EvaluatedClip | None]) -> OfficialTrajectoryScore:
    """Pool clips and score their last four steps, as the official program does; None: an answer without a path.

    Answers without a path do not count at all, which makes the numbers look better.

    Raises:
        ValueError: when no clip is left.
        AssertionError: when a path has fewer than four steps.
    """
    used = [clip for clip in clips if clip is not None]
    predicted = np.concatenate([clip.predicted[:, :, :, -_STEPS:] for clip in used])
    true = np.concatenate([clip.true[:, :, -_STEPS:] for clip in used])
    if predicted.shape[3] != _STEPS or true.shape[2] != _STEPS:
        raise AssertionError((predicted.shape, true.shape))
    return official_trajectory_score(predicted, true, np.concatenate([clip.valid for clip in used]))


def _divided(total: Any, count: Any) -> float:
    with np.errstate(invalid='ignore', divide='ignore'):
        return float(np.float64(total) / np.float64(count))
