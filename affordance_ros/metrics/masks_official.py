# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as the official programs of Affordance-R1 score them, defects included, for comparisons only.

Behaviour of hq-King/Affordance-R1 at d84efcd: `evaluation_scripts` (evaluation_aff_r1.py counts the pixels,
calculate_iou.py makes the figures) for ReasonAff, `zero_shot.py` for UMD and AGD20K. KLD and SIM of `zero_shot.py` are
those of `metrics.heatmap`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.metrics.masks import MaskScore, Overlap

_EPS = 1e-12
_LEVELS = 255.0
_HALF = 0.5
_MARKED = 0.1


def official_overlap(answer: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Overlap | None:
    """Return the pixels that evaluation_aff_r1.py counts, None where it leaves the question out without a word.

    That is for masks of sizes that numpy cannot broadcast, and for two empty masks.
    """
    try:
        inside, around = np.logical_and(answer, truth).sum(), np.logical_or(answer, truth).sum()
    except ValueError:
        return None
    return Overlap(int(inside), int(around)) if around else None


def official_penalty(truth: npt.NDArray[Any]) -> Overlap:
    """Return what evaluation_aff_r1.py counts for an answer that is no JSON: the sum of the truth's VALUES as union."""
    return Overlap(0, int(np.asarray(truth).sum()))


def official_reasonaff_score(overlaps: Sequence[Overlap]) -> MaskScore:
    """Return the figures of calculate_iou.py: a union of 0 is an IoU of 0, thresholds carry their rounding errors."""
    return _score([each.iou for each in overlaps], overlaps, np.arange(0.5, 0.96, 0.05))


def official_map_overlap(answer: npt.NDArray[np.bool_], truth: npt.NDArray[Any]) -> tuple[float, Overlap]:
    """Return the IoU and the pixels that zero_shot.py counts for a truth map of 0 to 255; two empty masks: IoU 1.

    Raises:
        ValueError: for a colour map and for sizes that numpy cannot broadcast, where the program stops.
    """
    if truth.ndim != 2:
        raise ValueError(f'the truth value of a pixel is ambiguous in a map of shape {truth.shape}')
    marked = truth.astype(np.float32) / _LEVELS > _HALF
    inside, around = int(np.sum(marked & answer)), int(np.sum(marked | answer))
    return (inside / around if around else 1.0), Overlap(inside, around)


def official_zero_shot_score(found: Sequence[tuple[float, Overlap]]) -> MaskScore:
    """Return the figures of zero_shot.py over what `official_map_overlap` found."""
    return _score([iou for iou, _ in found], [each for _, each in found], np.arange(0.5, 1.0, 0.05))


def official_map_nss(answer: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Return the NSS of zero_shot.py: epsilons against flat maps, so a flat answer gives 0."""
    p, g = answer / _LEVELS, truth / _LEVELS
    z = (p - np.mean(p)) / (np.std(p) + _EPS)
    marked = ((g - np.min(g)) / (np.max(g) - np.min(g) + _EPS) > _MARKED).astype(np.float64)
    return float(np.sum(z * marked) / np.sum(marked + _EPS))


def official_rank_map(ranks: npt.NDArray[np.integer[Any]], index: int) -> npt.NDArray[np.uint8]:
    """Return the truth map (H, W) of 0 to 255 that zero_shot.py makes of UMD's ranks (H, W, 7) for one affordance.

    Ranks are divided by the highest rank of ANY affordance in the file, so that what counts as true hangs on the other
    ones: with a highest rank of 2 nothing is above half.
    """
    own, highest = ranks[:, :, index].astype(np.float64), float(ranks.max())
    values = np.where(own == 0, 0.0, 1.0 - own / highest) if highest else np.zeros(own.shape)
    return np.asarray((values * _LEVELS).astype(np.uint8))


def _score(ious: Sequence[float], overlaps: Sequence[Overlap], thresholds: npt.NDArray[np.floating[Any]]) -> MaskScore:
    if not overlaps:
        return MaskScore(*[float('nan')] * 4)
    around = sum(each.union for each in overlaps)
    values = np.array(ious)
    return MaskScore(
        float(np.mean(values)),
        sum(each.intersection for each in overlaps) / around if around else 0.0,
        float(np.mean(values > _HALF)),
        float(np.mean([np.mean(values > threshold) for threshold in thresholds])),
    )
