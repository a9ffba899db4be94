# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay asks: one sentence, or a file of them."""

from pathlib import Path
from typing import Any

import yaml

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Query

_FIELDS = ('text', 'object', 'action', 'task', 'options')
_SUFFIXES = ('.txt', '.yaml', '.yml', '.json')


def read_prompts(given: str) -> tuple[Query, ...]:
    """Return the queries of a sentence, of a .txt file (one sentence a line) or of a YAML or JSON list.

    An entry of the list is a sentence or a mapping of text, object, action, task and options (a list of texts).

    Raises:
        AffordanceError: BAD_INPUT when the file is not there, holds nothing, or an entry is no query.
    """
    path = Path(given)
    if path.suffix.lower() not in _SUFFIXES:
        return (_query(given, given),)
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no file of prompts at {path}')
    text = path.read_text(encoding='utf-8')
    if path.suffix.lower() == '.txt':
        entries: Any = [line for line in text.splitlines() if line.strip() and not line.startswith('#')]
    else:
        try:
            entries = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise AffordanceError(Code.BAD_INPUT, f'{path} is no valid YAML or JSON: {error}') from error
    if not isinstance(entries, list) or not entries:
        raise AffordanceError(Code.BAD_INPUT, f'{path} must hold a list of prompts')
    return tuple(_query(entry, f'{path}, prompt {index + 1}') for index, entry in enumerate(entries))


def _query(entry: Any, where: str) -> Query:
    fields = {'text': entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict) or not all(_fits(*item) for item in fields.items()):
        raise AffordanceError(Code.BAD_INPUT, f'{where}: a prompt is a sentence or a mapping of {", ".join(_FIELDS)}')
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise AffordanceError(Code.BAD_INPUT, f'{where}: unknown {", ".join(unknown)}; known: {", ".join(_FIELDS)}')
    try:
        given: dict[str, Any] = dict(fields)
        return Query(**given | {'options': tuple(given.get('options', ()))})
    except ValueError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{where}: {error}') from error


def _fits(name: str, value: Any) -> bool:
    if name == 'options':
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str)
