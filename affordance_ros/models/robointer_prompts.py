# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions for RoboInter as data: a book of templates by task, and the miner that finds the official ones."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN
from affordance_ros.models.robointer_answers import BY_NAME, Task
from affordance_ros.results import Query

BOOK = Path(__file__).with_name('robointer_prompts.yaml')
PROVENANCES = ('mined', 'figure-paraphrase', 'project')
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBERS = re.compile(r'\[?\s*-?\d[\d\s.,\[\]-]*')


@dataclass(frozen=True)
class Question:
    """text: a template with {task}, {subtask} and {options}. provenance: one of PROVENANCES."""

    text: str
    provenance: str


def read_book(path: Path | None = None) -> dict[str, Question]:
    """Return the questions by task: ours, with those of a file in their place. Raises BAD_INPUT."""
    book = _read(BOOK)
    return book | _read(path) if path is not None else book


def _read(path: Path) -> dict[str, Question]:
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no file of prompts at {path}')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        book = {str(name): Question(str(entry['text']), str(entry['provenance'])) for name, entry in content.items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise AffordanceError(
            Code.BAD_INPUT, f'{path} must map tasks to {{text: ..., provenance: ...}}: {error}'
        ) from error
    for name, question in book.items():
        if name not in BY_NAME or question.provenance not in PROVENANCES:
            raise AffordanceError(
                Code.BAD_INPUT, f'{path}: {name} must be a task with a provenance of {", ".join(PROVENANCES)}'
            )
        _fill(question.text, {'task': '', 'subtask': '', 'options': ''}, path)
    return {BY_NAME[name].name: question for name, question in book.items()}


def _fill(text: str, slots: Mapping[str, str], path: Path | None = None) -> str:
    try:
        return text.format_map(slots)
    except (KeyError, ValueError, IndexError) as error:
        raise AffordanceError(
            Code.BAD_INPUT, f'{path or "a prompt"}: only {{task}}, {{subtask}} and {{options}} are known slots: {error}'
        ) from error


def ask(book: Mapping[str, Question], task: Task, query: Query) -> str:
    """Return the question of a query. Raises BAD_INPUT for a choice without two to four options."""
    if task.kind == 'choice' and not 2 <= len(query.options) <= 4:
        raise AffordanceError(Code.BAD_INPUT, f'a choice needs two to four options, got {len(query.options)}')
    options = '\n'.join(f'{letter}. {text}' for letter, text in zip('ABCD', query.options, strict=False))
    sentence = query.sentence.replace("'", '')  # a quote in the sentence would end the quoted span of the template
    return _fill(book[task.name].text, {'task': sentence, 'subtask': sentence, 'options': options})


def with_images(question: str, count: int) -> str:
    """Return the user's message: the images first unless the question says where they stand."""
    return question if IMAGE_TOKEN in question else f'{IMAGE_TOKEN}\n' * count + question


def mine(path: Path, most: int = 5) -> dict[str, list[tuple[str, int]]]:
    """Return, by task, the commonest questions of a RoboInter-VQA meta JSON, what varies masked, with their counts."""
    counts: dict[str, Counter[str]] = {}
    for record in json.loads(path.read_text(encoding='utf-8')):
        question = _first_turn(record)
        skeleton = _NUMBERS.sub('<numbers>', _QUOTED.sub("'<text>'", question.replace(IMAGE_TOKEN, '').strip()))
        counts.setdefault(str(record.get('task', '')), Counter())[skeleton] += 1
    return {task: counter.most_common(most) for task, counter in counts.items()}


def _first_turn(record: Mapping[str, Any]) -> str:
    turns = [turn for turn in record['conversations'] if turn.get('from') in ('human', 'huamn', 'user')]
    return str(turns[0]['value']) if turns else ''
