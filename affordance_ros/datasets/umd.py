# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""UMD Part Affordance in its owners' layout: RGB-D frames of tools, each pixel with its affordances in order of rank.

Get it from the University of Maryland (`WHERE`); its authors ask to be cited and name no licence. Below the root, at
any depth, lie folders TOOL_NN with TOOL_NN_FRAME_rgb.jpg and, for every third frame, TOOL_NN_FRAME_label_rank.mat.
Frames and questions are those of `zero_shot.py` of hq-King/Affordance-R1 at d84efcd: a thirtieth of all frames, what
the tool is for and where to grasp it. Nothing is downloaded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from affordance_ros.errors import AffordanceError, Code

WHERE = 'https://users.umiacs.umd.edu/~fer/affordance/part-affordance-dataset'
# The order of the last axis of the labels.
AFFORDANCES = ('grasp', 'cut', 'scoop', 'contain', 'pound', 'support', 'wrap-grasp')
# What each kind of tool is for; where to grasp it is asked beside.
USES = {
    **dict.fromkeys(('knife', 'saw', 'scissors', 'shears'), 'cut'),
    **dict.fromkeys(('scoop', 'spoon', 'trowel'), 'scoop'),
    **dict.fromkeys(('bowl', 'cup', 'ladle', 'mug', 'pot'), 'contain'),
    **dict.fromkeys(('shovel', 'turner'), 'support'),
    **dict.fromkeys(('hammer', 'mallet', 'tenderizer'), 'pound'),
}
GRASP = 'grasp'
_EVERY, _FIRST = 30, 1
_RGB, _RANKS = '_rgb.jpg', '_label_rank.mat'


@dataclass(frozen=True)
class PartQuestion:
    """One affordance of one frame. id: path of the frame below the root, without its ending."""

    id: str
    tool: str
    action: str
    image: Path
    label: Path

    @property
    def text(self) -> str:
        """The question, word by word."""
        return f'What part of the {self.tool} should we interact with in order to {self.action} it?'


@dataclass(frozen=True)
class Umd:
    """The data set somewhere below `root`."""

    root: Path

    def questions(self) -> list[PartQuestion]:
        """Return the questions, folder by folder and frame by frame, the use of a tool before its grasp.

        Raises:
            AffordanceError: there is no frame, a folder is of no known tool, or the labels of a frame are missing.
        """
        questions = [question for image in self._frames() for question in self._of(image)]
        if not questions:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'no TOOL_NN/TOOL_NN_00000001{_RGB} below {self.root}; UMD Part Affordance is at {WHERE}',
            )
        missing = next((question.label for question in questions if not question.label.is_file()), None)
        if missing is not None:
            raise AffordanceError(Code.BAD_INPUT, f'there is no {missing} beside its frame; unpack all of {WHERE}')
        return questions

    def _frames(self) -> Iterator[Path]:
        for path in sorted(self.root.rglob(f'*{_RGB}')):
            number = path.name.removesuffix(_RGB).rpartition('_')[2]
            if number.isdecimal() and int(number) % _EVERY == _FIRST:
                yield path

    def _of(self, image: Path) -> Iterator[PartQuestion]:
        tool = image.parent.name.partition('_')[0]
        if tool not in USES:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'{image.parent} is of no known tool; a folder is named TOOL_NN with one of {", ".join(USES)}',
            )
        stem = image.name.removesuffix(_RGB)
        for action in (USES[tool], GRASP):
            name = str((image.parent / stem).relative_to(self.root))
            yield PartQuestion(name, tool, action, image, image.parent / f'{stem}{_RANKS}')


def read_ranks(question: PartQuestion) -> npt.NDArray[np.uint8]:
    """Return the ranks (H, W, 7): 1 is what a pixel affords best, 0 what it does not. Raises BAD_INPUT."""
    try:
        ranks = loadmat(question.label)['gt_label']
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'{question.label} is no file of labels: {error!r}') from error
    if ranks.ndim != 3 or ranks.shape[2] != len(AFFORDANCES):
        raise AffordanceError(
            Code.BAD_INPUT, f'gt_label of {question.label} must be (H, W, {len(AFFORDANCES)}), got {ranks.shape}'
        )
    return np.asarray(ranks, np.uint8)


def best_at(ranks: npt.NDArray[np.uint8], action: str) -> npt.NDArray[np.bool_]:
    """Return (H, W): where this affordance is the best one, the pixels that the data set's `_label.mat` gives it."""
    return np.asarray(ranks[:, :, AFFORDANCES.index(action)] == 1)
