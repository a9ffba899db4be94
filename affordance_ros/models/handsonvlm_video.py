# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip as HandsOnVLM reads it: which frames, which part of them, and the fast and slow tokens of their features.

The official program repeats the ten frames ten times and encodes all hundred; only ten of them differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Frame

RGB = npt.NDArray[np.uint8]
CLIP_FRAMES = 10
CLIP_RATE_HZ = 4.0
CLIP_SPAN_S = (CLIP_FRAMES - 1) / CLIP_RATE_HZ
TILED_FRAMES = 100
SLOW_FRAMES = 4
TRAINED_ASPECT = 456 / 256
FRAMINGS = ('aspect', 'direct')
ANCHORS = {'top': 0.0, 'center': 0.5, 'bottom': 1.0}
_SAME_ASPECT = 0.01
_SPAN_LIMITS = (0.6, 1.7)  # of CLIP_SPAN_S: beyond, the motion in the clip looks clearly slower or faster than trained


@dataclass(frozen=True)
class Crop:
    """The part of an image that is the model's whole frame: left, top, width and height in pixels."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, rgb: RGB) -> RGB:
        """Return the part of an image (H, W, 3)."""
        return rgb[self.top : self.top + self.height, self.left : self.left + self.width]

    def to_pixels(self, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return pixels (..., uv) of the original image for positions (..., xy) in fractions of the part."""
        scaled = positions * np.array([self.width, self.height], np.float64)
        moved: npt.NDArray[np.float64] = scaled + np.array([self.left, self.top], np.float64)
        return moved


def choose_crop(width: int, height: int, framing: str, anchor: str) -> Crop:
    """Return the part of an image that the model is shown.

    The tower sees the middle square, yet positions are fractions of the whole frame, and the model learned how the two
    relate on frames of 456x256. framing 'aspect' cuts the image to that shape first, at `anchor` when it is too high
    and in the middle when it is too wide. 'direct' hands on what comes.
    """
    aspect = width / height
    if framing == 'direct' or abs(aspect / TRAINED_ASPECT - 1) <= _SAME_ASPECT:
        return Crop(0, 0, width, height)
    if aspect < TRAINED_ASPECT:
        rows = max(1, round(width / TRAINED_ASPECT))
        return Crop(0, round((height - rows) * ANCHORS[anchor]), width, rows)
    columns = max(1, round(height * TRAINED_ASPECT))
    return Crop((width - columns) // 2, 0, columns, height)


def take_clip(frame: Frame | Sequence[Frame]) -> tuple[list[Frame], tuple[str, ...]]:
    """Return the ten frames of a clip, oldest first, and notes on what was done to get them.

    One frame stands for a still clip, the oldest of two to nine is repeated, and of more than ten, ten evenly spaced
    ones are taken, as the official program does with a video file.

    Raises:
        AffordanceError: NO_IMAGE without frames, BAD_INPUT when sizes differ or stamps do not rise.
    """
    frames = [frame] if isinstance(frame, Frame) else list(frame)
    if not frames:
        raise AffordanceError(Code.NO_IMAGE, 'the clip holds no frame; give at least one')
    _check_clip(frames)
    if len(frames) == 1:
        return frames * CLIP_FRAMES, ('still image: the clip shows no motion',)
    notes = []
    if len(frames) > CLIP_FRAMES:
        notes.append(f'{CLIP_FRAMES} evenly spaced frames of {len(frames)} used')
        frames = [frames[int(i)] for i in np.round(np.linspace(0, len(frames) - 1, CLIP_FRAMES))]
    elif len(frames) < CLIP_FRAMES:
        notes.append(f'clip of {len(frames)} frames: the oldest is repeated')
        frames = [frames[0]] * (CLIP_FRAMES - len(frames)) + frames
    elif frames[0].stamp_ns and frames[-1].stamp_ns:
        span = (frames[-1].stamp_ns - frames[0].stamp_ns) / 1e9
        if not _SPAN_LIMITS[0] * CLIP_SPAN_S <= span <= _SPAN_LIMITS[1] * CLIP_SPAN_S:
            notes.append(f'the clip spans {span:.2f} s, not {CLIP_SPAN_S} s: times and lengths are not reliable')
    return frames, tuple(notes)


def _check_clip(frames: Sequence[Frame]) -> None:
    sizes = {(frame.width, frame.height) for frame in frames}
    if len(sizes) > 1:
        names = ', '.join(f'{width}x{height}' for width, height in sorted(sizes))
        raise AffordanceError(Code.BAD_INPUT, f'the frames of a clip must have one size, got {names}')
    stamps = [frame.stamp_ns for frame in frames if frame.stamp_ns]
    if stamps != sorted(stamps):
        raise AffordanceError(Code.BAD_INPUT, 'the stamps of the clip go back in time; give its frames oldest first')


@dataclass(frozen=True)
class FrameTokens:
    """fast: (D,), the mean over all patches of a frame. slow: (patches / 4, D), means over 2x2 patches, row by row."""

    fast: torch.Tensor
    slow: torch.Tensor


def frame_tokens(features: torch.Tensor) -> FrameTokens:
    """Return the tokens of one frame from its projected features (patches, D); the patches form a square."""
    side = round(features.shape[0] ** 0.5)
    grid = features.T.reshape(1, -1, side, side)
    slow = torch.nn.functional.avg_pool2d(grid, kernel_size=2, stride=2)
    return FrameTokens(features.mean(dim=0), slow.flatten(2)[0].T)


def visual_tokens(frames: Sequence[FrameTokens]) -> torch.Tensor:
    """Return (356, D) for the ten frames of a clip: 100 fast tokens, then 4 x 64 slow ones (at 256 patches)."""
    tiled = [index % len(frames) for index in range(TILED_FRAMES)]
    slow = np.round(np.linspace(0, TILED_FRAMES - 1, SLOW_FRAMES)).astype(int)
    fast_tokens = torch.stack([frames[index].fast for index in tiled])
    return torch.cat([fast_tokens, *(frames[tiled[index]].slow for index in slow)])
