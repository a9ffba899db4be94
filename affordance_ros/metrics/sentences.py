# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""BLEU of one sentence against one reference (Papineni et al. 2002), with the smoothings of Chen and Cherry 2014."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MAX_ORDER = 4
Smoothing = Callable[[int], float]


def method_1(count: int) -> float:
    """Return the precision of an order of which none of `count` n-grams matches: a tenth of a match."""
    return 0.1 / count


def no_smoothing(count: int) -> float:  # noqa: ARG001 - one signature for all smoothings
    """Return the least float, so that BLEU is next to 0 (as the usual library has it)."""
    return sys.float_info.min


@dataclass(frozen=True)
class Bleu:
    """orders: BLEU-1 to BLEU-4. An order beyond the reference's length has the value of the longest one within it."""

    orders: tuple[float, float, float, float]

    @property
    def mean(self) -> float:
        """Mean of the four orders, the figure that planning benchmarks report."""
        return sum(self.orders) / MAX_ORDER


def weighted_bleu(
    candidate: Sequence[str], reference: Sequence[str], weights: Sequence[float], smoothing: Smoothing = method_1
) -> float:
    """Return the BLEU of `candidate` words with one weight per order of n-gram; 0 without any common word.

    Args:
        candidate: words of the answer.
        reference: words of the truth.
        weights: of the logarithms of the precisions of orders 1, 2, ...
        smoothing: precision, from its number of n-grams, of an order without a match.
    """
    matches = [_matches(candidate, reference, order + 1) for order in range(len(weights))]
    if not matches[0][0]:
        return 0.0
    logs = (
        weight * math.log(hits / count if hits else smoothing(count))
        for weight, (hits, count) in zip(weights, matches, strict=True)
        if weight
    )
    brevity = 1.0 if len(candidate) > len(reference) else math.exp(1 - len(reference) / len(candidate))
    return brevity * math.exp(math.fsum(logs))


def _matches(candidate: Sequence[str], reference: Sequence[str], order: int) -> tuple[int, int]:
    """Return how many n-grams of the candidate are in the reference, clipped, and how many there are (at least 1)."""
    ours, theirs = _ngrams(candidate, order), _ngrams(reference, order)
    return sum(min(count, theirs[gram]) for gram, count in ours.items()), max(1, sum(ours.values()))


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def sentence_bleu(answer: str, truth: str, smoothing: Smoothing = method_1) -> Bleu:
    """Return BLEU-1 to BLEU-4 of an answer: words by white space, without regard to case, weights 1/n each."""
    candidate, reference = answer.lower().split(), truth.lower().split()
    if not reference:
        raise ValueError('the reference sentence is empty')
    values = [
        weighted_bleu(candidate, reference, [1 / order] * order, smoothing)
        for order in range(1, min(MAX_ORDER, len(reference)) + 1)
    ]
    one, two, three, four = (*values, *values[-1:] * (MAX_ORDER - len(values)))
    return Bleu((one, two, three, four))


@dataclass(frozen=True)
class SentenceScore:
    """bleus: of every question, zeros for an unreadable one. unreadable: how many could not be read."""

    bleus: tuple[Bleu, ...]
    unreadable: int

    @property
    def mean(self) -> float:
        """Mean over ALL questions of the mean of BLEU-1 to BLEU-4, NaN without any."""
        return float(np.mean([bleu.mean for bleu in self.bleus])) if self.bleus else float('nan')


def sentence_score(answers: Sequence[str | None], truths: Sequence[str]) -> SentenceScore:
    """Score every sentence; None is an unreadable answer and counts 0."""
    bleus = tuple(
        Bleu((0.0, 0.0, 0.0, 0.0)) if answer is None else sentence_bleu(answer, truth)
        for answer, truth in zip(answers, truths, strict=True)
    )
    return SentenceScore(bleus, sum(answer is None for answer in answers))
