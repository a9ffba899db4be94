# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a soft map fits a truth map: KLD, SIM and NSS, and the same as the official GLOVER evaluation computes them.

Ours compute in float64, want maps of one size without NaN, and are NaN where a number means nothing. The official ones
(TeleeMa/GLOVER at 0971cce, utils/eval_utils) broadcast sizes, give 0 for an empty truth and NaN for a flat prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

EPS = 1e-12
PART_RADIUS = 50
Map = npt.NDArray[Any]


@dataclass(frozen=True)
class HeatmapScore:
    """kld: 0 is best, no upper limit. sim: 1 is best, 0 worst. nss: standard deviations above the mean, 0 is chance."""

    kld: float
    sim: float
    nss: float


@dataclass(frozen=True)
class HeatmapSummary:
    """Means over the questions that can be scored, and counts. unanswered: had no map. unscored: truth marks no place.

    of_answered: over those with a map, as officially. of_all: a question without a map counts as an empty one, which
    says nothing: KLD of the uniform map, SIM 0, NSS 0.
    """

    of_answered: HeatmapScore
    of_all: HeatmapScore
    answered: int
    unanswered: int
    unscored: int


def heatmap_score(prediction: Map, truth: Map) -> HeatmapScore:
    """Return all three numbers for two maps (H, W) of values >= 0."""
    p, g = _checked(prediction, truth)
    return HeatmapScore(_kld(p, g), _sim(p, g), _nss(p, g))


def kld(prediction: Map, truth: Map) -> float:
    """Return the Kullback-Leibler divergence of the truth from the prediction, both as distributions over pixels.

    NaN for an empty truth; an empty prediction is the uniform distribution, as nothing was said.
    """
    return _kld(*_checked(prediction, truth))


def sim(prediction: Map, truth: Map) -> float:
    """Return the intersection of the two distributions in [0, 1]; NaN for an empty truth, 0 for an empty prediction."""
    return _sim(*_checked(prediction, truth))


def nss(prediction: Map, truth: Map, threshold: float = 0.1) -> float:
    """Return the mean of the standardised prediction over the pixels whose truth is above `threshold` of its range.

    0 for a flat prediction, which is chance. NaN for a flat truth, which marks no pixel.
    """
    return _nss(*_checked(prediction, truth), threshold)


def _kld(p: Map, g: Map) -> float:
    on = g > 0  # a pixel without truth adds nothing
    if not on.any():
        return float('nan')
    shares, true = _distribution(p if p.any() else np.ones_like(p), on), _distribution(g, on)
    return float(np.sum(true * np.log(true / (shares + EPS) + EPS)))


def _sim(p: Map, g: Map) -> float:
    on = g > 0
    if not on.any():
        return float('nan')
    return float(np.minimum(_distribution(p, on), _distribution(g, on)).sum()) if p.any() else 0.0


def _nss(p: Map, g: Map, threshold: float = 0.1) -> float:
    low, high = g.min(), g.max()
    if low == high:
        return float('nan')
    top = p.max()
    if top == p.min():
        return 0.0
    marked = (g - low) / (high - low) > threshold
    p = p / top  # values near the smallest number have no spread otherwise
    return float(((p[marked] - p.mean()) / p.std()).mean())


def part_share(prediction: Map, part: npt.NDArray[np.bool_], radius: int = PART_RADIUS) -> float:
    """Return how much of a Gaussian at the highest pixel (the first in row-major order) lies in `part` (H, W)."""
    p, inside = _checked(prediction, part)
    row, column = np.unravel_index(int(p.argmax()), p.shape)
    bump = draw_gaussian(np.zeros(p.shape), (int(column), int(row)), radius)
    return float((bump * (inside > 0)).sum() / bump.sum())


def empty_score(truth: Map) -> HeatmapScore:
    """Return the score of an answer without a map."""
    return heatmap_score(np.zeros(np.shape(truth)), truth)


