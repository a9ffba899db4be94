# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOVA-500K scored: KLD, SIM, NSS and the share in the part, by source and together, right and as officially."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.pictures import decoded
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.attachments import content_of
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.heatmap import (
    HeatmapScore,
    empty_score,
    heatmap_score,
    official_kld,
    official_mean,
    official_nss,
    official_sim,
    official_sim_part,
    part_share,
    summarize,
)

ALL = 'all'
_NO_SCORE = HeatmapScore(float('nan'), float('nan'), float('nan'))
_OFFICIAL = {'kld': official_kld, 'sim': official_sim, 'nss': official_nss}
Map = npt.NDArray[Any]


@dataclass(frozen=True)
class _Scored:
    """One question. right: None where truth and image do not fit. part: share in the part, None where there is none.

    official: figures that the official program would add up, empty where it leaves the question out. stops: the name of
    the exception that it would stop with.
    """

    answered: bool
    right: HeatmapScore | None
    part: float | None
    official: dict[str, float] = field(default_factory=dict)
    stops: str = ''


def score_hova(lines: Sequence[Json], run: Json) -> Json:  # noqa: ARG001 - one signature for all benchmarks
    """Return the figures by source, and of all sources together as the official program prints them."""
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:  # numpy and the decoders work without the lock
        scored = list(pool.map(_score, lines))
    groups: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        groups.setdefault(line['truth']['source'], []).append(index)
    if len(groups) > 1:
        groups[ALL] = list(range(len(lines)))
    return {
        name: _figures([lines[index] for index in group], [scored[index] for index in group])
        for name, group in groups.items()
    }


def _figures(lines: Sequence[Json], scored: Sequence[_Scored]) -> Json:
    summary = summarize([(one.right or _NO_SCORE, one.answered) for one in scored])
    figures: Json = {
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'unanswered': sum(not one.answered for one in scored),
        'without_truth': summary.unscored,
        'of_all': _named(summary.of_all),
        'of_answered': _named(summary.of_answered),
        'official': _official(scored),
        'official_left_out': sum(not one.official and not one.stops for one in scored),
    }
    shares = [(one.part, one.answered) for one in scored if one.part is not None]
    if shares:
        figures['of_all']['sim_part'] = float(np.mean([share for share, _ in shares]))
        answered = [share for share, has_map in shares if has_map]
        figures['of_answered']['sim_part'] = float(np.mean(answered)) if answered else float('nan')
    return figures


def _named(score: HeatmapScore) -> Json:
    return {'kld': score.kld, 'sim': score.sim, 'nss': score.nss}


def _official(scored: Sequence[_Scored]) -> Json:
    """Return the means that the official program prints, or what it stops with."""
    stops = next((one.stops for one in scored if one.stops), '')
    if stops:
        return {'stops_with': stops}
    names = ('kld', 'sim', 'nss', 'sim_part')
    added = {name: [one.official[name] for one in scored if name in one.official] for name in names}
    try:
        return {name: official_mean(values) for name, values in added.items() if values or name != 'sim_part'}
    except ZeroDivisionError:
        return {'stops_with': 'ZeroDivisionError'}


def _score(line: Json) -> _Scored:
    truth = _picture(line['truth']['map'])
    part = _picture(line['truth']['part']) if line['truth']['part'] else None
    answer = _map(line)
    official = _official_scores(answer, truth, part)
    if line['outcome'] == Code.UNPARSABLE_ANSWER.name:  # a map that is not finite, which the official program keeps
        official = dict.fromkeys(('kld', 'sim', 'nss', *(('sim_part',) if part is not None else ())), float('nan')), ''
    grey = _grey(truth)
    if answer is None:
        return _Scored(False, empty_score(grey), None if part is None else 0.0, *official)  # noqa: FBT003 - answered
    if answer.shape != grey.shape:
        return _Scored(True, None, None, *official)  # noqa: FBT003 - answered
    fits = part is not None and _grey(part).shape == grey.shape
    share = part_share(answer, _grey(part) >= 0.5) if part is not None and fits else None
    return _Scored(True, heatmap_score(answer, grey), share, *official)  # noqa: FBT003 - answered


def _official_scores(answer: Map | None, truth: Map, part: Map | None) -> tuple[dict[str, float], str]:
    if answer is None:
        return {}, ''
    try:
        scores = {name: metric(answer, truth) for name, metric in _OFFICIAL.items()}
        return scores | ({} if part is None else {'sim_part': official_sim_part(answer, part)}), ''
    except (ValueError, IndexError) as error:
        return {}, type(error).__name__


def _map(line: Json) -> Map | None:
    if not line.get('map'):
        return None
    values = cv2.imdecode(np.frombuffer(content_of(line['map']), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.float32:
        raise AffordanceError(Code.BAD_INPUT, f'the map of {line["key"]} cannot be read; ask again')
    return np.asarray(values)


def _picture(attachment: Json) -> Map:
    """Return a picture of the data set divided by 255, channels as they are."""
    return np.asarray(decoded(content_of(attachment), attachment['attachment'])) / 255.0


def _grey(values: Map) -> Map:
    return values if values.ndim == 2 else values[..., :3].mean(axis=2)


def write_hova_files(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:  # noqa: ARG001
    """Write nothing: the official program scores in the loop that asks, and reads no answers."""
    return ()
