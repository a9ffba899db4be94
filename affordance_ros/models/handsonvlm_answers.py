# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoded positions to hand paths: pure, for any number of steps and samples, never with an invented number."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.handsonvlm_heads import LEFT, RIGHT
from affordance_ros.models.handsonvlm_prompts import HAND_STEPS, HAND_TOKEN
from affordance_ros.models.handsonvlm_video import Crop
from affordance_ros.results import NAN, HandTrajectory

STEP_S = 0.25
FARTHEST = 100  # in images; the training had no position beyond 1.5
SIDES = {'right': RIGHT, 'left': LEFT}
NOT_JUDGED = 'whether this hand is in the image was not judged: the model gives a path for both hands always'
IMAGE_ONLY = 'a path in the image: depth, orientation and contact are not predicted'
NO_HANDS = f'NO_ANSWER_TOKEN: the answer has no {HAND_TOKEN}, so there is no path'
Positions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """What positions are fractions of (`crop`), and the size of the original image."""

    crop: Crop
    width: int
    height: int


@dataclass(frozen=True)
class HandsAnswer:
    """hands: right before left, empty when there was no hand token. repairs: what was not taken as it stood."""

    hands: tuple[HandTrajectory, ...]
    repairs: tuple[str, ...] = ()


def read_hands(
    samples: Sequence[Positions], view: View, sides: Sequence[str] = ('right', 'left'), notes: tuple[str, ...] = ()
) -> HandsAnswer:
    """Turn the positions of one or more samples of an answer into paths in pixels of the original image.

    Args:
        samples: (2 hands, n, xy) each, right hand first, in fractions of the part of the image that the model saw. Of
            more than four steps the last four count, as official; of samples that differ in length, the most frequent.
        view: the part of the image, and the image.
        sides: the hands that are asked for.
        notes: further caveats for every path.

    Raises:
        UnparsableAnswer: when a position is no number or absurdly far away.
    """
    repairs: list[str] = []
    length = _common_length([sample.shape[1] for sample in samples], repairs)
    if length == 0:
        return HandsAnswer((), (*repairs, NO_HANDS))
    if length != HAND_STEPS:
        what = 'the last 4 were taken' if length > HAND_STEPS else 'the times of the steps are not sure'
        repairs.append(f'{length} steps instead of {HAND_STEPS}: {what}')
    kept = np.stack(
        [np.asarray(sample, np.float64)[:, -HAND_STEPS:] for sample in samples if sample.shape[1] == length]
    )
    if not (np.abs(kept) <= FARTHEST).all():
        text = f'the model gave hand positions that are no numbers or more than {FARTHEST} images away'
        raise UnparsableAnswer(str(kept.tolist()), f'{text}; is its dtype wide enough?')
    pixels = view.crop.to_pixels(kept)  # (samples, 2, n, uv)
    hands = tuple(_path(pixels[:, SIDES[side]], side, view, notes) for side in sides)
    return HandsAnswer(hands, tuple(repairs))


def _common_length(lengths: Sequence[int], repairs: list[str]) -> int:
    """Return the most frequent length, the longer one of two; 0 without any."""
    counts = Counter(lengths)
    if not counts:
        return 0
    length = max(counts, key=lambda each: (counts[each], each))
    if len(counts) > 1:
        repairs.append(
            f'{len(lengths) - counts[length]} of {len(lengths)} samples with another number of steps left out'
        )
    return length


def _path(pixels: Positions, side: str, view: View, notes: tuple[str, ...]) -> HandTrajectory:
    """Return the path of one hand from its samples (samples, n, uv)."""
    mean = pixels.mean(axis=0)
    apart = np.sqrt(((pixels - mean) ** 2).sum(axis=-1).mean(axis=0))
    spread = apart if len(pixels) > 1 else np.full(len(mean), NAN)  # one sample says nothing about its spread
    times = STEP_S * np.arange(1, len(mean) + 1)
    path = HandTrajectory(mean, times, side, spread)
    caveats = (NOT_JUDGED, IMAGE_ONLY, *notes)
    outside = [str(index + 1) for index in np.flatnonzero(~path.inside(view.width, view.height))]
    if outside:
        caveats += (f'outside the image that was asked about at step {", ".join(outside)} of {len(mean)}',)
    return HandTrajectory(mean, times, side, spread, caveats=caveats)
