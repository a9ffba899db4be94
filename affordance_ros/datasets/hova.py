# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOVA-500K in its owners' layout: images of HANDAL, Ego4D, EPIC-KITCHENS and 3DOI with soft maps of where to touch.

Get it from https://huggingface.co/datasets/JiaaZ/HOVA-500K: join the parts of each archive (cat part_* > all.tar.gz),
unpack them side by side. The images stay under the licences of the four data sets that they are from, of which Ego4D
and EPIC-KITCHENS must be asked for; nothing is downloaded here. Folders and lists as eval.py and utils/*_dataset.py of
TeleeMa/GLOVER at 6ebfea7 read them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affordance_ros.datasets.answer_files import json_records
from affordance_ros.datasets.hova_layout import LABELS, LAYOUTS, SOURCES, SPLITS, Folders, folders_of
from affordance_ros.datasets.point_questions import below
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://huggingface.co/datasets/JiaaZ/HOVA-500K'


@dataclass(frozen=True)
class HovaSample:
    """One record. image, truth and part are paths; truth is a grey image, part a mask of the right part (HANDAL test).

    index: its number in the list of its source.
    """

    source: str
    index: int
    image: Path
    truth: Path
    object: str
    action: str
    part: Path | None = None


@dataclass(frozen=True)
class Hova:
    """The folder that holds annotations/ and the folders of the sources.

    layout: 'release', the archives as they are now, or 'snapshot', the names of the first published code. labels: which
    maps of the training set: 'mp' from all points, 'sp' from one, 'adapt' from one with a radius by source. The test
    sets have one kind each: all points in the release, one point in the snapshot.
    """

    root: Path
    split: str = 'test'
    layout: str = 'release'
    labels: str = 'mp'

    def __post_init__(self) -> None:
        known = (('split', self.split, SPLITS), ('layout', self.layout, LAYOUTS), ('labels', self.labels, LABELS))
        for name, value, values in known:
            if value not in values:
                raise AffordanceError(Code.BAD_INPUT, f'{name} must be one of {", ".join(values)}, got {value!r}')

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that this split has."""
        return SOURCES if self.split == 'train' else SOURCES[:3]

    def folders(self, source: str) -> Folders:
        """Return where the list, the images and the maps of a source are. Raises BAD_INPUT for another source."""
        if source not in self.sources:
            raise AffordanceError(
                Code.BAD_INPUT, f'{source!r} is no source of the {self.split} split; it has {", ".join(self.sources)}'
            )
        return folders_of(self.layout, self.split, self.labels, source)

    def annotations(self, source: str) -> Path:
        """Return the list of a source. Raises BAD_INPUT that names the missing file."""
        path = self.root / self.folders(source).annotations
        if not path.is_file():
            other = next(layout for layout in LAYOUTS if layout != self.layout)
            raise AffordanceError(
                Code.BAD_INPUT, f'there is no {path}; HOVA-500K is at {WHERE} (or is its layout the {other}?)'
            )
        return path

    def samples(self, source: str) -> Iterator[HovaSample]:
        """Yield the records of a source in order. Raises AffordanceError for a record that is none."""
        path = self.annotations(source)
        for index, record in enumerate(json_records(path)):
            try:
                sample = self._sample(source, index, record)
            except (KeyError, TypeError, AttributeError) as error:
                raise AffordanceError(
                    Code.BAD_INPUT, f'record {index} of {path} is no record of {source}: {error!r}'
                ) from error
            if sample is not None:
                yield sample

    def _sample(self, source: str, index: int, record: Mapping[str, Any]) -> HovaSample | None:
        found, root = self.folders(source), self.root
        words = _words(source, record)
        if source == 'epic100' and self.split == 'train' and ':' in words[0]:
            if self.layout == 'snapshot':
                return None  # the first code left such nouns out, the later one keeps what is before the colon
            words = words[0].split(':')[0], words[1]
        name = record['img_name' if source == '3doi' else 'img_path'] + ('.jpg' if source == 'ego4d' else '')
        part = None
        if source == 'handal' and self.split == 'test':
            part = root / found.images / below(record['mask_path'])
        return HovaSample(
            source,
            index,
            root / found.images / below(name),
            root / found.truth / below(record['gt_path']),
            *words,
            part,
        )


def _words(source: str, record: Mapping[str, Any]) -> tuple[str, str]:
    """Return object and action as the official lists are read."""
    if source == '3doi':
        return _text(record['object']), ''
    noun = _text(record['noun'])
    if source == 'handal':
        return noun, 'pick up'
    if source == 'epic100':
        return noun, _text(record['verb'])
    return first_name(noun), first_name(_text(record['action']))


def first_name(label: str) -> str:
    """Return the first name in the parentheses of an Ego4D label, or the label; `bag_(bag,_grocery)` is `bag`.

    Underscores in parentheses go without a blank in their place, as officially.
    """
    if '(' not in label:
        return label
    return label.split('(')[1].split(')')[0].split(',')[0].strip().replace('_', '')


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{value!r} is no text')
    return value
