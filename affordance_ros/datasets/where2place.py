# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place in its owners' layout: 100 questions for free space, each with an image and a mask of the right area.

Get it from https://huggingface.co/datasets/wentao-yuan/where2place (its page has the licence); nothing is downloaded.
RoboRefIt-style sets in the same layout are read too. Layout as robopoint/eval/summarize_vqa.py of
wentaoyuan/RoboPoint at adbee8d reads it: questions, answers and masks go together by the order of the lines.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from affordance_ros.datasets.answer_files import json_records
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://huggingface.co/datasets/wentao-yuan/where2place'
QUESTIONS = 'point_questions.jsonl'


@dataclass(frozen=True)
class PointQuestion:
    """One line. index: its number, which names its mask. id: question_id of the file. text: asked as it stands."""

    index: int
    id: str
    image: str
    text: str
    category: str = ''


@dataclass(frozen=True)
class Where2Place:
    """The folder that holds images/, masks/ and the question file. image_roots: further folders of images."""

    root: Path
    image_roots: tuple[Path, ...] = ()

    def questions(self) -> list[PointQuestion]:
        """Return the questions in order. Raises AffordanceError for a missing file or a line that is no question."""
        path = self.root / QUESTIONS
        if not path.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no {path}; Where2Place is at {WHERE}')
        return [_question(path, index, record) for index, record in enumerate(json_records(path))]

    def mask_file(self, question: PointQuestion) -> bytes:
        """Return the encoded mask as it is on disk. Raises AffordanceError."""
        path = self.root / 'masks' / f'{question.index:02d}.jpg'
        if not path.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no mask {path} for question {question.id}')
        return path.read_bytes()

    def image(self, question: PointQuestion) -> npt.NDArray[np.uint8]:
        """Return the image as RGB uint8 (H, W, 3). Raises AffordanceError."""
        name = Path(question.image)
        if name.is_absolute() or '..' in name.parts:
            raise AffordanceError(Code.BAD_INPUT, f'image {name} must be a path below the data set')
        for folder in (*self.image_roots, self.root / 'images'):
            if (folder / name).is_file():
                return np.asarray(decoded((folder / name).read_bytes(), str(folder / name)).convert('RGB'))
        raise AffordanceError(Code.NO_IMAGE, f'image {name} is not in {self.root / "images"}')


def decoded(content: bytes, name: str) -> Image.Image:
    """Return an image from its file's content. Raises NO_IMAGE with the name."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, UnidentifiedImageError) as error:
        raise AffordanceError(Code.NO_IMAGE, f'{name} cannot be read as an image: {error}') from error
    return image


def _question(path: Path, index: int, record: Any) -> PointQuestion:
    try:
        texts = [record[name] for name in ('image', 'text')]
        category, identity = record.get('category', ''), record.get('question_id', index)
    except (KeyError, TypeError, AttributeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'line {index + 1} of {path} is no question: {error!r}') from error
    if not all(isinstance(text, str) and text.strip() for text in texts) or not isinstance(category, str):
        raise AffordanceError(Code.BAD_INPUT, f'line {index + 1} of {path}: image, text and category must be text')
    return PointQuestion(index, str(identity), texts[0], texts[1], category)
