# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of data sets, from files and from the fields of tables."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from affordance_ros.errors import AffordanceError, Code


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
    return np.array(decoded(path.read_bytes(), str(path)).convert('RGB'))  # a copy can be written to, as torch wants
