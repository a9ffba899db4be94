# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well answered masks cover the true ones: gIoU, cIoU, P50 and P50:95 as referring segmentation means them.

gIoU is the mean IoU of the questions (not the generalised IoU of boxes), cIoU all intersections over all unions, P50
the share of questions with an IoU above 0.5, P50:95 the mean of that share over the thresholds 0.5, 0.55, ... 0.95.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
THRESHOLDS_PERCENT = tuple(range(50, 100, 5))


@dataclass(frozen=True)
class Overlap:
    """Pixels that both masks cover, and that any of the two covers."""

    intersection: int
    union: int

    def __post_init__(self) -> None:
        if not 0 <= self.intersection <= self.union:
            raise ValueError(f'an overlap needs 0 <= intersection <= union, got {self.intersection} and {self.union}')

    @property
    def iou(self) -> float:
        """Intersection over union, 0 where both masks are empty."""
        return self.intersection / self.union if self.union else 0.0


@dataclass(frozen=True)
class MaskScore:
    """Shares in [0, 1] over all questions, NaN without any."""

    giou: float
    ciou: float
    p50: float
    p50_95: float


def overlap(answer: Mask | None, truth: Mask) -> Overlap:
    """Return how an answer covers the truth, both bool (H, W) of one size; None is no answer, which covers nothing."""
    for mask in (truth, *(() if answer is None else (answer,))):
        if mask.dtype != np.bool_ or mask.ndim != 2 or mask.shape != truth.shape:
            raise ValueError(f'masks must be bool (H, W) of one size, got {mask.dtype} {mask.shape} to {truth.shape}')
    if answer is None:
        return Overlap(0, int(truth.sum()))
    return Overlap(int((answer & truth).sum()), int((answer | truth).sum()))


def mask_score(overlaps: Sequence[Overlap]) -> MaskScore:
    """Return the figures of all questions.

    The thresholds are compared in whole numbers, so that an IoU of exactly 0.55 is not above 0.55.
    """
    if not overlaps:
        return MaskScore(*[float('nan')] * 4)
    inside = np.array([each.intersection for each in overlaps], np.int64)
    around = np.array([each.union for each in overlaps], np.int64)
    shares = [float((100 * inside > percent * around).mean()) for percent in THRESHOLDS_PERCENT]
    return MaskScore(
        float(np.mean([each.iou for each in overlaps])),
        float(inside.sum() / around.sum()) if around.any() else float('nan'),
        shares[0],
        float(np.mean(shares)),
    )


def union_of(masks: npt.NDArray[Any]) -> Mask:
    """Return bool (H, W) of what any of masks (N, H, W) covers; all False when there are none."""
    return np.asarray(masks.astype(np.bool_).any(axis=0))
