# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""AGD20K asked as Affordance-R1 asks it; scored by masks, as there, and by maps, as the data set's own papers do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.datasets.agd20k import PARTS, WHERE, Agd20k, MapQuestion
from affordance_ros.datasets.pictures import decoded, read_rgb
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.attachments import Attachment, content_of
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row
from affordance_ros.evaluation.fingerprint import listing_fingerprint
from affordance_ros.evaluation.hova_benchmark import map_file
from affordance_ros.evaluation.mask_benchmark import (
    ALL,
    answered,
    fitting_overlap,
    mask_record,
    mask_rows,
    published_row,
    right_figures,
)
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.zero_shot_scores import (
    official_count,
    official_end,
    official_zero_shot,
    write_zero_shot_file,
)
from affordance_ros.metrics.heatmap import (
    HeatmapScore,
    Map,
    empty_score,
    heatmap_score,
    official_kld,
    official_sim,
    summarize,
)
from affordance_ros.metrics.masks_official import official_map_nss
from affordance_ros.results import Frame, Prediction, Query

_HALF = 127  # the last grey that is not above a half
_MAP_FIGURES = ('kld', 'sim', 'nss')
_OFFICIAL = {'kld': official_kld, 'sim': official_sim, 'nss': official_map_nss}
_UNFIT = HeatmapScore(float('nan'), float('nan'), float('nan'))


@dataclass(frozen=True)
class Agd20kBenchmark:
    """limit: only the first so many questions, None: all."""

    data: Agd20k
    limit: int | None = None

    def describe(self) -> Json:
        """Return the choice of questions, how many images have a map, and the fingerprint of their names and sizes."""
        questions = self.data.questions()
        files = [path for question in questions for path in (question.image, question.truth)]
        found = {'with_map': len(questions), 'without': self.data.without_truth}
        return {
            'part': self.data.part,
            'limit': self.limit,
            **found,
            'files': listing_fingerprint(files, self.data.root),
        }

    def items(self) -> Iterator[Item]:
        """Yield the questions in the order of their names."""
        yield from map(_item, islice(self.data.questions(), self.limit))

    def record(self, prediction: Prediction) -> Json:
        """Return the mask of an answer, and its heat map where the model gives one."""
        heatmap = prediction.heatmap
        return {**mask_record(prediction), 'map': None if heatmap is None else map_file(heatmap)}


def _item(question: MapQuestion) -> Item:
    def frames() -> Sequence[Frame]:
        return [Frame(rgb=read_rgb(question.image))]

    truth: Json = {
        'id': question.id,
        'action': question.action,
        'object': question.object,
        'question': question.text,
        'map': Attachment(question.truth, '.png'),
    }
    return Item(question.id, frames, Query(question.text), truth)


def score_agd20k(lines: Sequence[Json], run: Json) -> Json:
    """Return the figures of all questions, of masks and of maps."""
    overlaps = [fitting_overlap(line, _grey(line) > _HALF) for line in lines]
    counts = [official_count(line, run, _official_truth) for line in lines]
    figures = {**right_figures(lines, overlaps), **official_zero_shot(counts)}
    return {ALL: {**figures, **_maps(lines), **_official_maps(lines, run)}}


def _official_truth(line: Json) -> Map:
    """Return the map as the program reads it: with the channels of the file."""
    return np.asarray(decoded(content_of(line['truth']['map']), f'the map of {line["key"]}'))


def _grey(line: Json) -> npt.NDArray[np.uint8]:
    values = _official_truth(line)
    return values.astype(np.uint8) if values.ndim == 2 else np.asarray(Image.fromarray(values).convert('L'))


def _maps(lines: Sequence[Json]) -> Json:
    """Return KLD, SIM and NSS of the heat maps, or of the masks where the model gives none."""
    scores = []
    for line in lines:
        truth, answer = _grey(line), _answered_map(line)
        if answer is None:
            scores.append((empty_score(truth), False))
        else:
            fits = answer.shape == truth.shape
            scores.append((heatmap_score(answer, truth) if fits else _UNFIT, True))
    summary = summarize(scores)
    return {name: getattr(summary.of_all, name) for name in _MAP_FIGURES}


def _answered_map(line: Json) -> Map | None:
    mask = answered(line)
    if mask is None or not line.get('map'):
        return mask
    values = cv2.imdecode(np.frombuffer(content_of(line['map']), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise AffordanceError(Code.BAD_INPUT, f'the heat map of {line["key"]} cannot be read; ask again')
    return np.asarray(values)


def _official_maps(lines: Sequence[Json], run: Json) -> Json:
    """Return the same of the masks as the program computes them (it does, and prints them in none of its versions)."""
    found: dict[str, list[float]] = {name: [] for name in _MAP_FIGURES}
    for line in lines:
        mask = answered(line)
        if official_end(line, run) != '' or mask is None:
            continue
        truth = _official_truth(line)
        if truth.shape == mask.shape:
            for name, compute in _OFFICIAL.items():
                found[name].append(compute(mask, truth))
    return {f'official_{name}': float(np.mean(values)) if values else float('nan') for name, values in found.items()}


def _write_file(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    return write_zero_shot_file([official_count(line, run, _official_truth) for line in lines], out)


def _rows(scores: Json) -> list[Row]:
    score = scores[ALL]
    maps = [
        Row(
            ALL, score['questions'], score['unreadable'], name, score[name], score[f'official_{name}'],
            {model: row[name] for model, row in _PUBLISHED.rows.items() if name in row}, score['official_left_out'],
        )
        for name in _MAP_FIGURES
    ]  # fmt: skip
    return mask_rows(scores, _PUBLISHED) + maps


def _open_agd20k(choice: Choice) -> Agd20kBenchmark:
    if choice.tasks or choice.coordinates or choice.image_roots or choice.split not in ('', 'test'):
        raise AffordanceError(Code.BAD_INPUT, 'agd20k has one set of questions, test, and no tasks or formats')
    choice.check_settings('part')
    benchmark = Agd20kBenchmark(Agd20k(choice.root, choice.setting('part', PARTS)), choice.limit)
    benchmark.data.questions()  # says what is missing
    return benchmark


_PUBLISHED = PublishedTable(
    'hq-King/Affordance-R1 at d84efcd, the figure of the results; Seen, asked without training on it',
    (
        'per cent for masks; kld: 0 is best, sim: 1 is best, nss: standard deviations above the mean',
        'official: kld, sim and nss of a mask of 0 and 1; kld is then ruled by the epsilon (about 26 for an empty '
        'mask) and cannot be compared with that of heat maps',
        'official: truth and answer both empty is an IoU of 1, and the program stops at an answer that names nothing',
        'the best published kld, 8.90, is of VisionReasoner',
    ),
    {'Affordance-R1': published_row(31.78, 27.85, 20.49, 7.99) | {'sim': 0.36, 'nss': 0.98}},
)

AGD20K = BenchmarkKind(
    WHERE,
    _open_agd20k,
    score_agd20k,
    _rows,
    _write_file,
    _PUBLISHED,
    {'affordance_r1': {'profile': 'zeroshot'}},
    'where an action takes place, as masks against maps',
    'research only',
)
