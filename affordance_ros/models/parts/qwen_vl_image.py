# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the Qwen-VL family sees an image: resized to whole patches, normalised, cut into patches. numpy and PIL.

PIL is the official backend; the torchvision one of transformers 5 gives other pixels (differences up to 0.13).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_json

LARGEST_RATIO = 200
Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Preparation:
    """patch: pixels per side. merge: patches per side that become one token. temporal: copies of a still image.

    An image is resized so that both sides are multiples of patch * merge and its area is within the limits.
    """

    patch: int = 14
    merge: int = 2
    temporal: int = 2
    min_pixels: int = 3136
    max_pixels: int = 12845056
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        if self.patch < 1 or self.merge < 1 or self.temporal < 1 or not 1 <= self.min_pixels <= self.max_pixels:
            raise AffordanceError(Code.BAD_INPUT, f'the image limits make no sense: {self}')

    @property
    def factor(self) -> int:
        """Pixels per side of one visual token."""
        return self.patch * self.merge

    @classmethod
    def from_folder(cls, folder: Path, vision: Mapping[str, Any]) -> 'Preparation':
        """Return what `preprocessor_config.json` says; without that file, the values of the release of its family.

        vision: the vision_config of the checkpoint, which decides about patches.
        """
        own = cls(
            int(vision.get('patch_size', 14)),
            int(vision.get('spatial_merge_size', 2)),
            int(vision.get('temporal_patch_size', 2)),
        )
        if own.patch == 16:  # Qwen3-VL
            own = replace(own, min_pixels=65536, max_pixels=16777216, mean=(0.5,) * 3, std=(0.5,) * 3)
        file = folder / 'preprocessor_config.json'
        if not file.is_file():
            return own
        stored = read_json(file)
        size = stored.get('size') or {}
        return replace(
            own,
            min_pixels=int(stored.get('min_pixels') or size.get('shortest_edge') or own.min_pixels),
            max_pixels=int(stored.get('max_pixels') or size.get('longest_edge') or own.max_pixels),
            mean=tuple(stored.get('image_mean') or own.mean),
            std=tuple(stored.get('image_std') or own.std),
        )

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) that the network sees. Raises BAD_INPUT for an image that it cannot see."""
        factor = self.factor
        if min(width, height) < factor or max(width, height) / min(width, height) > LARGEST_RATIO:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the image is {width}x{height}: each side must be at least {factor} pixels and the longer one at most '
                f'{LARGEST_RATIO} times the shorter one',
            )
        # round() halves to even, as the official code does
        sides = [round(side / factor) * factor for side in (height, width)]
        area = sides[0] * sides[1]
        if area > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            sides = [max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width)]
        elif area < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            sides = [math.ceil(side * grow / factor) * factor for side in (height, width)]
        return sides[1], sides[0]

    def patches(self, rgb: Rgb) -> 'Patches':
        """Return what the vision tower takes for an image (H, W, 3)."""
        width, height = self.resized(rgb.shape[1], rgb.shape[0])
        if (height, width) != rgb.shape[:2]:
            image = Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), Image.Resampling.BICUBIC)
            rgb = np.asarray(image)
        mean, std = (np.asarray(each, dtype=np.float32) for each in (self.mean, self.std))
        shares = (rgb.astype(np.float64) * (1 / 255)).astype(np.float32)  # this order of rounding is the official one
        values = np.divide(np.subtract(shares, mean), std)
        rows, columns = height // self.patch, width // self.patch
        blocks = values.reshape(
            rows // self.merge, self.merge, self.patch, columns // self.merge, self.merge, self.patch, 3
        ).transpose(0, 3, 1, 4, 6, 2, 5)
        copies = np.repeat(blocks[:, :, :, :, :, None], self.temporal, axis=5)
        return Patches(copies.reshape(rows * columns, -1), (rows, columns), (width, height))


@dataclass(frozen=True)
class Patches:
    """values: float32 (rows * columns, 3 * temporal * patch^2), merged neighbours together. size: (width, height)."""

    values: npt.NDArray[np.float32]
    grid: tuple[int, int]
    size: tuple[int, int]


def stretch(rgb: Rgb, side: int) -> Rgb:
    """Return the image as a square of `side` pixels, bilinear, aspect ignored."""
    image = Image.fromarray(np.ascontiguousarray(rgb)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)
