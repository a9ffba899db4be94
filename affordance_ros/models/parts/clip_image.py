# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images for CLIP towers: what transformers' CLIPImageProcessor does with PIL, read off preprocessor_config.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.errors import AffordanceError, Code

RGB = npt.NDArray[np.uint8]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ClipPreprocessor:
    """resize: (height, width), or the length of the shortest edge, or None. crop: (height, width) or None."""

    resize: tuple[int, int] | int | None = 336
    crop: tuple[int, int] | None = (336, 336)
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    resample: int = 3
    scale: float = 1 / 255

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> 'ClipPreprocessor':
        """Read a preprocessor_config.json: sizes may be an int, {shortest_edge} or {height, width}."""
        size, crop = config.get('size', 224), config.get('crop_size', 224)
        resize: tuple[int, int] | int = size if isinstance(size, int) else size.get('shortest_edge') or _pair(size)
        return cls(
            resize=resize if config.get('do_resize', True) else None,
            crop=_pair(crop) if config.get('do_center_crop', True) else None,
            mean=tuple(config.get('image_mean', CLIP_MEAN)),
            std=tuple(config.get('image_std', CLIP_STD)),
            resample=int(config.get('resample', 3)),
            scale=float(config.get('rescale_factor', 1 / 255)),
        )

    def __call__(self, rgb: RGB, aspect: str | None) -> npt.NDArray[np.float32]:
        """Return float32 (3, h, w) of uint8 (H, W, 3). aspect 'pad': padded to a square with the mean colour first."""
        image = rgb
        if aspect == 'pad':
            image = pad_to_square(image, self.background)
        elif aspect not in (None, '', 'square'):
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f"image_aspect_ratio {aspect!r} is not supported, only 'pad' or none"
            )
        if self.resize is not None:
            image = self._resized(image, self.resize)
        if self.crop is not None:
            image = _center_crop(image, self.crop)
        values = (image * self.scale).astype(np.float32)
        values -= np.array(self.mean, np.float32)
        values /= np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    @property
    def background(self) -> tuple[int, ...]:
        """The mean colour as the padding uses it."""
        return tuple(int(255 * value) for value in self.mean)

    def _resized(self, image: RGB, resize: tuple[int, int] | int) -> RGB:
        height, width = image.shape[:2]
        if isinstance(resize, int):
            short, long = min(height, width), max(height, width)
            new_long = int(resize * long / short)
            new_height, new_width = (resize, new_long) if height <= width else (new_long, resize)
        else:
            new_height, new_width = resize
        resample = Image.Resampling(self.resample)
        return np.asarray(Image.fromarray(image).resize((new_width, new_height), resample=resample))


def pad_to_square(rgb: RGB, color: tuple[int, ...]) -> RGB:
    """Return (S, S, 3) with S the longer side, the image in the middle."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = color
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width] = rgb
    return canvas


def _pair(size: int | Mapping[str, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size['height']), int(size['width']))


def _center_crop(image: RGB, crop: tuple[int, int]) -> RGB:
    height, width = image.shape[:2]
    pad_v, pad_u = max(0, crop[0] - height), max(0, crop[1] - width)
    if pad_v or pad_u:  # smaller than the crop: black borders, the odd line at the top and left as transformers has it
        before_v, before_u = -(-pad_v // 2), -(-pad_u // 2)
        image = np.pad(image, ((before_v, pad_v - before_v), (before_u, pad_u - before_u), (0, 0)))
        height, width = image.shape[:2]
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    return image[top : top + crop[0], left : left + crop[1]]
