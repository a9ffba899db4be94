# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks by name: how each is opened, scored, and put beside what was published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affordance_ros.datasets.robointer_vqa import TASKS, RoboInterVqa
from affordance_ros.datasets.where2place import Where2Place
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Benchmark
from affordance_ros.evaluation.published import ROBOINTER_VQA, WHERE2PLACE, PublishedTable
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.robointer_benchmark import (
    RoboInterBenchmark,
    score_robointer,
    write_official_files,
)
from affordance_ros.evaluation.where2place_benchmark import (
    Where2PlaceBenchmark,
    score_where2place,
    write_where2place_file,
)


@dataclass(frozen=True)
class Choice:
    """What is asked of a data set. tasks: empty means all. coordinates: empty means those of the model.

    limit: questions per task, None means all.
    """

    root: Path
    model: str
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    split: str = 'val'
    coordinates: str = ''
    image_roots: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise AffordanceError(Code.BAD_INPUT, f'limit must be at least 1, got {self.limit}')


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of a task, computed right, as the official program does, and as published."""

    task: str
    questions: int
    unreadable: int
    name: str
    ours: float | None
    official: float | None
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BenchmarkKind:
    """One benchmark. options: what its models are loaded with unless the user says otherwise."""

    where: str
    open: Callable[[Choice], Benchmark]
    score: Callable[[Sequence[Json], Json], Json]
    rows: Callable[[Json], list[Row]]
    files: Callable[[Sequence[Json], Json, Path], tuple[Path, ...]]
    published: PublishedTable
    options: Mapping[str, Mapping[str, Any]]


def _open_robointer(choice: Choice) -> RoboInterBenchmark:
    # Each variant is asked, and officially scored, in its own coordinates; another model's truth is best in pixels.
    coordinates = choice.coordinates or {'robointer': 'llava', 'robointer_qwen': 'smart_resize'}.get(
        choice.model, 'origin'
    )
    data = RoboInterVqa(choice.root, choice.split, coordinates, choice.image_roots)
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
        published = {model: row[task] for model, row in ROBOINTER_VQA.rows.items() if task in row}
        rows.append(
            Row(
                task,
                score['questions'],
                score['unreadable'],
                name,
                _times(ours, factor),
                _times(official, factor),
                published,
            )
        )
    return rows


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _open_where2place(choice: Choice) -> Where2PlaceBenchmark:
    if choice.tasks or choice.coordinates or choice.split != 'val':
        raise AffordanceError(Code.BAD_INPUT, 'where2place has no tasks, splits or formats to choose from')
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
            _times(score['mean_accuracy'], 100),
            _times(score.get('official_accuracy'), 100),
            {model: row[name] for model, row in WHERE2PLACE.rows.items() if name in row},
        )
        for name, score in scores.items()
    ]


BENCHMARKS = {
    'robointer_vqa': BenchmarkKind(
        'https://huggingface.co/datasets/InternRobotics/RoboInter-VQA',
        _open_robointer,
        score_robointer,
        _robointer_rows,
        write_official_files,
        ROBOINTER_VQA,
        {'robointer': {'profile': 'eval'}, 'robointer_qwen': {'profile': 'eval'}},
    ),
    'where2place': BenchmarkKind(
        'https://huggingface.co/datasets/wentao-yuan/where2place',
        _open_where2place,
        score_where2place,
        _where2place_rows,
        write_where2place_file,
        WHERE2PLACE,
        {'robopoint': {'profile': 'eval'}},
    ),
}


def benchmark_kind(name: str) -> BenchmarkKind:
    """Return a benchmark by name. Raises BAD_INPUT."""
    if name not in BENCHMARKS:
        raise AffordanceError(Code.BAD_INPUT, f'{name!r} is no benchmark; known: {", ".join(BENCHMARKS)}')
    return BENCHMARKS[name]
