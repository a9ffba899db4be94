# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ReasonAff asked as the evaluation program of Affordance-R1 asks it; its rows beside the published ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from affordance_ros.datasets.reasonaff import WHERE, ReasonAff, ReasonAffRow
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.labels import encode_mask
from affordance_ros.evaluation.mask_benchmark import mask_record, mask_rows, published_row
from affordance_ros.evaluation.reasonaff_scores import score_reasonaff, write_reasonaff_file
from affordance_ros.evaluation.records import Json
from affordance_ros.results import Frame, Prediction, Query


@dataclass(frozen=True)
class ReasonAffBenchmark:
    """limit: only the first so many questions, None: all."""

    data: ReasonAff
    limit: int | None = None

    def describe(self) -> Json:
        """Return the choice of questions and the fingerprints of the files."""
        return {'limit': self.limit, 'files': [fingerprint(path) for path in self.data.files]}

    def items(self) -> Iterator[Item]:
        """Yield the questions in the order of the rows."""
        for row in islice(self.data.questions(), self.limit):
            yield _item(row)

    def record(self, prediction: Prediction) -> Json:
        """Return the mask of an answer."""
        return mask_record(prediction)


def _item(row: ReasonAffRow) -> Item:
    def frames() -> Sequence[Frame]:
        return [Frame(rgb=row.image())]

    def truth() -> Json:
        values = row.mask()
        return {
            'id': row.value('id'),
            'question': row.text,
            'width': row.size[0],
            'height': row.size[1],
            'mask': encode_mask(values.astype(np.bool_)),
            'value_sum': int(values.sum()),
            'bboxes': row.value('bboxes'),
        }

    return Item(f'{row.index}/{row.id}', frames, Query(row.text), truth)


def _open_reasonaff(choice: Choice) -> ReasonAffBenchmark:
    if choice.tasks or choice.coordinates or choice.image_roots or choice.split not in ('', 'test'):
        raise AffordanceError(Code.BAD_INPUT, 'reasonaff has one set of questions, test, and no tasks or formats')
    choice.check_settings()
    benchmark = ReasonAffBenchmark(ReasonAff(choice.root), choice.limit)
    if not benchmark.data.table.num_rows:  # says what is missing
        raise AffordanceError(Code.BAD_INPUT, f'{benchmark.data.files[0].parent} holds no question')
    return benchmark


_PUBLISHED = PublishedTable(
    'hq-King/Affordance-R1 at d84efcd, the figure of the results',
    (
        'per cent; giou is the mean IoU of the questions (not the generalised IoU of boxes), ciou all intersections '
        'over all unions',
        'the authors warn of coarse truth in the test set and plan a cleaner one: the figures may be of another file',
        'official scoring leaves out questions where SAM 2 fails, where the mask is of another size than the image, '
        'and where truth and answer are both empty',
        'profile, repetition penalty and precision change the figures by points: run.json says which were used',
    ),
    {'Affordance-R1': published_row(67.41, 62.72, 74.50, 55.22)},
)

REASONAFF = BenchmarkKind(
    WHERE,
    _open_reasonaff,
    score_reasonaff,
    lambda scores: mask_rows(scores, _PUBLISHED),
    write_reasonaff_file,
    _PUBLISHED,
    {'affordance_r1': {'profile': 'eval'}},
    'parts of objects that a sentence implies, as masks',
    'none stated',
)
