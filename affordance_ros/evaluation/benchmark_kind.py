# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is to the console: how it is opened, scored, and put beside what was published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Benchmark
from affordance_ros.evaluation.records import Json
from affordance_ros.models import list_models


@dataclass(frozen=True)
class PublishedTable:
    """source: where the figures are from. caveats: what to know before comparing. rows: figures by model and task."""

    source: str
    caveats: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Choice:
    """What is asked of a data set. tasks: empty means all. coordinates: empty means those of the model.

    limit: questions per task, None means all. split: empty means the one of the published figures. settings: further
    choices of one data set, by name.
    """

    root: Path
    model: str
    tasks: tuple[str, ...] = ()
    limit: int | None = None
    split: str = ''
    coordinates: str = ''
    image_roots: tuple[Path, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise AffordanceError(Code.BAD_INPUT, f'limit must be at least 1, got {self.limit}')

    def setting(self, name: str, known: Sequence[str]) -> str:
        """Return one of the settings, the first known value unless it was chosen. Raises BAD_INPUT."""
        value = str(self.settings.get(name, known[0]))
        if value not in known:
            raise AffordanceError(Code.BAD_INPUT, f'{name} must be one of {", ".join(known)}, got {value!r}')
        return value

    def needs(self, *outputs: str) -> None:
        """Raise BAD_INPUT for a known model that gives none of these fields of an answer, before it is loaded."""
        models = {entry.name: entry.outputs for entry in list_models()}
        if not models.get(self.model, frozenset(outputs)) & set(outputs):
            fit = ', '.join(name for name, given in models.items() if given & set(outputs))
            raise AffordanceError(
                Code.BAD_INPUT, f'{self.model} gives no {" or ".join(outputs)}; models that do: {fit}'
            )

    def check_settings(self, *known: str) -> None:
        """Raise BAD_INPUT for a setting that the data set does not know."""
        strangers = sorted(set(self.settings) - set(known))
        if strangers:
            names = ', '.join(known) or 'none'
            raise AffordanceError(
                Code.BAD_INPUT, f'{", ".join(strangers)}: no setting of this data set; it knows: {names}'
            )


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of a task, computed right, as the official program does, and as published.

    unreadable: answers that count as failures in `ours`. left_out: those that are in no sum of the official program,
    None where that is not known.
    """

    task: str
    questions: int
    unreadable: int
    name: str
    ours: float | None
    official: float | None
    published: Mapping[str, float] = field(default_factory=dict)
    left_out: int | None = None


@dataclass(frozen=True)
class BenchmarkKind:
    """One benchmark. where: a page to get the data from, under `licence`. about: what is asked, in a few words.

    options: what its models are loaded with unless the user says otherwise.
    """

    where: str
    open: Callable[[Choice], Benchmark]
    score: Callable[[Sequence[Json], Json], Json]
    rows: Callable[[Json], list[Row]]
    files: Callable[[Sequence[Json], Json, Path], tuple[Path, ...]]
    published: PublishedTable
    options: Mapping[str, Mapping[str, Any]]
    about: str
    licence: str


def times(value: float | None, factor: float) -> float | None:
    """Return a figure in the unit of the published table; None stays None."""
    return None if value is None else value * factor
