# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place asked and scored: the share of the answered points in the mask, right and as RoboPoint has it."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.where2place import QUESTIONS, WHERE, PointQuestion, Where2Place, decoded
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row, times
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.points import official_where2place_score, where2place_score
from affordance_ros.models.robopoint_official import official_points_or_none
from affordance_ros.results import Frame, Keypoints, Prediction, Query

ALL = 'all'


@dataclass(frozen=True)
class Where2PlaceBenchmark:
    """limit: only the first so many questions, None: all."""

    data: Where2Place
    limit: int | None = None

    def describe(self) -> Json:
        """Return the choice of questions and the fingerprints of questions and masks."""
        files = {
            'questions': fingerprint(self.data.root / QUESTIONS),
            'masks': fingerprint(self.data.root / 'masks'),
        }
        return {'limit': self.limit, 'files': files}

    def items(self) -> Iterator[Item]:
        """Yield the questions in the order of the lines."""
        for question in islice(self.data.questions(), self.limit):
            yield self._item(question)

    def _item(self, question: PointQuestion) -> Item:
        def frames() -> Sequence[Frame]:
            return [Frame(rgb=self.data.image(question))]

        truth: Json = {
            'index': question.index,
            'id': question.id,
            'question': question.text,
            'category': question.category,
            'mask_file': base64.b64encode(self.data.mask_file(question)).decode(),
        }
        return Item(question.id, frames, Query(question.text), truth)

    def record(self, prediction: Prediction) -> Json:
        """Return points and boxes in pixels."""
        return {
            'keypoints_uv_px': None if prediction.keypoints is None else prediction.keypoints.points.tolist(),
            'boxes_xyxy_px': None if prediction.boxes is None else prediction.boxes.boxes.tolist(),
        }


def _mask(line: Json) -> npt.NDArray[np.uint8]:
    name = f'mask {line["truth"]["index"]:02d}'
    return np.asarray(decoded(base64.b64decode(line['truth']['mask_file']), name))


def _answer(line: Json, shape: tuple[int, ...]) -> Keypoints | None:
    """Return the answered points in pixels of the mask; a box stands for all its pixels. None: unreadable."""
    if line.get('keypoints_uv_px') is None and line.get('boxes_xyxy_px') is None:
        return None
    # The mask may have another size than the image that was asked about; pixel centres are at integers.
    scale = np.array([shape[1], shape[0]]) / np.array(line['size'], np.float64)
    parts = [np.array(line.get('keypoints_uv_px') or np.zeros((0, 2)), np.float64)]
    for box in line.get('boxes_xyxy_px') or ():
        low, high = np.ceil(box[:2]), np.floor(box[2:])
        u, v = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        parts.append(np.column_stack([u.ravel(), v.ravel()]))
    return Keypoints((np.concatenate(parts) + 0.5) * scale - 0.5)


def score_where2place(lines: Sequence[Json], run: Json) -> Json:  # noqa: ARG001 - one signature for all benchmarks
    """Return the figures of all questions and of each category."""
    groups: dict[str, list[Json]] = {ALL: list(lines)}
    for line in lines:
        if line['truth']['category']:
            groups.setdefault(line['truth']['category'], []).append(line)
    return {name: _score(group) for name, group in groups.items()}


def _score(lines: Sequence[Json]) -> Json:
    greys = [_mask(line) for line in lines]
    masks = [(grey if grey.ndim == 2 else grey.max(axis=2)) >= 128 for grey in greys]
    answers = [_answer(line, mask.shape) for line, mask in zip(lines, masks, strict=True)]
    score = where2place_score(answers, masks)
    return {
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'unreadable': score.unreadable,
        'mean_accuracy': score.mean,
        'mean_points': score.mean_points,
        **_official(lines, greys),
    }


def _official(lines: Sequence[Json], greys: Sequence[npt.NDArray[Any]]) -> Json:
    asked = [(line['text'], grey) for line, grey in zip(lines, greys, strict=True) if line['text'] is not None]
    points = official_points_or_none([text for text, _ in asked])
    try:
        score = official_where2place_score(points, [grey for _, grey in asked])
    except (IndexError, ValueError) as error:
        return {'official_stops_with': type(error).__name__}
    return {'official_accuracy': score.mean, 'official_skipped': len(score.skipped)}


def write_where2place_file(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    """Write the answer file that the official scorer reads; it goes by the order of the lines, shards or not."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'where2place_answers.jsonl'
    with path.open('w', encoding='utf-8') as file:
        for line in sorted(lines, key=lambda line: int(line['truth']['index'])):
            truth = line['truth']
            record = {
                'question_id': truth['id'],
                'prompt': truth['question'],
                'text': line['text'] or '',
                'model_id': run['model']['checkpoint'] or run['model']['name'],
                'category': truth['category'],
            }
            file.write(json.dumps(record) + '\n')
    return (path,)


def _open_where2place(choice: Choice) -> Where2PlaceBenchmark:
    if choice.tasks or choice.coordinates or choice.split:
        raise AffordanceError(Code.BAD_INPUT, 'where2place has no tasks, splits or formats to choose from')
    choice.check_settings()
    benchmark = Where2PlaceBenchmark(Where2Place(choice.root, choice.image_roots), choice.limit)
    benchmark.data.questions()  # says what is missing
    return benchmark


def _where2place_rows(scores: Json) -> list[Row]:
    return [
        Row(
            name,
            score['questions'],
            score['unreadable'],
            'accuracy',
            times(score['mean_accuracy'], 100),
            times(score.get('official_accuracy'), 100),
            {model: row[name] for model, row in _PUBLISHED.rows.items() if name in row},
        )
        for name, score in scores.items()
    ]


_PUBLISHED = PublishedTable(
    'RoboPoint paper, first version (arXiv 2406.10721), as transcribed by later work',
    (
        'per cent of the points in the mask, mean of three runs at temperature 0.2; RoboPoint 13B is 46.77 +- 0.45',
        'official scoring: masks as grey values, and a question whose answer stops the parser is left out of the mean',
    ),
    {
        'RoboPoint-13B': {'all': 46.77, 'unseen': 44.48},
        'GPT-4o': {'all': 29.06, 'unseen': 27.14},
        'LLaVA-NeXT-34B': {'all': 15.02, 'unseen': 14.76},
    },
)

WHERE2PLACE = BenchmarkKind(
    WHERE,
    _open_where2place,
    score_where2place,
    _where2place_rows,
    write_where2place_file,
    _PUBLISHED,
    {'robopoint': {'profile': 'eval'}},
)
