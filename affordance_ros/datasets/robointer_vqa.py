# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VQA in its owners' layout: questions about robot images with their true answers.

Get it from https://huggingface.co/datasets/InternRobotics/RoboInter-VQA and unpack its zip files where they lie. The
images are frames of DROID and RH20T and stay under the licences of those two; nothing is downloaded here. Layout as in
README_DATA.md of InternRobotics/RoboInter at 481acfb, records as its evaluation_intermediate.py reads them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.answer_files import json_records
from affordance_ros.datasets.pictures import read_rgb
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import FloatArray

WHERE = 'https://huggingface.co/datasets/InternRobotics/RoboInter-VQA'
FORMATS = ('origin', 'llava', 'smart_resize')
SPLITS = ('val', 'train')
IMAGE_MARK = '<image>'
_HUMANS = ('human', 'huamn', 'user')  # the second one is in the released files
_ASSISTANTS = ('gpt', 'assistant')


@dataclass(frozen=True)
class VqaTask:
    """part: folder below the root. kind: box, points, trace, choice, decide or text. file: how its JSON's name ends.

    key: the key of the answer's JSON object, '' for answers in words. folder: below meta/val of the planning tasks.
    """

    part: str
    kind: str
    file: str
    key: str = ''
    folder: str = ''


TASKS = {
    'current_box': VqaTask('Generation', 'box', '_current_box_qa.json', 'current_bbox'),
    'contact_box': VqaTask('Generation', 'box', '_contact_box_qa.json', 'contact_bbox'),
    'final_box': VqaTask('Generation', 'box', '_final_box_qa.json', 'final_bbox'),
    'gripper_det': VqaTask('Generation', 'box', '_gripper_det_qa.json', 'gripper_det_bbox'),
    'contact_point': VqaTask('Generation', 'points', '_contact_point_qa.json', 'contact_point'),
    'traj': VqaTask('Generation', 'trace', '_traj_qa.json', 'future_traj'),
    'traj_wo_init_pos': VqaTask('Generation', 'trace', '_traj_qa_wo_init_pos.json', 'future_traj'),
    'contact_decide': VqaTask('Understanding', 'decide', 'contact_decide.json'),
    'grasppose_choice': VqaTask('Understanding', 'choice', 'grasppose_choice.json'),
    'grounding_choice': VqaTask('Understanding', 'choice', 'grounding_choice.json'),
    'traj_choice': VqaTask('Understanding', 'choice', 'traj_choice.json'),
    'trajlang_choice': VqaTask('Understanding', 'choice', 'trajlang_choice.json'),
    'trajlang_sub_choice': VqaTask('Understanding', 'choice', 'trajlang_sub_choice.json'),
    'traj_direction_choice': VqaTask('Understanding', 'choice', 'traj_direction_choice.json'),
    'traj_direction_choice_with_traj': VqaTask('Understanding', 'choice', 'traj_direction_choice_with_traj.json'),
    'planning': VqaTask('Task_planning', 'text', 'task_planning.json', folder='planning'),
    'planning_choice': VqaTask('Task_planning', 'choice', 'task_planning.json', folder='choice'),
    'planning_decide': VqaTask('Task_planning', 'decide', 'task_planning.json', folder='decide'),
}


@dataclass(frozen=True)
class VqaQuestion:
    """One record. text: the question as the model is given it, with its marks <image>. images: names as in the file.

    answer: the true answer as text. coordinates: format of the file, which says what its numbers mean. size: (width,
    height) of the original image, resized: of the Qwen models' one; None where the record does not have them.
    """

    id: str
    task: str
    text: str
    images: tuple[str, ...]
    answer: str
    coordinates: str = FORMATS[0]
    size: tuple[int, int] | None = None
    resized: tuple[int, int] | None = None

    @property
    def sentence(self) -> str:
        """The question without its marks for images."""
        return self.text.replace(IMAGE_MARK, '').strip()

    @property
    def true_points(self) -> FloatArray:
        """The true points (N, 2) in pixels of the original image; a box has two, top left first.

        The format 'llava' has two decimals only, so that its truth is up to 0.5 % of a side off: take 'origin' for
        errors in pixels.

        Raises:
            AffordanceError: the answer holds no points, or the record lacks the sizes that its format needs.
        """
        key = TASKS[self.task].key
        if not key:
            raise AffordanceError(Code.BAD_INPUT, f'a question of the task {self.task} is answered in words')
        try:
            values = np.array(json.loads(self.answer)[key], np.float64).reshape(-1, 2)
        except (ValueError, TypeError, KeyError) as error:
            raise AffordanceError(
                Code.BAD_INPUT, f'the true answer of {self.id} is no {key} of points: {self.answer[:120]!r}'
            ) from error
        return values * self._scale()

    def _scale(self) -> FloatArray:
        if self.coordinates == 'origin':
            return np.ones(2)
        if self.size is None or (self.coordinates == 'smart_resize' and self.resized is None):
            raise AffordanceError(Code.BAD_INPUT, f'record {self.id} lacks w and h (or new_w and new_h) of its image')
        size = np.array(self.size, np.float64)
        return size / np.array(self.resized, np.float64) if self.coordinates == 'smart_resize' else size


