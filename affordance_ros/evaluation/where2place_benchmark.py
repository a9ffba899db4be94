# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place and RoboRefIt asked: questions that are answered with points, their rows beside the published ones."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affordance_ros.datasets.point_questions import PointData, PointQuestion
from affordance_ros.datasets.roborefit import QUESTION, SPLITS, RoboRefIt
from affordance_ros.datasets.roborefit import WHERE as ROBOREFIT_PAGE
from affordance_ros.datasets.where2place import QUESTIONS, Where2Place
from affordance_ros.datasets.where2place import WHERE as WHERE2PLACE_PAGE
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.attachments import Attachment
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row, times
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.point_scores import score_points, write_answer_file
from affordance_ros.evaluation.records import Json
from affordance_ros.models.robopoint_official import POINT_SUFFIX
from affordance_ros.results import Frame, Prediction, Query


@dataclass(frozen=True)
class PointBenchmark:
    """limit: only the first so many questions, None: all. by_category: so many of each category."""

    data: PointData
    limit: int | None = None
    by_category: bool = False

    def describe(self) -> Json:
        """Return the choice of questions and the fingerprints of their files."""
        files = {name: fingerprint(path) for name, path in self.data.files().items()}
        return {**self.data.describe(), 'limit': self.limit, 'files': files}

    def items(self) -> Iterator[Item]:
        """Yield the questions in order."""
        asked: Counter[str] = Counter()
        for question in self.data.questions():
            group = question.category if self.by_category else ''
            if self.limit is None or asked[group] < self.limit:
                asked[group] += 1
                yield self._item(question)

    def _item(self, question: PointQuestion) -> Item:
        def frames() -> Sequence[Frame]:
            return [Frame(rgb=self.data.image(question))]

        def truth() -> Json:
            return {
                'index': question.index,
                'id': question.id,
                'question': question.text,
                'category': question.category,
                'mask': Attachment(self.data.mask_file(question), Path(question.mask).suffix),
            }

        return Item(str(question.id), frames, Query(question.text), truth)

    def record(self, prediction: Prediction) -> Json:
        """Return points and boxes in pixels."""
        return {
            'keypoints_uv_px': None if prediction.keypoints is None else prediction.keypoints.points.tolist(),
            'boxes_xyxy_px': None if prediction.boxes is None else prediction.boxes.boxes.tolist(),
        }


def _open_where2place(choice: Choice) -> PointBenchmark:
    if choice.tasks or choice.coordinates or choice.split:
        raise AffordanceError(Code.BAD_INPUT, 'where2place has no tasks, splits or formats to choose from')
    choice.check_settings('questions', 'unseen')
    choice.needs('keypoints', 'boxes')
    name = str(choice.settings.get('questions', QUESTIONS[0]))
    data = Where2Place(choice.root, choice.image_roots, name, _range(choice.settings.get('unseen')))
    data.questions()  # says what is missing
    return PointBenchmark(data, choice.limit)


def _range(value: object) -> tuple[int, int] | None:
    """Read FIRST-LAST, as 70-99. Raises BAD_INPUT."""
    if value is None:
        return None
    first, _, last = str(value).partition('-')
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise AffordanceError(Code.BAD_INPUT, f'unseen must be FIRST-LAST, as 70-99, got {value!r}')
    return int(first), int(last)


def _open_roborefit(choice: Choice) -> PointBenchmark:
    if choice.coordinates or choice.split or choice.image_roots:
        raise AffordanceError(Code.BAD_INPUT, 'roborefit has no formats, splits or folders of images; choose --task')
    choice.check_settings('question')
    choice.needs('keypoints', 'boxes')
    question = str(choice.settings.get('question', QUESTION))
    data = RoboRefIt(choice.root, choice.tasks or SPLITS[:2], question, POINT_SUFFIX)
    data.files()  # says what is missing
    return PointBenchmark(data, choice.limit, by_category=True)


def _rows(published: PublishedTable) -> Callable[[Json], list[Row]]:
    def rows(scores: Json) -> list[Row]:
        return [_row(name, score, published.rows) for name, score in scores.items()]

    return rows


def _row(name: str, score: Json, published: Mapping[str, Mapping[str, float]]) -> Row:
    return Row(
        name,
        score['questions'],
        score['unreadable'],
        'accuracy',
        times(score['mean_accuracy'], 100),
        times(score.get('official_accuracy'), 100),
        {model: row[name] for model, row in published.items() if name in row},
        score.get('official_left_out'),
    )


_PAPER = 'RoboPoint paper, first version (arXiv 2406.10721), as transcribed by later work'
_OFFICIAL = (
    'official scoring: masks as grey values, answers at 640x480, and a question whose answer stops the parser is left '
    'out of the mean'
)
_WHERE2PLACE_PUBLISHED = PublishedTable(
    _PAPER,
    (
        'per cent of the points in the mask, mean of three runs at temperature 0.2; RoboPoint 13B is 46.77 +- 0.45, '
        'later papers give 45.37 to 46.01 for it',
        _OFFICIAL,
    ),
    {
        'RoboPoint-13B': {'all': 46.77, 'unseen': 44.48},
        'GPT-4o': {'all': 29.06, 'unseen': 27.14},
        'LLaVA-NeXT-34B': {'all': 15.02, 'unseen': 14.76},
        'SpaceLLaVA': {'all': 11.84, 'unseen': 12.10},
        'Qwen-VL': {'all': 10.49, 'unseen': 9.90},
    },
)
_ROBOREFIT_PUBLISHED = PublishedTable(
    _PAPER,
    (
        'not the same questions: the paper took 750 images and a wording that were never published; RoboPoint 13B is '
        '49.82 +- 0.52',
        _OFFICIAL,
    ),
    {
        'RoboPoint-13B': {'all': 49.82},
        'GPT-4o': {'all': 15.28},
        'LLaVA-NeXT-34B': {'all': 19.91},
        'SpaceLLaVA': {'all': 21.30},
        'Qwen-VL': {'all': 24.08},
    },
)
_OPTIONS = {'robopoint': {'profile': 'eval'}}

WHERE2PLACE = BenchmarkKind(
    WHERE2PLACE_PAGE,
    _open_where2place,
    score_points,
    _rows(_WHERE2PLACE_PUBLISHED),
    write_answer_file,
    _WHERE2PLACE_PUBLISHED,
    _OPTIONS,
    'points in free space',
    'Apache-2.0',
)
ROBOREFIT = BenchmarkKind(
    ROBOREFIT_PAGE,
    _open_roborefit,
    score_points,
    _rows(_ROBOREFIT_PUBLISHED),
    write_answer_file,
    _ROBOREFIT_PUBLISHED,
    _OPTIONS,
    'points on the object that a sentence means',
    'MIT',
)
