# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run comes to in numbers: how many answers by code, how long they took, how steady they were."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.evaluation.records import Json

STILL = 1.5
_QUANTILES = (50, 90, 99)


@dataclass(frozen=True)
class Stability:
    """How much the best target moved while the picture stood still, over `pairs` of successive answers.

    point_mm: median distance of successive contact points. agreement: share of pairs with both answered, or neither.
    segments: stretches of at least two answers over which nothing moved; point_std_mm, normal_std_deg: root mean square
    distance from the mean of a stretch, median over the stretches.
    """

    pairs: int
    point_mm: float
    normal_deg: float
    agreement: float
    segments: int
    point_std_mm: float
    normal_std_deg: float


@dataclass(frozen=True)
class Summary:
    """answers: all. outcomes: answers by code. seconds: by stage, {'p50': ..., 'p90': ..., 'p99': ...}.

    depth_ratio: share of the answers whose frame had depth.
    """

    answers: int
    outcomes: dict[str, int]
    seconds: dict[str, dict[str, float]]
    depth_ratio: float
    confidence: float
    stability: Stability

    @property
    def answered_ratio(self) -> float:
        """Share of the questions that ended in a grasp target."""
        return self.outcomes.get('OK', 0) / self.answers if self.answers else float('nan')


def summarize(answers: Sequence[Json], times: Iterable[Json]) -> Summary:
    """Return the numbers of a run, or of the answers to one prompt."""
    stages: dict[str, list[float]] = {}
    for line in times:
        for stage, seconds in line['seconds'].items():
            stages.setdefault(stage, []).append(seconds)
    confidences = [value for line in answers if (value := (line['prediction'] or {}).get('confidence')) is not None]
    return Summary(
        answers=len(answers),
        outcomes=dict(Counter(line['outcome'] for line in answers).most_common()),
        seconds={
            stage: {f'p{q}': float(np.percentile(values, q)) for q in _QUANTILES} for stage, values in stages.items()
        },
        depth_ratio=mean(line['has_depth'] for line in answers),
        confidence=mean(confidences),
        stability=stability(answers),
    )


def stability(answers: Sequence[Json]) -> Stability:
    """Compare successive answers to the same prompt where the picture changed by less than `STILL` grey levels."""
    distances: list[float] = []
    angles: list[float] = []
    same: list[bool] = []
    last: dict[int, Json] = {}
    segments: list[list[Json]] = []
    open_segments: dict[int, list[Json]] = {}
    for line in answers:
        before = last.get(line['prompt'])
        last[line['prompt']] = line
        if before is None or line['change'] >= STILL:
            segments.append([])
            open_segments[line['prompt']] = segments[-1]
        contact = best_contact(line)
        open_segments[line['prompt']] += [contact] if contact else []
        if before is None or line['change'] >= STILL:
            continue
        ends = (best_contact(before), best_contact(line))
        same.append((ends[0] is None) == (ends[1] is None))
        if ends[0] is not None and ends[1] is not None:
            distances.append(1000 * float(np.linalg.norm(np.subtract(ends[0]['point_m'], ends[1]['point_m']))))
            cosine = float(np.clip(np.dot(ends[0]['normal'], ends[1]['normal']), -1, 1))
            angles.append(float(np.degrees(np.arccos(cosine))))
    spreads = [_spread(contacts) for contacts in segments if len(contacts) > 1]
    points, normals = [spread[0] for spread in spreads], [spread[1] for spread in spreads]
    steady = (median(distances), median(angles), mean(same))
    return Stability(len(same), *steady, len(spreads), median(points), median(normals))


def _spread(contacts: Sequence[Json]) -> tuple[float, float]:
    """Return how far contacts lie from their mean: points in mm, normals in degrees, root mean square."""
    points = np.array([contact['point_m'] for contact in contacts])
    normals = np.array([contact['normal'] for contact in contacts])
    middle = normals.mean(axis=0)
    angles = np.degrees(np.arccos(np.clip(normals @ middle / max(float(np.linalg.norm(middle)), 1e-12), -1, 1)))
    off = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return 1000 * float(np.sqrt(np.mean(off**2))), float(np.sqrt(np.mean(angles**2)))


def best_contact(line: Json) -> dict[str, Any] | None:
    """Return the contact of the best target of an answer, in the camera frame."""
    return dict(line['targets'][0]['contact']) if line['targets'] else None


def mean(values: Iterable[float]) -> float:
    """Return the mean, NaN of nothing."""
    items = list(values)
    return float(np.mean(items)) if items else float('nan')


def median(values: Iterable[float]) -> float:
    """Return the median, NaN of nothing."""
    items = list(values)
    return float(np.median(items)) if items else float('nan')
