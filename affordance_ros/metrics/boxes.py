# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well an answered box covers the true one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.results import Boxes


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return intersection over union of two boxes xyxy; 0 where neither has an area.

    Raises:
        ValueError: for numbers that are no box (x1 < x0, y1 < y0 or not finite).
    """
    one, other = _checked(first), _checked(second)
    overlap = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    inside = float(overlap.prod())
    union = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - inside
    return inside / union if union > 0 else 0.0


def _checked(box: npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = np.asarray(box, np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or (values[2:] < values[:2]).any():
        raise ValueError(f'a box must be finite xyxy with x1 >= x0 and y1 >= y0, got {values.tolist()}')
    return values


@dataclass(frozen=True)
class BoxScore:
    """ious: of every question, 0 where the answer could not be read or holds no box. unreadable: how many could not."""

    ious: tuple[float, ...]
    unreadable: int

    @property
    def mean_iou(self) -> float:
        """Mean over ALL questions, NaN without any."""
        return float(np.mean(self.ious)) if self.ious else float('nan')

    def accuracy(self, threshold: float) -> float:
        """Return the share of all questions with an IoU above `threshold`, NaN without any."""
        return float(np.mean([iou > threshold for iou in self.ious])) if self.ious else float('nan')


def box_score(answers: Sequence[Boxes | None], truths: Sequence[npt.ArrayLike]) -> BoxScore:
    """Score the first box of every answer.

    Args:
        answers: boxes in the pixels of the truth, one entry per question; None is an unreadable answer.
        truths: one box xyxy (4,) per question.
    """
    ious = tuple(
        box_iou(answer.boxes[0], truth) if answer is not None and len(answer) else 0.0
        for answer, truth in zip(answers, truths, strict=True)
    )
    return BoxScore(ious, sum(answer is None for answer in answers))
