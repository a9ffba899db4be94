# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How an arbitrary camera image is brought into the 4:3 form that point models were trained on, and back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.errors import AffordanceError, Code

RGB = npt.NDArray[np.uint8]
FRAMINGS = ('direct', 'letterbox_4_3', 'crop_4_3')
BACKGROUND = (122, 116, 104)
_WIDTH, _HEIGHT = 640, 480


@dataclass(frozen=True)
class Framed:
    """rgb: what the model sees. scale, offset: (u, v); original pixel = offset + scale * pixel of `rgb`."""

    rgb: RGB
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def to_original(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return (N, 2) pixels of the original image for (N, 2) pixels of `rgb`."""
        mapped: npt.NDArray[np.float64] = points * np.array(self.scale) + np.array(self.offset)
        return mapped


def frame_image(rgb: RGB, framing: str) -> Framed:
    """Return the image as it is ('direct'), or 640x480 with borders ('letterbox_4_3') or its middle ('crop_4_3')."""
    height, width = rgb.shape[:2]
    if framing == 'direct':
        return Framed(rgb)
    if framing not in FRAMINGS:
        raise AffordanceError(Code.BAD_INPUT, f'framing {framing!r} is unknown; known: {", ".join(FRAMINGS)}')
    wide = width / height > _WIDTH / _HEIGHT
    if framing == 'letterbox_4_3':
        new_width, new_height = (width, int(width * 3 / 4)) if wide else (int(height * 4 / 3), height)
        new_width, new_height = max(new_width, width), max(new_height, height)
        left, top = (new_width - width) // 2, (new_height - height) // 2
        canvas = np.empty((new_height, new_width, 3), np.uint8)
        canvas[:] = BACKGROUND
        canvas[top : top + height, left : left + width] = rgb
        left, top = -left, -top
    else:
        new_width, new_height = (int(height * 4 / 3), height) if wide else (width, int(width * 3 / 4))
        new_width, new_height = max(1, new_width), max(1, new_height)
        left, top = (width - new_width) // 2, (height - new_height) // 2
        canvas = rgb[top : top + new_height, left : left + new_width]
    resized = np.asarray(Image.fromarray(canvas).resize((_WIDTH, _HEIGHT)))
    return Framed(resized, (new_width / _WIDTH, new_height / _HEIGHT), (float(left), float(top)))
