# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""UMD Part Affordance asked and scored as Affordance-R1 does, and right."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affordance_ros.datasets.pictures import read_rgb
from affordance_ros.datasets.umd import AFFORDANCES, WHERE, PartQuestion, Umd, best_at, read_ranks
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable
from affordance_ros.evaluation.fingerprint import listing_fingerprint
from affordance_ros.evaluation.labels import decode_mask, encode_mask
from affordance_ros.evaluation.mask_benchmark import (
    ALL,
    fitting_overlap,
    mask_record,
    mask_rows,
    published_row,
    right_figures,
)
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.zero_shot_scores import official_count, official_zero_shot, write_zero_shot_file
from affordance_ros.metrics.heatmap import Map
from affordance_ros.metrics.masks_official import official_rank_map
from affordance_ros.results import Frame, Prediction, Query

_WHITE = 255
_HALF = 127  # the last grey that is not above a half


@dataclass(frozen=True)
class UmdBenchmark:
    """actions: the affordances that are asked, empty: all. limit: questions of each, None: all."""

    data: Umd
    actions: tuple[str, ...] = ()
    limit: int | None = None

    def questions(self) -> list[PartQuestion]:
        """Return what is asked, in the order of the frames. Raises BAD_INPUT with what is missing."""
        chosen: list[PartQuestion] = []
        counts: Counter[str] = Counter()
        for question in self.data.questions():
            wanted = not self.actions or question.action in self.actions
            if wanted and (self.limit is None or counts[question.action] < self.limit):
                chosen.append(question)
                counts[question.action] += 1
        return chosen

    def describe(self) -> Json:
        """Return the choice of questions, and the fingerprint of the names and sizes of their files."""
        questions = self.questions()
        files = [path for question in questions for path in (question.image, question.label)]
        found = {'questions': len(questions), 'files': listing_fingerprint(files, self.data.root)}
        return {'actions': list(self.actions), 'limit': self.limit, **found}

    def items(self) -> Iterator[Item]:
        """Yield the questions."""
        yield from map(_item, self.questions())

    def record(self, prediction: Prediction) -> Json:
        """Return the mask of an answer."""
        return mask_record(prediction)


def _item(question: PartQuestion) -> Item:
    def frames() -> Sequence[Frame]:
        return [Frame(rgb=read_rgb(question.image))]

    def truth() -> Json:
        ranks = read_ranks(question)
        official = official_rank_map(ranks, AFFORDANCES.index(question.action)) > _HALF
        return {
            'id': question.id,
            'tool': question.tool,
            'action': question.action,
            'question': question.text,
            'mask': encode_mask(best_at(ranks, question.action)),
            'official_mask': encode_mask(official),
        }

    return Item(f'{question.id}/{question.action}', frames, Query(question.text), truth)


def score_umd(lines: Sequence[Json], run: Json) -> Json:
    """Return the figures of all questions and of each affordance."""
    overlaps = [fitting_overlap(line, decode_mask(line['truth']['mask'])) for line in lines]
    counts = [official_count(line, run, _official_truth) for line in lines]
    groups = {ALL: list(range(len(lines)))}
    for action in AFFORDANCES:
        if of_action := [index for index, line in enumerate(lines) if line['truth']['action'] == action]:
            groups[action] = of_action
    return {
        name: {
            **right_figures([lines[index] for index in group], [overlaps[index] for index in group]),
            **official_zero_shot([counts[index] for index in group]),
        }
        for name, group in groups.items()
    }


def _official_truth(line: Json) -> Map:
    return decode_mask(line['truth']['official_mask']).astype(np.uint8) * np.uint8(_WHITE)


def _write_file(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    return write_zero_shot_file([official_count(line, run, _official_truth) for line in lines], out)


def _open_umd(choice: Choice) -> UmdBenchmark:
    if choice.coordinates or choice.image_roots or choice.split:
        raise AffordanceError(Code.BAD_INPUT, 'umd has no splits, formats or further folders to choose from')
    choice.check_settings()
    strangers = [name for name in choice.tasks if name not in AFFORDANCES]
    if strangers:
        raise AffordanceError(
            Code.BAD_INPUT, f'{strangers[0]!r} is no affordance of UMD; known: {", ".join(AFFORDANCES)}'
        )
    benchmark = UmdBenchmark(Umd(choice.root), choice.tasks, choice.limit)
    if not benchmark.questions():  # says what is missing
        raise AffordanceError(Code.BAD_INPUT, f'no frame below {choice.root} is asked for {", ".join(choice.tasks)}')
    return benchmark


_PUBLISHED = PublishedTable(
    'hq-King/Affordance-R1 at d84efcd, the figure of the results',
    (
        'per cent; right: true is where the affordance is the best one of the pixel (rank 1), as in _label.mat',
        'official: true hangs on the highest rank in the file; with 2 nothing is true, with 5 the second best is too',
        'the released program stops at the first image of UMD, as it takes the pair of two masks for one; the official '
        'figures are what it gives with the first of them',
        'frames: a thirtieth of all, of every tool; other papers use other splits and some relabel the ladles',
    ),
    {'Affordance-R1': published_row(49.85, 42.24, 53.35, 34.08)},
)

UMD = BenchmarkKind(
    WHERE,
    _open_umd,
    score_umd,
    lambda scores: mask_rows(scores, _PUBLISHED),
    _write_file,
    _PUBLISHED,
    {'affordance_r1': {'profile': 'zeroshot'}},
    'parts of tools, as masks',
    'none stated; its authors ask to be cited',
)
