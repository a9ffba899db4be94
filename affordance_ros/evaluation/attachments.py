# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of an answer is too large for a line of JSON: maps and masks, in files of their own beside the answers.

All shards of a run share one folder of them.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.records import Json

FOLDER = 'attachments'
_FILE = 'attachment'


@dataclass(frozen=True)
class Attachment:
    """The content of a file, put where a value of a line would be. suffix: of its name, as '.png'.

    content: bytes, or the path of a file that is read when the line is written.
    """

    content: bytes | Path
    suffix: str

    def read(self) -> bytes:
        """Return the content. Raises BAD_INPUT that names a file that cannot be read."""
        if isinstance(self.content, bytes):
            return self.content
        try:
            return self.content.read_bytes()
        except OSError as error:
            raise AffordanceError(Code.BAD_INPUT, f'{self.content} cannot be read: {error}') from error


def stored(line: Json, folder: Path) -> Json:
    """Return a line whose attachments are files below `folder` and named in it; equal contents are one file."""
    written: Json = _stored(line, folder / FOLDER)
    return written


def _stored(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        return {name: _stored(item, folder) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(item, folder) for item in value]
    if not isinstance(value, Attachment):
        return value
    content = value.read()
    name = hashlib.sha256(content).hexdigest()[:24] + value.suffix
    path = folder / name[:2] / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f'.{os.getpid()}.partial')  # shards may write the same one at once
        partial.write_bytes(content)
        partial.replace(path)  # a name always stands for a whole file
    return {_FILE: f'{FOLDER}/{name[:2]}/{name}'}


def located(line: Json, folder: Path) -> Json:
    """Return a line of the answers in `folder` with its attachments as absolute paths."""
    found: Json = _located(line, folder)
    return found


def _located(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {_FILE}:
            return {_FILE: str((folder / value[_FILE]).absolute())}
        return {name: _located(item, folder) for name, item in value.items()}
    return [_located(item, folder) for item in value] if isinstance(value, list) else value


def content_of(value: Any) -> bytes:
    """Return the content of an attachment of a line of `located`. Raises BAD_INPUT when its file is gone."""
    path = Path(value[_FILE])
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'the attachment {path} of this run is gone; ask again')
    return path.read_bytes()