def summarize(scores: Sequence[tuple[HeatmapScore, bool]]) -> HeatmapSummary:
    """Average (score, whether there was a map); the score of a question without one is its `empty_score`."""
    known = [(score, answered) for score, answered in scores if not np.isnan((score.sim, score.nss)).any()]
    answered = [score for score, has_map in known if has_map]
    unanswered = len(known) - len(answered)
    of_all = _mean([score for score, _ in known])
    return HeatmapSummary(_mean(answered), of_all, len(answered), unanswered, len(scores) - len(known))


def _mean(scores: Sequence[HeatmapScore]) -> HeatmapScore:
    if not scores:
        return HeatmapScore(float('nan'), float('nan'), float('nan'))
    kld_, sim_, nss_ = (float(np.mean([getattr(score, name) for score in scores])) for name in ('kld', 'sim', 'nss'))
    return HeatmapScore(kld_, sim_, nss_)


def draw_gaussian(heat: Map, center: tuple[int, int], radius: int) -> Map:
    """Return `heat` (H, W) raised to a Gaussian of height 1 at `center` (u, v) wherever that is higher.

    It is cut at `radius` pixels and has a sigma of a sixth of its diameter: what the truth maps of HOVA-500K hold.
    """
    size, (u, v) = 2 * radius + 1, center
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    bump = np.exp(-(steps[:, None] ** 2 + steps[None, :] ** 2) / (2 * (size / 6) ** 2))
    bump[bump < np.finfo(bump.dtype).eps * bump.max()] = 0
    left, right = min(u, radius), min(heat.shape[1] - u, radius + 1)
    top, bottom = min(v, radius), min(heat.shape[0] - v, radius + 1)
    drawn = heat.copy()
    window = drawn[v - top : v + bottom, u - left : u + right]
    np.maximum(window, bump[radius - top : radius + bottom, radius - left : radius + right], out=window)
    return drawn


def _distribution(values: Map, where: npt.NDArray[np.bool_]) -> Map:
    """Return the shares of the pixels `where` in the sum over all; the sum is of scaled values, which cannot vanish."""
    top = values.max()
    return np.asarray(values[where] / top / (values / top).sum())


def _checked(prediction: Map, truth: Map) -> tuple[Map, Map]:
    p, g = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    if p.ndim != 2 or p.shape != g.shape or not p.size:
        raise ValueError(f'prediction and truth must be (H, W) of one size, got {p.shape} and {g.shape}')
    if not (np.isfinite(p).all() and np.isfinite(g).all() and p.min() >= 0 and g.min() >= 0):
        raise ValueError('maps must be finite and not negative')
    return p, g


def official_kld(prediction: Map, truth: Map) -> float:
    """Return the official KLD: sums in the type of each map, epsilons in the sums, sizes broadcast."""
    p, g = prediction / (prediction.sum() + EPS), truth / (truth.sum() + EPS)
    return float(np.sum(g * np.log(g / (p + EPS) + EPS)))


def official_sim(prediction: Map, truth: Map) -> float:
    """Return the official SIM."""
    p, g = prediction / (prediction.sum() + EPS), truth / (truth.sum() + EPS)
    return float(np.minimum(p, g).sum())


def official_nss(prediction: Map, truth: Map) -> float:
    """Return the official NSS: NaN for a flat prediction, 0 for a flat truth."""
    p, g = prediction / 255.0, truth / 255.0
    with np.errstate(invalid='ignore', divide='ignore'):
        z = (p - np.mean(p)) / np.std(p)
        marked = ((g - g.min()) / (g.max() - g.min() + EPS) > 0.1).astype(np.float64)
        return float((z * marked).sum() / (marked.sum() + EPS))


def official_sim_part(prediction: Map, part: Map, radius: int = PART_RADIUS) -> float:
    """Return the meant official SIM_PART (the published call fails). part: values / 255, not made a distribution."""
    row, column = np.unravel_index(int(prediction.argmax()), prediction.shape)
    bump = draw_gaussian(np.zeros(prediction.shape, np.float32), (int(column), int(row)), radius)
    return float(np.minimum(bump / (bump.sum() + EPS), part).sum())


def official_mean(values: Sequence[float]) -> float:
    """Return the plain mean over the questions with a map. Raises ZeroDivisionError without any, as officially."""
    return sum(values) / len(values)
