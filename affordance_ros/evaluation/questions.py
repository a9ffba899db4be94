# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions of a benchmark, and which of them a process asks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Protocol

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.records import Json
from affordance_ros.results import Frame, Prediction, Query


@dataclass(frozen=True)
class Item:
    """One question. frames: reads its images when it is asked. truth: what scoring needs, as JSON, or what reads it.

    A truth that is large or slow to read is best given as a function: it is then read when the question is asked, and
    not when questions are counted.
    """

    key: str
    frames: Callable[[], Sequence[Frame]]
    query: Query
    truth: Json | Callable[[], Json]

    def read_truth(self) -> Json:
        """Return the truth."""
        return self.truth() if callable(self.truth) else self.truth


class Benchmark(Protocol):
    """A data set with its questions in a fixed order."""

    def describe(self) -> Json:
        """Return what the questions depend on, as JSON; two runs with the same one ask the same."""
        ...

    def items(self) -> Iterator[Item]:
        """Yield every question."""
        ...

    def record(self, prediction: Prediction) -> Json:
        """Return what scoring needs of an answer."""
        ...


@dataclass(frozen=True)
class Shard:
    """The share of one process: every `count`-th batch of questions from the `index`-th on.

    Batches are cut before they are shared out, so that a question is asked beside the same others whatever the number
    of processes.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise AffordanceError(
                Code.BAD_INPUT, f'a shard must be INDEX/COUNT with 0 <= INDEX < COUNT, got {self.index}/{self.count}'
            )

    @classmethod
    def parse(cls, text: str) -> 'Shard':
        """Read INDEX/COUNT, as 0/4. Raises BAD_INPUT."""
        index, _, number = text.partition('/')
        if not (index.isdecimal() and number.isdecimal()):
            raise AffordanceError(Code.BAD_INPUT, f'a shard must be INDEX/COUNT, as 0/4, got {text!r}')
        return cls(int(index), int(number))

    def __str__(self) -> str:
        return f'{self.index}/{self.count}'

    def folder(self, out: Path) -> Path:
        """Return where this shard writes: `out` itself when it is the only one."""
        return out if self.count == 1 else out / f'shard-{self.index}-of-{self.count}'

    def batches(self, items: Iterator[Item], size: int) -> Iterator[tuple[int, list[Item]]]:
        """Yield the batches of this shard with their numbers, each of `size` questions but the last one of all."""
        for number in count():
            batch = list(islice(items, size))
            if not batch:
                return
            if number % self.count == self.index:
                yield number, batch

    def questions(self, total: int, size: int) -> int:
        """Return how many of `total` questions this shard asks."""
        starts = range(self.index * size, total, self.count * size)
        return sum(min(size, total - start) for start in starts)
