# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboRefIt in its owners' layout: sentences that mean one object of a cluttered image, with its mask.

Get it from https://github.com/luyh20/VL-Grasp (MIT), whose page links the archive; nothing is downloaded here. Layout
as RoboRefIt/datasets of that repository at 947f1ab reads it. RoboPoint was scored on 750 of its images with points;
neither the choice nor the wording was published, so the question here is of our own.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.datasets.answer_files import json_records
from affordance_ros.datasets.pictures import decoded, read_rgb
from affordance_ros.datasets.point_questions import PointQuestion, below
from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://github.com/luyh20/VL-Grasp'
SPLITS = ('testA', 'testB', 'train')
QUESTION = 'Locate several points on the object that this sentence means: {}'


@dataclass(frozen=True)
class RoboRefIt:
    """The folder that holds final_dataset/, or that folder itself.

    splits: read one after the other, each a category of its own. question: {} stands for the sentence. suffix: follows
    every question, such as the format of the answer.
    """

    root: Path
    splits: tuple[str, ...] = SPLITS[:2]
    question: str = QUESTION
    suffix: str = ''

    def __post_init__(self) -> None:
        strangers = [split for split in self.splits if split not in SPLITS]
        if strangers or not self.splits:
            raise AffordanceError(Code.BAD_INPUT, f'RoboRefIt has the parts {", ".join(SPLITS)}, got {self.splits}')
        if '{}' not in self.question:
            raise AffordanceError(Code.BAD_INPUT, f'the question needs {{}} for the sentence, got {self.question!r}')

    def describe(self) -> dict[str, Any]:
        """Return the choices that the questions depend on."""
        return {'splits': list(self.splits), 'question': self.question, 'suffix': self.suffix}

    def files(self) -> dict[str, Path]:
        """Return the list of each split. Raises BAD_INPUT that names a missing one."""
        folder = self.root / 'final_dataset' if (self.root / 'final_dataset').is_dir() else self.root
        files = {split: folder / split / f'roborefit_{split}.json' for split in self.splits}
        for path in files.values():
            if not path.is_file():
                raise AffordanceError(Code.BAD_INPUT, f'there is no {path}; RoboRefIt is at {WHERE}')
        return files

    def questions(self) -> list[PointQuestion]:
        """Return the questions of all splits. Raises AffordanceError for a missing file or a record that is none."""
        found: list[PointQuestion] = []
        for split, path in self.files().items():
            for index, record in enumerate(json_records(path)):
                found.append(self._question(f'record {index} of {path}', len(found), split, record))
        return found

    def mask_file(self, question: PointQuestion) -> bytes:
        """Return the mask as a PNG of 0 and 255: the object is every pixel that is not black, in any channel."""
        path = self._place(question.mask)
        if not path.is_file():
            raise AffordanceError(Code.BAD_INPUT, f'there is no mask {path} for question {question.id}')
        values = np.asarray(decoded(path.read_bytes(), str(path)))
        marked = values > 0 if values.ndim == 2 else (values[..., :3] > 0).any(axis=2)
        content = io.BytesIO()
        Image.fromarray((marked * 255).astype(np.uint8)).save(content, 'PNG')
        return content.getvalue()

    def image(self, question: PointQuestion) -> npt.NDArray[np.uint8]:
        """Return the image as RGB uint8 (H, W, 3). Raises NO_IMAGE."""
        return read_rgb(self._place(question.image))

    def _place(self, name: str) -> Path:
        """Return where a file of a record lies; names begin with final_dataset/."""
        path = below(name)
        inside = self.root / path
        return self.root.joinpath(*path.parts[1:]) if not inside.exists() and len(path.parts) > 1 else inside

    def _question(self, where: str, index: int, split: str, record: Any) -> PointQuestion:
        try:
            text, image, mask = (record[name] for name in ('text', 'rgb_path', 'mask_path'))
            if not all(isinstance(each, str) and each.strip() for each in (text, image, mask)):
                raise TypeError('text, rgb_path and mask_path must be text')
        except (KeyError, TypeError) as error:
            raise AffordanceError(Code.BAD_INPUT, f'{where} is no record of RoboRefIt: {error!r}') from error
        asked = self.question.replace('{}', text.strip()) + self.suffix
        return PointQuestion(index, index, image.replace('\\', '/'), asked, mask.replace('\\', '/'), split)