@dataclass(frozen=True)
class RoboInterVqa:
    """The data set below `root`, the folder that holds Generation, Understanding and Task_planning.

    image_roots: further folders that image names are relative to.
    """

    root: Path
    split: str = 'val'
    coordinates: str = 'llava'
    image_roots: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.split not in SPLITS or self.coordinates not in FORMATS:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'split must be one of {", ".join(SPLITS)} and coordinates one of {", ".join(FORMATS)}, '
                f'got {self.split!r} and {self.coordinates!r}',
            )

    def files(self, task: str) -> tuple[Path, ...]:
        """Return the JSON files of a task: one in val, one per robot data set in train.

        Raises:
            AffordanceError: the task is unknown or has no file here.
        """
        known = _task(task)
        folder = self.root / known.part / 'meta' / self.split
        pattern = f'*{known.file}'
        if known.part == 'Generation':
            pattern = f'{self.coordinates}_format/{pattern}'
        elif known.folder and self.split == 'val':
            folder /= known.folder
        elif known.folder not in ('', 'planning'):
            raise AffordanceError(Code.BAD_INPUT, 'the training file of the planning tasks is one: ask for planning')
        candidates = sorted(folder.rglob(pattern))
        if not candidates:
            raise AffordanceError(
                Code.BAD_INPUT, f'no {pattern} for the task {task} in {folder}; RoboInter-VQA is at {WHERE}'
            )
        return tuple(candidates)

    def questions(self, task: str) -> Iterator[VqaQuestion]:
        """Yield the questions of a task, file by file. Raises AffordanceError for a record that is none."""
        for path in self.files(task):
            yield from read_questions(path, task, self.coordinates)

    def image_path(self, task: str, name: str) -> Path:
        """Return where the image of a record lies.

        Names are relative to the root or to a folder of images, which differs between the released files.

        Raises:
            AffordanceError: it is in none of these places or in several, the name leads out of the data set, or it
                names a frame of an LMDB data base of pickles, which is not opened.
        """
        if '#' in name:
            raise AffordanceError(
                Code.NO_IMAGE,
                f'image {name} is frame {name.rpartition("#")[2]} of an LMDB data base of pickled data, which is not '
                f'opened; write its frames out as images and name those',
            )
        if Path(name).is_absolute() or '..' in Path(name).parts:
            raise AffordanceError(Code.BAD_INPUT, f'image {name} must be a path below the data set')
        images = self.root / _task(task).part / 'image'
        for folder in (*self.image_roots, self.root, images / self.split / task, images / self.split, images):
            if (folder / name).is_file():
                return folder / name
        found = [folder / name for folder in _folders_below(images / self.split) if (folder / name).is_file()]
        if len(found) > 1:
            shown = ' and '.join(str(path.relative_to(self.root)) for path in found[:2])
            raise AffordanceError(Code.NO_IMAGE, f'image {name} is both {shown}; name the folder in image_roots')
        if not found:
            raise AffordanceError(
                Code.NO_IMAGE, f'image {name} is not below {self.root}; unpack the zip files of the data set in place'
            )
        return found[0]

    def images(self, question: VqaQuestion) -> list[npt.NDArray[np.uint8]]:
        """Return the images of a question as RGB uint8 (H, W, 3). Raises AffordanceError."""
        return [read_rgb(self.image_path(question.task, name)) for name in question.images]


def _task(name: str) -> VqaTask:
    if name not in TASKS:
        raise AffordanceError(Code.BAD_INPUT, f'{name!r} is no task of RoboInter-VQA; known: {", ".join(TASKS)}')
    return TASKS[name]


@lru_cache(maxsize=64)
def _folders_below(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob('*') if path.is_dir())) if folder.is_dir() else ()


def read_questions(path: Path, task: str, coordinates: str = FORMATS[0]) -> Iterator[VqaQuestion]:
    """Yield the records of a JSON list (or of JSON lines) as questions of `task`. Raises AffordanceError."""
    _task(task)
    for index, record in enumerate(json_records(path)):
        try:
            yield _question(record, task, coordinates)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise AffordanceError(
                Code.BAD_INPUT, f'record {index} of {path} is no question of RoboInter-VQA: {error!r}'
            ) from error


def _question(record: Mapping[str, Any], task: str, coordinates: str) -> VqaQuestion:
    turns = record['conversations']
    images = record['images'] if isinstance(record['images'], list) else [record['images']]
    if not images or not all(isinstance(name, str) for name in images):
        raise ValueError('images must name at least one file')
    return VqaQuestion(
        str(record['id']),
        task,
        _turn(turns, _HUMANS),
        tuple(images),
        _turn(turns, _ASSISTANTS),
        coordinates,
        _size(record, 'w', 'h'),
        _size(record, 'new_w', 'new_h'),
    )


def _turn(turns: Iterable[Mapping[str, Any]], roles: Sequence[str]) -> str:
    text = next((turn['value'] for turn in turns if turn['from'] in roles), None)
    if not isinstance(text, str):
        raise ValueError(f'no turn of {roles[0]}')
    return text


def _size(record: Mapping[str, Any], width: str, height: str) -> tuple[int, int] | None:
    if record.get(width) is None or record.get(height) is None:
        return None
    size = int(record[width]), int(record[height])
    if min(size) < 1:
        raise ValueError(f'{width} and {height} must be positive, got {size}')
    return size
