# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a run: what was asked with what (run.json), one answer a line (answers.jsonl), its times beside it.

Wall times live in a file of their own, so that the same run twice gives the same answers.jsonl, byte by byte.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.answer_json import answer_to_json
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.selection import Chosen
from affordance_ros.pipeline import Answer
from affordance_ros.results import Query

Json = dict[str, Any]
ANSWERS, TIMES, RUN = 'answers.jsonl', 'times.jsonl', 'run.json'


def answered(chosen: Chosen, prompt: int, answer: Answer) -> Json:
    """Return the line of an answer, without its wall times."""
    record = answer_to_json(answer)
    del record['seconds']
    message = '' if answer.targets or answer.places or not answer.abstentions else answer.abstentions[0].message
    return {**_head(chosen, prompt), 'message': message, **record}


def refused(chosen: Chosen, prompt: int, query: Query, error: AffordanceError) -> Json:
    """Return the line of a question that the model refused."""
    return {
        **_head(chosen, prompt),
        'message': error.message,
        'query': query.sentence,
        'outcome': error.code.name,
        'frame': None,
        'prediction': None,
        'targets': [],
        'places': [],
        'paths': [],
        'contacts': [],
        'abstentions': [],
    }


def _head(chosen: Chosen, prompt: int) -> Json:
    return {
        'stamp_ns': chosen.frame.stamp_ns,
        'frame_index': chosen.index,
        'change': round(chosen.change, 4),
        'has_depth': chosen.frame.depth is not None,
        'prompt': prompt,
    }


@dataclass(frozen=True)
class RunFolder:
    """A folder that a run writes into, and another run of the same kind can go on in."""

    path: Path

    def begin(self, run: Mapping[str, Any], *, resume: bool) -> int:
        """Make or take up the folder and return how many lines are done already.

        Raises:
            AffordanceError: BAD_INPUT when it holds a run and `resume` is not set, or a run of something else.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        text = _dump_run(run)
        file = self.path / RUN
        if not file.is_file():
            for name in (ANSWERS, TIMES):
                (self.path / name).write_text('')
            _write_whole(file, text)
            return 0
        if not resume:
            raise AffordanceError(
                Code.BAD_INPUT, f'{self.path} holds a run already; give --resume to go on with it, or another folder'
            )
        if file.read_text() != text:
            names = ', '.join(differing(json.loads(file.read_text()), dict(run)))
            raise AffordanceError(
                Code.BAD_INPUT, f'{self.path} holds a run of something else (different: {names}); use another folder'
            )
        return self._mend()

    def append(self, line: Json, times: Json) -> None:
        """Write one answer and its times."""
        with (self.path / TIMES).open('a') as file:
            file.write(_dump(times))
        with (self.path / ANSWERS).open('a') as file:
            file.write(_dump(line))

    def cut(self, lines: int) -> None:
        """Keep only the first answers and their times."""
        for name in (ANSWERS, TIMES):
            whole = _whole_lines(self.path / name)
            if len(whole) > lines:
                _write_whole(self.path / name, ''.join(whole[:lines]))

    def replace(self, run: Mapping[str, Any], answers: Iterable[Json], times: Iterable[Json]) -> None:
        """Write a whole run; a stop in between leaves the files of before or the new ones, never half of one."""
        for name, text in (
            (TIMES, ''.join(map(_dump, times))),
            (ANSWERS, ''.join(map(_dump, answers))),
            (RUN, _dump_run(run)),
        ):
            _write_whole(self.path / name, text)

    def answers(self) -> Iterator[Json]:
        """Yield the answers."""
        return read_lines(self.path / ANSWERS)

    def times(self) -> Iterator[Json]:
        """Yield the times, in the order of the answers."""
        return read_lines(self.path / TIMES)

    def whole_pairs(self) -> Iterator[tuple[Json, Json]]:
        """Yield answers with their times, as far as an interrupted run has written both whole."""
        pairs = zip(*(_whole_lines(self.path / name) for name in (ANSWERS, TIMES)), strict=False)
        return ((json.loads(line), json.loads(times)) for line, times in pairs)

    def run(self) -> Json:
        """Return run.json. Raises BAD_INPUT when the folder holds no run."""
        file = self.path / RUN
        if not file.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'{self.path} holds no run (no {RUN})')
        content: Json = json.loads(file.read_text())
        return content

    def _mend(self) -> int:
        """Cut what an interrupted run left half written; return the number of whole lines."""
        counts = {name: _whole_lines(self.path / name) for name in (ANSWERS, TIMES)}
        done = min(len(lines) for lines in counts.values())
        for name, lines in counts.items():
            _write_whole(self.path / name, ''.join(lines[:done]))
        return done


def read_lines(path: Path) -> Iterator[Json]:
    """Yield the objects of a JSONL file."""
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def differing(first: Json, second: Json) -> list[str]:
    """Return the names whose values differ."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def _whole_lines(path: Path) -> list[str]:
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [line for line in lines if line.endswith('\n')]


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all, also when the process is killed."""
    partial = path.with_name(f'{path.name}.partial')
    partial.write_text(text)
    partial.replace(path)


def _dump_run(run: Mapping[str, Any]) -> str:
    return json.dumps(run, indent=2, sort_keys=True) + '\n'


def _dump(line: Json) -> str:
    return json.dumps(line, allow_nan=False, separators=(',', ':')) + '\n'
