# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Do scores mean what they say? Reliability by bins of the score, and the expected calibration error (ECE)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose score lies in [low, high). score: their mean; right: the share of them that was right."""

    low: float
    high: float
    count: int
    score: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """ece: mean of |score - right| over the answers, by bins. brier: mean squared difference. bins: those with answers.

    bias: mean score minus share of right ones; above 0 the scores promise too much.
    """

    count: int
    ece: float
    brier: float
    bias: float
    bins: tuple[Bin, ...]


def calibrate(scores: Sequence[float], right: Sequence[bool], bins: int = BINS) -> Calibration | None:
    """Compare scores in [0, 1] with what came of them; None without any.

    The bins are of equal width, as Guo et al. 2017 use them; a score of 1 belongs to the last one.
    """
    if len(scores) != len(right):
        raise ValueError(f'{len(scores)} scores for {len(right)} outcomes')
    if not scores:
        return None
    given, true = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError('scores must lie in [0, 1]')
    index = np.minimum((given * bins).astype(np.int64), bins - 1)
    found = []
    for number in np.unique(index):
        inside = index == number
        found.append(
            Bin(
                low=float(number) / bins,
                high=float(number + 1) / bins,
                count=int(inside.sum()),
                score=float(given[inside].mean()),
                right=float(true[inside].mean()),
            )
        )
    return Calibration(
        count=len(given),
        ece=sum(item.count * abs(item.score - item.right) for item in found) / len(given),
        brier=float(np.mean((given - true) ** 2)),
        bias=float(given.mean() - true.mean()),
        bins=tuple(found),
    )
