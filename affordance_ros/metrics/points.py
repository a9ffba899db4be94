# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many of the answered points lie on what was asked for: our score, and the official Where2Place one as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.results import Keypoints


@dataclass(frozen=True)
class PointScore:
    """accuracies: share of the points of each question in its mask. unreadable: how many answers could not be read."""

    accuracies: tuple[float, ...]
    unreadable: int
    mean_points: float

    @property
    def mean(self) -> float:
        """Mean over ALL questions, NaN without any."""
        return float(np.mean(self.accuracies)) if self.accuracies else float('nan')


def point_accuracy(keypoints: Keypoints, mask: npt.NDArray[np.bool_]) -> float:
    """Return the share of points whose nearest pixel is in `mask` (H, W); no points: 0."""
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(f'mask must be bool (H, W), got {mask.dtype} {mask.shape}')
    if not len(keypoints):
        return 0.0
    pixels = np.rint(np.asarray(keypoints.points)).astype(np.int64)
    inside = ((pixels >= 0) & (pixels < (mask.shape[1], mask.shape[0]))).all(axis=1)
    hits = mask[pixels[inside, 1], pixels[inside, 0]]
    return float(hits.sum() / len(keypoints))


def where2place_score(answers: Sequence[Keypoints | None], masks: Sequence[npt.NDArray[np.bool_]]) -> PointScore:
    """Score every question; None is an unreadable answer and counts 0, so that it cannot raise the mean.

    Args:
        answers: points in pixels of the mask's image, one entry per question.
        masks: bool (H, W), one per question (grey masks: threshold them at half first).
    """
    accuracies = tuple(
        0.0 if answer is None else point_accuracy(answer, mask) for answer, mask in zip(answers, masks, strict=True)
    )
    counts = [len(answer) for answer in answers if answer is not None]
    unreadable = sum(answer is None for answer in answers)
    return PointScore(accuracies, unreadable, float(np.mean(counts)) if counts else 0.0)


@dataclass(frozen=True)
class OfficialScore:
    """accuracies: of the scored questions only. skipped: indices of the others, which the official mean leaves out."""

    accuracies: tuple[float, ...]
    skipped: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The number that the official program prints; NaN when every question was skipped."""
        return float(np.mean(self.accuracies)) if self.accuracies else float('nan')


def official_where2place_score(
    points: Sequence[npt.NDArray[Any] | None], masks: Sequence[npt.NDArray[np.uint8]]
) -> OfficialScore:
    """Score as eval/summarize_vqa of RoboPoint does, with its quirks.

    Masks are used as grey values over 255, a point outside the mask's size counts 0 whatever the answer's scale, and a
    question that could not be parsed disappears from the mean.

    Args:
        points: integer pixels (N, 2) from `official_parse_points`, or None where that raised.
        masks: uint8 (H, W).

    Raises:
        IndexError, ValueError: for integers beyond 64 bits and for colour masks, where the official program stops.
    """
    accuracies, skipped = [], []
    for index, (answer, mask) in enumerate(zip(points, masks, strict=True)):
        if answer is None:
            skipped.append(index)
        else:
            accuracies.append(_official_accuracy(answer, mask / 255.0))
    return OfficialScore(tuple(accuracies), tuple(skipped))


def _official_accuracy(points: npt.NDArray[Any], mask: npt.NDArray[np.float64]) -> float:
    if not len(points):
        return 0.0
    u, v = points[:, 0], points[:, 1]
    inside = (u >= 0) & (u < mask.shape[1]) & (v >= 0) & (v < mask.shape[0])
    hits = mask[v[inside], u[inside]]
    return float(np.concatenate([hits, np.zeros(len(points) - len(hits))]).mean())
