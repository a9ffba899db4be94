# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The egocentric test images of AGD20K in their owners' layout, each with a map of where an action takes place.

Get it from the page of Cross-View-AG (`WHERE`), whose authors give it for research only. Below the root lie
Seen/testset/egocentric/ACTION/OBJECT/*.jpg and the maps of the same names, *.png, in Seen/testset/GT; Unseen is built
alike. Images without a map are not asked, as in `zero_shot.py` of hq-King/Affordance-R1 at d84efcd, from which the
question is too. Nothing is downloaded.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://github.com/lhc1224/Cross-View-AG'
PARTS = ('Seen', 'Unseen')


@dataclass(frozen=True)
class MapQuestion:
    """One image. id: ACTION/OBJECT/NAME. truth: its map, a grey picture of 0 to 255."""

    id: str
    action: str
    object: str
    image: Path
    truth: Path

    @property
    def text(self) -> str:
        """The question, word by word, with the names of the folders."""
        return f'What part of the {self.object} should we interact with in order to {self.action} it?'


@dataclass(frozen=True)
class Agd20k:
    """The data set below `root`, the folder that holds Seen and Unseen. part: one of PARTS."""

    root: Path
    part: str = PARTS[0]

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise AffordanceError(Code.BAD_INPUT, f'part must be one of {", ".join(PARTS)}, got {self.part!r}')

    @property
    def test_set(self) -> Path:
        """The folder that holds egocentric and GT."""
        return self.root / self.part / 'testset'

    @cached_property
    def _all(self) -> tuple[MapQuestion, ...]:
        images = self.test_set / 'egocentric'
        for folder in (images, self.test_set / 'GT'):
            if not folder.is_dir():
                raise AffordanceError(Code.BAD_INPUT, f'there is no folder {folder}; AGD20K is at {WHERE}')
        return tuple(
            MapQuestion(
                f'{path.parent.parent.name}/{path.parent.name}/{path.stem}',
                path.parent.parent.name,
                path.parent.name,
                path,
                (self.test_set / 'GT' / path.relative_to(images)).with_suffix('.png'),
            )
            for path in sorted(images.glob('*/*/*.jpg'))
        )

    def questions(self) -> list[MapQuestion]:
        """Return the questions in the order of their names. Raises BAD_INPUT when nothing can be asked."""
        with_truth = [question for question in self._all if question.truth.is_file()]
        if not with_truth:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'none of the {len(self._all)} images ACTION/OBJECT/*.jpg in {self.test_set / "egocentric"} has its '
                f'map in {self.test_set / "GT"}; AGD20K is at {WHERE}',
            )
        return with_truth

    @property
    def without_truth(self) -> int:
        """How many images have no map."""
        return sum(not question.truth.is_file() for question in self._all)
