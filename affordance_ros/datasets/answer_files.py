# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of answers to a benchmark, as RoboInter's official scripts write and score them: `eval_details_<task>.json`.

Answers are on disk before they are scored, so that scoring again needs no model.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code


def json_records(path: Path) -> Sequence[Any]:
    """Return the records of a JSON list, or of JSON lines unless the name ends in .json. Raises AffordanceError."""
    try:
        text = path.read_text(encoding='utf-8')
        records = (
            json.loads(text) if path.suffix == '.json' else [json.loads(line) for line in text.splitlines() if line]
        )
    except OSError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} cannot be read: {error}') from error
    except ValueError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} is no JSON: {error}') from error
    if not isinstance(records, list):
        raise AffordanceError(Code.BAD_INPUT, f'{path} must be a JSON list of records')
    return records


@dataclass(frozen=True)
class WrittenAnswer:
    """One record of an answer file: what a model wrote (pred) to what should have been written (gt)."""

    id: str
    pred: str
    gt: str
    images: tuple[str, ...] = ()
    size: tuple[int, int] | None = None


def answer_file(folder: Path, task: str) -> Path:
    """Return where the official scorer looks for the answers of a task."""
    return folder / f'eval_details_{task}.json'


def write_answers(path: Path, answers: Iterable[WrittenAnswer]) -> Path:
    """Write an answer file that the official scorer reads, sizes included."""
    records = []
    for answer in answers:
        record: dict[str, Any] = {'id': answer.id, 'pred': answer.pred, 'gt': answer.gt}
        record['image_path'] = list(answer.images)
        records.append(record | ({'image_size': list(answer.size)} if answer.size else {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(records, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    return partial.replace(path)


def read_answers(path: Path) -> list[WrittenAnswer]:
    """Return the records of an answer file, of ours or of the official scripts. Raises AffordanceError."""
    return [_answer(path, index, record) for index, record in enumerate(json_records(path))]


def _answer(path: Path, index: int, record: Any) -> WrittenAnswer:
    try:
        images, size = record.get('image_path', []), record.get('image_size')
        answer = WrittenAnswer(
            str(record['id']),
            record['pred'],
            record['gt'],
            tuple(images if isinstance(images, list) else [images]),
            (int(size[0]), int(size[1])) if size else None,
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'record {index} of {path} is no answer: {error!r}') from error
    if not isinstance(answer.pred, str) or not isinstance(answer.gt, str):
        raise AffordanceError(Code.BAD_INPUT, f'record {index} of {path}: pred and gt must be text')
    return answer
