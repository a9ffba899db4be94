# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that are answered with points on an image and judged by a mask: what Where2Place and RoboRefIt share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code


@dataclass(frozen=True)
class PointQuestion:
    """One question. index: its number in the list. id: as in the list, text or a number. text: asked as it stands.

    image: path of the image as in the list. mask: path of the mask. category: group that is scored apart, '' for none.
    """

    index: int
    id: str | int
    image: str
    text: str
    mask: str
    category: str = ''


class PointData(Protocol):
    """A data set of such questions."""

    def describe(self) -> dict[str, Any]:
        """Return the choices that the questions depend on, as JSON."""
        ...

    def files(self) -> dict[str, Path]:
        """Return the files and folders that the questions are read from, by name."""
        ...

    def questions(self) -> list[PointQuestion]:
        """Return the questions in order. Raises AffordanceError that names a missing file or a wrong record."""
        ...

    def image(self, question: PointQuestion) -> npt.NDArray[np.uint8]:
        """Return the image as RGB uint8 (H, W, 3). Raises NO_IMAGE."""
        ...

    def mask_file(self, question: PointQuestion) -> bytes:
        """Return an encoded grey image of the size of the image, bright where points are right. Raises BAD_INPUT."""
        ...


def below(name: str) -> Path:
    """Return a path of a list, which must stay below the data set. Raises BAD_INPUT."""
    path = Path(name)
    if path.is_absolute() or '..' in path.parts:
        raise AffordanceError(Code.BAD_INPUT, f'{name} must be a path below the data set')
    return path
