# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ReasonAff in its owners' layout: questions about parts of objects, each with an image and the true mask.

The README of `WHERE` links the archive; its authors name no licence. The evaluation program of hq-King/Affordance-R1 at
d84efcd loads the folder with `load_from_disk` of Hugging Face's `datasets`: below the root are dataset_dict.json and
test/ with state.json and Arrow files. Parquet files test*.parquet with the same columns, in the root or in data/, are
read too. Rows are read one by one, and nothing is downloaded.
"""

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.pictures import decoded
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://github.com/hq-King/Affordance-R1'
COLUMNS = ('id', 'image', 'problem', 'mask', 'img_height', 'img_width')
_STATE = 'state.json'
_ENCODED = ('struct', 'binary', 'large_binary')  # types of a column that holds pictures as files


@dataclass(frozen=True)
class ReasonAffRow:
    """One question, read when it is needed. index: of its row."""

    data: 'ReasonAff'
    index: int

    def _scalar(self, column: str) -> Any:
        return self.data.table.column(column)[self.index]

    def value(self, column: str) -> Any:
        """Return a text or number of the row, None where the column does not exist."""
        return self._scalar(column).as_py() if column in self.data.table.column_names else None

    @property
    def id(self) -> str:
        """The id of the row as text."""
        return str(self.value('id'))

    @property
    def text(self) -> str:
        """The question. Raises BAD_INPUT when there is none."""
        text = self.value('problem')
        if not isinstance(text, str) or not text.strip():
            raise AffordanceError(Code.BAD_INPUT, f'{self.place} has no question')
        return text

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image, as the row has it."""
        return int(self.value('img_width')), int(self.value('img_height'))

    @property
    def place(self) -> str:
        """Where the row is, for sentences."""
        return f'row {self.index} ({self.id}) of {self.data.root}'

    def image(self) -> npt.NDArray[np.uint8]:
        """Return the image as RGB uint8 (H, W, 3). Raises NO_IMAGE."""
        return np.array(self._decoded('image').convert('RGB'))

    def mask(self) -> npt.NDArray[Any]:
        """Return the true mask (H, W) with its values as stored: anything but 0 is true. Raises BAD_INPUT."""
        scalar = self._scalar('mask')
        if str(scalar.type).startswith(_ENCODED):
            return np.asarray(self._decoded('mask'))
        rows = scalar.values
        if rows is None or not len(rows):
            raise AffordanceError(Code.BAD_INPUT, f'{self.place} has no mask')
        values = np.asarray(rows.flatten().to_numpy(zero_copy_only=False))
        if values.dtype == np.object_ or rows.null_count or len(rows.value_lengths().unique()) != 1:
            raise AffordanceError(Code.BAD_INPUT, f'the mask of {self.place} is no rectangle of numbers')
        return values.reshape(len(rows), -1)

    def _decoded(self, column: str) -> Any:
        stored = self._scalar(column).as_py()
        content = stored.get('bytes') if isinstance(stored, dict) else stored
        if not content and isinstance(stored, dict) and stored.get('path'):
            content = self._outside(stored['path'])
        if not isinstance(content, bytes):
            raise AffordanceError(Code.NO_IMAGE, f'{column} of {self.place} is no picture')
        return decoded(content, f'{column} of {self.place}')

    def _outside(self, name: str) -> bytes:
        path = self.data.root / name
        if '..' in Path(name).parts or not path.is_file():
            raise AffordanceError(Code.NO_IMAGE, f'there is no picture {path}, which {self.place} names')
        return path.read_bytes()


@dataclass(frozen=True)
class ReasonAff:
    """The test questions in the folder `root`."""

    root: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of the questions, in order. Raises BAD_INPUT that names what is missing."""
        for folder in (self.root / 'test', self.root):
            if (folder / _STATE).is_file():
                return tuple(_arrow_files(folder))
        for folder in (self.root, self.root / 'data'):
            if found := sorted(folder.glob('test*.parquet')):
                return tuple(found)
        raise AffordanceError(
            Code.BAD_INPUT,
            f'there is neither {self.root / "test" / _STATE} nor {self.root}/test*.parquet; {WHERE} links ReasonAff',
        )

    @cached_property
    def table(self) -> Any:
        """The questions as a table of Arrow that lies on disk. Raises BAD_INPUT."""
        arrow = _pyarrow()
        try:
            table = arrow.concat_tables([_table(arrow, path) for path in self.files])
        except (arrow.ArrowException, OSError) as error:
            raise AffordanceError(Code.BAD_INPUT, f'{self.files[0].parent} cannot be read: {error}') from error
        missing = [name for name in COLUMNS if name not in table.column_names]
        if missing:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'{self.files[0].parent} lacks the column {", ".join(missing)}; it has {", ".join(table.column_names)}',
            )
        return table

    def questions(self) -> Iterator[ReasonAffRow]:
        """Yield the questions in the order of the files."""
        for index in range(self.table.num_rows):
            yield ReasonAffRow(self, index)


def _arrow_files(folder: Path) -> Iterator[Path]:
    try:
        names = [entry['filename'] for entry in json.loads((folder / _STATE).read_text())['_data_files']]
    except (ValueError, KeyError, TypeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'{folder / _STATE} names no data files: {error!r}') from error
    for name in names:
        if not (folder / name).is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no {folder / name}, which {folder / _STATE} names')
        yield folder / name


def _table(arrow: Any, path: Path) -> Any:
    if path.suffix == '.parquet':
        return importlib.import_module('pyarrow.parquet').read_table(path, memory_map=True)
    stream = arrow.memory_map(str(path))
    try:
        return arrow.ipc.open_stream(stream).read_all()
    except arrow.ArrowInvalid:
        return arrow.ipc.open_file(stream).read_all()


def _pyarrow() -> Any:
    try:
        return importlib.import_module('pyarrow')
    except ImportError as error:
        raise AffordanceError(
            Code.BAD_INPUT, "ReasonAff is stored in Arrow files: pip install 'affordance_ros[arrow]' reads them"
        ) from error
