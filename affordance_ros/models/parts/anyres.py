# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of any size for LLaVA-OneVision: tiles for the tower, and its features packed into one sequence.

The rules are those of LLaVA-NeXT (`mm_utils.py`, `llava_arch.py`): the canvas that keeps most pixels, tiles after a
squeezed view of the whole image, borders removed again from the features, one learned row end per line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

RGB = npt.NDArray[np.uint8]
PAD_GREY = (127, 127, 127)


@dataclass(frozen=True)
class AnyRes:
    """canvases: (width, height) of every allowed canvas. tile: side of a tile. most_tiles: above it features shrink.

    patches: side of the feature map of one tile.
    """

    canvases: tuple[tuple[int, int], ...]
    tile: int = 384
    patches: int = 27
    most_tiles: int = 9

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that keeps most of the image's pixels, then wastes least; the first one wins."""
        best, best_fit = self.canvases[0], (-1, 0)
        for canvas_width, canvas_height in self.canvases:
            scale = min(canvas_width / width, canvas_height / height)
            kept = min(int(width * scale) * int(height * scale), width * height)
            fit = (kept, kept - canvas_width * canvas_height)
            if fit > best_fit:
                best, best_fit = (canvas_width, canvas_height), fit
        return best

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Return (columns, rows) of tiles."""
        canvas_width, canvas_height = self.canvas(width, height)
        return canvas_width // self.tile, canvas_height // self.tile

    def tiles(self, rgb: RGB) -> RGB:
        """Return uint8 (1 + tiles, tile, tile, 3): the whole image squeezed, then the tiles row by row."""
        height, width = rgb.shape[:2]
        image = Image.fromarray(rgb)
        size = self.canvas(width, height)
        canvas = _fit(image, size)
        cut = [
            canvas[top : top + self.tile, left : left + self.tile]
            for top in range(0, size[1], self.tile)
            for left in range(0, size[0], self.tile)
        ]
        whole = np.asarray(image.resize((self.tile, self.tile), Image.Resampling.BICUBIC))
        return np.stack([whole, *cut])

    def squared(self, rgb: RGB) -> RGB:
        """Return uint8 (1, tile, tile, 3): the image in the middle of a grey square, as several images are trained."""
        height, width = rgb.shape[:2]
        side = max(height, width)
        square = np.empty((side, side, 3), np.uint8)
        square[:] = PAD_GREY
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = rgb
        return np.asarray(Image.fromarray(square).resize((self.tile, self.tile), Image.Resampling.BICUBIC))[None]

    def map_size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) of the feature map of an image after its borders are gone and it was shrunk."""
        columns, rows = self.grid(width, height)
        map_width, map_height, _, _ = _kept(columns * self.patches, rows * self.patches, width, height)
        shrink = math.sqrt(map_width * map_height / (self.most_tiles * self.patches**2))
        if shrink > 1.1:
            return int(map_width // shrink), int(map_height // shrink)
        return map_width, map_height

    def token_count(self, width: int, height: int) -> int:
        """Return how many tokens an image of this size becomes."""
        map_width, map_height = self.map_size(width, height)
        return self.patches**2 + map_height * (map_width + 1)

    def pack(self, features: torch.Tensor, newline: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return (tokens, hidden) of the features (1 + tiles, patches^2, hidden) of an image of `size` (w, h).

        One view only (a squared image): its tokens and one row end.
        """
        base, rest = features[0], features[1:]
        if not len(rest):
            return torch.cat([base, newline[None].to(base)])
        columns, rows = self.grid(*size)
        p, hidden = self.patches, base.shape[1]
        grid = rest.view(rows, columns, p, p, hidden).permute(4, 0, 2, 1, 3).reshape(hidden, rows * p, columns * p)
        width, height, left, top = _kept(columns * p, rows * p, *size)
        grid = grid[:, top : top + height, left : left + width]
        wanted = self.map_size(*size)
        if wanted != (width, height):
            grid = functional.interpolate(grid[None], (wanted[1], wanted[0]), mode='bilinear')[0]
        ends = newline[:, None, None].expand(-1, grid.shape[1], 1).to(grid)
        return torch.cat([base, torch.cat([grid, ends], dim=2).flatten(1).T])


def _fit(image: Image.Image, size: tuple[int, int]) -> RGB:
    """Resize keeping the aspect and paste in the middle of a black canvas: uint8 (H, W, 3)."""
    width, height = image.size
    if size[0] / width < size[1] / height:
        new = size[0], min(math.ceil(height * (size[0] / width)), size[1])
    else:
        new = min(math.ceil(width * (size[1] / height)), size[0]), size[1]
    canvas = Image.new('RGB', size, (0, 0, 0))
    canvas.paste(image.resize(new, Image.Resampling.BICUBIC), ((size[0] - new[0]) // 2, (size[1] - new[1]) // 2))
    return np.asarray(canvas)


def _kept(map_width: int, map_height: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Return (width, height, left, top) of the part of a feature map that shows the image and no border."""
    if width / height > map_width / map_height:
        kept = int(height * (map_width / width))
        top = (map_height - kept) // 2
        return map_width, map_height - 2 * top, 0, top
    kept = int(width * (map_height / height))
    left = (map_width - kept) // 2
    return map_width - 2 * left, map_height, left, 0


def pinpoints(config: Sequence[Sequence[int]] | None, tile: int = 384) -> tuple[tuple[int, int], ...]:
    """Return the canvases of a config.json, or all of one to six tiles on each side."""
    if config:
        return tuple((int(width), int(height)) for width, height in config)
    return tuple((tile * a, tile * b) for a in range(1, 7) for b in range(1, 7))
