# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VQA asked: its questions as a benchmark, its rows beside the published ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from affordance_ros.datasets.robointer_vqa import TASKS, RoboInterVqa, VqaQuestion
from affordance_ros.datasets.robointer_vqa import WHERE as ROBOINTER_PAGE
from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row, times
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.robointer_scores import score_robointer, write_official_files
from affordance_ros.results import Frame, Prediction, Query

# The models know the kinds of questions, not the folders of the planning tasks.
ASKED_AS = {'planning_choice': 'choice', 'planning_decide': 'decide'}


@dataclass(frozen=True)
class RoboInterBenchmark:
    """tasks: names of `datasets.robointer_vqa.TASKS`. limit: questions per task, None: all."""

    data: RoboInterVqa
    tasks: tuple[str, ...] = tuple(TASKS)
    limit: int | None = None

    def describe(self) -> Json:
        """Return the choice of questions, and the fingerprint of every file that it reads."""
        files = {task: [fingerprint(path) for path in self.data.files(task)] for task in self.tasks}
        return {
            'split': self.data.split,
            'coordinates': self.data.coordinates,
            'tasks': list(self.tasks),
            'limit': self.limit,
            'files': files,
        }

    def items(self) -> Iterator[Item]:
        """Yield the questions, task by task in the order of the files."""
        for task in self.tasks:
            for question in islice(self.data.questions(task), self.limit):
                yield self._item(question)

    def _item(self, question: VqaQuestion) -> Item:
        def frames() -> Sequence[Frame]:
            return [Frame(rgb=image) for image in self.data.images(question)]

        truth: Json = {
            'task': question.task,
            'id': question.id,
            'question': question.text,
            'answer': question.answer,
        }
        if TASKS[question.task].key:
            try:
                points = question.true_points
            except AffordanceError:
                truth['points'] = None
            else:
                truth['points'] = points.tolist() if np.isfinite(points).all() else None
        return Item(
            f'{question.task}/{question.id}',
            frames,
            Query(question.text, task=ASKED_AS.get(question.task, question.task)),
            truth,
        )

    def record(self, prediction: Prediction) -> Json:
        """Return boxes, points and path in pixels, and the words."""
        return {
            'words': prediction.text,
            'boxes_xyxy_px': None if prediction.boxes is None else prediction.boxes.boxes.tolist(),
            'keypoints_uv_px': None if prediction.keypoints is None else prediction.keypoints.points.tolist(),
            'traces_uv_px': None if prediction.traces is None else [t.points.tolist() for t in prediction.traces],
        }


def _open_robointer(choice: Choice) -> RoboInterBenchmark:
    choice.check_settings()
    # Each variant is asked, and officially scored, in its own coordinates; another model's truth is best in pixels.
    coordinates = choice.coordinates or {'robointer': 'llava', 'robointer_qwen': 'smart_resize'}.get(
        choice.model, 'origin'
    )
    data = RoboInterVqa(choice.root, choice.split or 'val', coordinates, choice.image_roots)
    tasks = choice.tasks or tuple(task for task in TASKS if _is_there(data, task))
    if not tasks:
        data.files(next(iter(TASKS)))  # says what is missing
    return RoboInterBenchmark(data, tasks, choice.limit)


def _is_there(data: RoboInterVqa, task: str) -> bool:
    try:
        return bool(data.files(task))
    except AffordanceError:
        return False


# Kind of a task: the right figure, the official one, and what both are multiplied by in the published table.
_ROBOINTER_FIGURES = {
    'box': ('accuracy_0.1', 'official_accuracy_0.1', 100.0),
    'points': ('mean_error_px_of_read', '', 1.0),
    'trace': ('dtw', 'official_dtw_px', 1.0),
    'choice': ('accuracy', 'official_accuracy', 100.0),
    'decide': ('accuracy', 'official_accuracy', 100.0),
    'text': ('mean_bleu', '', 100.0),
}
_OFFICIAL_PLANNING = {
    'planning': 'official_planning_bleu',
    'planning_choice': 'official_choice',
    'planning_decide': 'official_decide',
}


def _robointer_rows(scores: Json) -> list[Row]:
    rows = []
    for task, score in scores.items():
        if task not in TASKS:
            continue
        name, official_name, factor = _ROBOINTER_FIGURES[score['kind']]
        ours = score['mean_px_of_read']['dtw'] if name == 'dtw' else score[name]
        planned = scores.get('official_planning', {}).get(_OFFICIAL_PLANNING.get(task, ''))
        official = planned if task in _OFFICIAL_PLANNING else score.get(official_name)
        published = {model: row[task] for model, row in _PUBLISHED.rows.items() if task in row}
        rows.append(
            Row(
                task,
                score['questions'],
                score['unreadable'],
                name,
                times(ours, factor),
                times(official, factor),
                published,
                score['questions'] - score['official_used'] if 'official_used' in score else None,
            )
        )
    return rows


_ROBOINTER_COLUMNS = (
    'current_box', 'contact_box', 'final_box', 'gripper_det', 'grasppose_choice', 'grounding_choice', 'contact_decide',
    'traj', 'planning', 'planning_choice', 'planning_decide',
)  # fmt: skip


def _row(*values: float) -> dict[str, float]:
    return dict(zip(_ROBOINTER_COLUMNS, values, strict=True))


_PUBLISHED = PublishedTable(
    'InternRobotics/RoboInter at 481acfb, asset/VLM_table.png',
    (
        'boxes: per cent with an IoU above 0.1; choices and decisions: per cent right; planning: 100 times the mean of '
        'BLEU-1 to 4; traj: DTW in pixels',
        'the table does not say which of the two files of traces its DTW is of',
        'official scoring: an empty choice is right, perfect and empty traces are left out; the Qwen '
        'scripts leave the question in the answer, so its numbers and letters are scored too',
    ),
    {
        'RoboInter-LlavaOV-7B': _row(82.9, 46.3, 55.1, 70.1, 74.1, 79.7, 76.3, 299, 62.7, 81.8, 83.9),
        'RoboInter-Qwen-7B': _row(75.1, 37.8, 56.9, 62.0, 76.1, 75.7, 75.6, 323, 63.4, 86.5, 93.0),
        'RoboInter-Qwen-3B': _row(76.1, 34.9, 52.7, 61.6, 74.0, 73.4, 75.2, 332, 61.2, 82.2, 88.7),
        'QwenVL2.5-7B': _row(51.2, 14.7, 38.2, 10.2, 27.3, 25.7, 52.5, 1702, 22.4, 64.5, 60.5),
        'QwenVL2.5-3B': _row(46.6, 12.2, 34.1, 6.1, 21.1, 21.9, 50.9, 2712, 20.3, 60.0, 59.7),
    },
)

ROBOINTER_VQA = BenchmarkKind(
    ROBOINTER_PAGE,
    _open_robointer,
    score_robointer,
    _robointer_rows,
    write_official_files,
    _PUBLISHED,
    {'robointer': {'profile': 'eval'}, 'robointer_qwen': {'profile': 'eval'}},
    'boxes, points, traces, choices and plans on robot images',
    'images: those of DROID and RH20T',
)
