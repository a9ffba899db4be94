# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS-100 as HandsOnVLM is evaluated on it: ten frames before an action, and where the hands then go.

Get the frames (456x256, `--rgb-frames`) and the annotations from https://epic-kitchens.github.io (non-commercial, CC
BY-NC 4.0), the labels of the hands and the questions from https://github.com/Kami-code/HandsOnVLM-release; nothing is
downloaded here. Layout, frame numbers and labels as hoi_forecast/dataset of that repository at 17da4b2 reads them. The
features that the official reader asks for are used by no model and are not read.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.array_pickles import read_arrays
from affordance_ros.datasets.pictures import read_rgb
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://github.com/Kami-code/HandsOnVLM-release'
SPLITS = ('validation', 'train')
HANDS = ('RIGHT', 'LEFT')
LABEL_SIZE = (456, 256)
STEPS = slice(0, 21, 5)  # of 20 positions a second, four
FRAMES, FRAME_RATE, STEP_RATE = 10, 60.0, 4.0
AHEAD_S = 1.0
_ABSENT = {'RIGHT': (0.75, 1.5), 'LEFT': (0.25, 1.5)}
_QUESTION_FILES = {'validation': 'ek100_questions_val.json', 'train': 'ek100_questions.json'}


@dataclass(frozen=True)
class HandAction:
    """One action. uid: its number in the annotations. frames: paths of the ten frames, oldest first, as the keys are.

    numbers: of these frames, 60 in a second.
    """

    uid: int
    narration: str
    frames: tuple[str, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class HandLabel:
    """hands: (2, 5, xy) fractions of the image, right hand first, now and at the four steps. valid: (2,) 0 or 1."""

    hands: npt.NDArray[np.float32]
    valid: npt.NDArray[np.int64]


def observed_frames(start_frame: int) -> tuple[int, ...]:
    """Return the numbers of the ten frames that end a second before an action, four in a second.

    In float32 as officially: one of seventy is a frame off, and the question files name the frames by these numbers.
    """
    last = (start_frame - 1) / FRAME_RATE - AHEAD_S
    times = np.clip((np.arange(1, FRAMES + 1) - FRAMES) / STEP_RATE + last, 0, np.inf).astype(np.float32)
    return tuple(int(number) + 1 for number in np.floor(times * np.float32(FRAME_RATE)))


@dataclass(frozen=True)
class EpicHands:
    """The checkout of the official code that holds hoi_forecast/ and assets/, or a folder with data/ and common/.

    image_roots: further folders that hold the participants (P01, ...).
    """

    root: Path
    split: str = SPLITS[0]
    image_roots: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise AffordanceError(Code.BAD_INPUT, f'split must be one of {", ".join(SPLITS)}, got {self.split!r}')

    @property
    def base(self) -> Path:
        """The folder that holds data/ and common/."""
        inside = self.root / 'hoi_forecast'
        return inside if inside.is_dir() else self.root

    def files(self) -> dict[str, Path]:
        """Return the files that say which actions there are. Raises BAD_INPUT that names a missing one."""
        annotations = self.base / 'common' / 'epic-kitchens-100-annotations'
        found = {split: annotations / f'EPIC_100_{split}.csv' for split in {'train', self.split}}
        found['labelled'] = self.base / 'data' / 'ek100' / 'video_info.json'
        return {name: _there(path) for name, path in sorted(found.items())}

    def question_file(self) -> Path:
        """Return the file of the reasoning questions (RBHP). Raises BAD_INPUT that names it when it is missing."""
        return _there(self.root / 'assets' / _QUESTION_FILES[self.split])

    def label_path(self, uid: int) -> Path:
        """Return where the label of an action lies."""
        return self.base / 'data' / 'ek100' / 'labels' / f'label_{uid}.pkl'

    def actions(self) -> Iterator[HandAction]:
        """Yield the actions that have a label and begin after the first second, by number, as officially."""
        files = self.files()
        wanted = _labelled(files['labelled'])
        first = len(_rows(files['train'])) if self.split != 'train' else 0
        for index, row in enumerate(_rows(files[self.split])):
            uid = first + index
            if uid in wanted and _seconds(row['start_timestamp']) >= AHEAD_S and self.label_path(uid).is_file():
                yield _action(uid, row)

    def label(self, uid: int) -> HandLabel:
        """Return the label of an action. Raises BAD_INPUT that names a file which is none."""
        path = self.label_path(uid)
        content = read_arrays(path)
        try:
            tracks = {side: content['hand_trajs'][side]['traj'] for side in HANDS if side in content['hand_trajs']}
            hands = [_track(tracks.get(side), side) for side in HANDS]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise AffordanceError(Code.BAD_INPUT, f'{path} is no label of hands: {error!r}') from error
        return HandLabel(np.stack(hands), np.array([side in tracks for side in HANDS], np.int64))

    def clip(self, action: HandAction) -> list[npt.NDArray[np.uint8]]:
        """Return the ten frames as RGB uint8 (H, W, 3). Raises NO_IMAGE that names a missing one."""
        folders = (*self.image_roots, self.base / 'data' / 'EPIC-KITCHENS')
        found = {
            name: next((folder / name for folder in folders if (folder / name).is_file()), folders[-1] / name)
            for name in action.frames
        }
        images = {name: read_rgb(path) for name, path in found.items()}
        return [images[name] for name in action.frames]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no {path}; the data of HandsOnVLM are at {WHERE}')
    return path


def _track(positions: Any, side: str) -> npt.NDArray[np.float32]:
    """Return (5, 2) of a track (21, 2) in pixels; where there is none, what stands for it officially."""
    if positions is None:
        return np.tile(np.array(_ABSENT[side], np.float32), (5, 1))
    values = np.asarray(positions, np.float64)
    if values.shape != (21, 2) or not np.isfinite(values).all():
        raise ValueError(f'a track must be finite (21, 2), got {values.shape}')
    return (values[STEPS] / LABEL_SIZE).astype(np.float32)


@lru_cache(maxsize=4)
def _rows(path: Path) -> Sequence[dict[str, str]]:
    wanted = ('participant_id', 'video_id', 'start_timestamp', 'start_frame', 'narration')
    with path.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in wanted if rows and name not in rows[0]]
    if missing:
        raise AffordanceError(Code.BAD_INPUT, f'{path} has no column {", ".join(missing)}')
    return rows


def _labelled(path: Path) -> frozenset[int]:
    try:
        return frozenset(int(uid) for uid in json.loads(path.read_text(encoding='utf-8')))
    except (ValueError, TypeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} must be a JSON list of numbers: {error}') from error


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = (float(part) for part in stamp.split(':'))
    return hours * 3600.0 + minutes * 60.0 + seconds


def _action(uid: int, row: dict[str, str]) -> HandAction:
    numbers = observed_frames(int(row['start_frame']))
    folder = f'{row["participant_id"]}/rgb_frames/{row["video_id"]}'
    return HandAction(uid, row['narration'], tuple(f'{folder}/frame_{number:010d}.jpg' for number in numbers), numbers)
