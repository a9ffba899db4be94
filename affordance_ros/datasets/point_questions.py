# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Questions that are answered with points on an image and judged by a mask: what Where2Place and RoboRefIt share."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

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


def decoded(content: bytes, name: str) -> Image.Image:
    """Return an image from its file's content. Raises NO_IMAGE with the name."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, UnidentifiedImageError) as error:
        raise AffordanceError(Code.NO_IMAGE, f'{name} cannot be read as an image: {error}') from error
    return image


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Return an image as RGB uint8 (H, W, 3). Raises NO_IMAGE with the path."""
    if not path.is_file():
        raise AffordanceError(Code.NO_IMAGE, f'there is no image {path}')
    return np.asarray(decoded(path.read_bytes(), str(path)).convert('RGB'))


def below(name: str) -> Path:
    """Return a path of a list, which must stay below the data set. Raises BAD_INPUT."""
    path = Path(name)
    if path.is_absolute() or '..' in path.parts:
        raise AffordanceError(Code.BAD_INPUT, f'{name} must be a path below the data set')
    return path
