# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where2Place in its owners' layout: 100 questions for free space, each with an image and a mask of the right area.

Get it from https://huggingface.co/datasets/wentao-yuan/where2place (Apache-2.0); nothing is downloaded here. Layout as
robopoint/eval/summarize_vqa.py of wentaoyuan/RoboPoint at adbee8d reads it: questions, answers and masks go together by
the order of the lines. Data sets of one's own in this layout are read too, of any number of questions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.datasets.answer_files import json_records
from affordance_ros.datasets.pictures import read_rgb
from affordance_ros.datasets.point_questions import PointQuestion, below
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://huggingface.co/datasets/wentao-yuan/where2place'
QUESTIONS = ('point_questions.jsonl', 'bbox_questions.jsonl')
UNSEEN = 'unseen'


@dataclass(frozen=True)
class Where2Place:
    """The folder that holds images/, masks/ and the question file. image_roots: further folders of images.

    question_file: name of the file; the one with boxes asks the same in another format. unseen: first and last number
    of the questions whose relations were not in the training, where the file does not say so.
    """

    root: Path
    image_roots: tuple[Path, ...] = ()
    question_file: str = QUESTIONS[0]
    unseen: tuple[int, int] | None = None

    def describe(self) -> dict[str, Any]:
        """Return the choices that the questions depend on."""
        return {'questions': self.question_file, 'unseen': list(self.unseen) if self.unseen else None}

    def files(self) -> dict[str, Path]:
        """Return the question file and the folder of the masks."""
        return {'questions': self.root / below(self.question_file), 'masks': self.root / 'masks'}

    def questions(self) -> list[PointQuestion]:
        """Return the questions in order. Raises AffordanceError for a missing file or a line that is no question."""
        path = self.files()['questions']
        if not path.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no {path}; Where2Place is at {WHERE}')
        questions = [self._question(path, index, record) for index, record in enumerate(json_records(path))]
        for question in questions:
            if not (self.root / question.mask).is_file():
                raise AffordanceError(
                    Code.BAD_INPUT, f'there is no mask {self.root / question.mask} for question {question.id}'
                )
        return questions

    def mask_file(self, question: PointQuestion) -> bytes:
        """Return the encoded mask as it is on disk."""
        return (self.root / question.mask).read_bytes()

    def image(self, question: PointQuestion) -> npt.NDArray[np.uint8]:
        """Return the image as RGB uint8 (H, W, 3). Raises AffordanceError."""
        name = below(question.image)
        folders = (*self.image_roots, self.root / 'images')
        return read_rgb(next((folder / name for folder in folders if (folder / name).is_file()), folders[-1] / name))

    def _question(self, path: Path, index: int, record: Any) -> PointQuestion:
        try:
            texts = [record[name] for name in ('image', 'text')]
            category, identity = record.get('category', ''), record.get('question_id', index)
        except (KeyError, TypeError, AttributeError) as error:
            raise AffordanceError(Code.BAD_INPUT, f'line {index + 1} of {path} is no question: {error!r}') from error
        if not all(isinstance(text, str) and text.strip() for text in texts) or not isinstance(category, str):
            raise AffordanceError(Code.BAD_INPUT, f'line {index + 1} of {path}: image, text and category must be text')
        if self.unseen is not None and self.unseen[0] <= index <= self.unseen[1]:
            category = UNSEEN
        known = identity if isinstance(identity, int) else str(identity)
        return PointQuestion(index, known, texts[0], texts[1], f'masks/{index:02d}.jpg', category)
