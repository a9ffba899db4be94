# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What SAM and SAM 2 have in common: prompts in, three candidate masks per prompt, the best one out.

A prompt is a box, a point, or a box with a point in it, in pixels of the original image. The image is encoded once and
its embedding kept for the next prompts on the same image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import StopFlag, check_stop
from affordance_ros.results import Masks

Rgb = npt.NDArray[np.uint8]
_TOGETHER = 8  # prompts per pass of the mask decoder: bounds the memory, changes nothing


@dataclass(frozen=True)
class MaskPrompts:
    """N prompts: boxes (N, 4) xyxy, points (N, 2) (u, v), or both, in pixels of the original image."""

    boxes: npt.NDArray[np.float64] | None = None
    points: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, columns in (('boxes', 4), ('points', 2)):
            value = getattr(self, name)
            if value is None:
                continue
            array = np.array(value, dtype=np.float64).reshape(-1, columns)
            if not np.isfinite(array).all():
                raise AffordanceError(Code.BAD_INPUT, f'the {name} of a mask prompt must be finite, got {value}')
            object.__setattr__(self, name, array)
        lengths = {len(value) for value in (self.boxes, self.points) if value is not None}
        if len(lengths) != 1:
            raise AffordanceError(Code.BAD_INPUT, f'give boxes, points or as many of both, got {sorted(lengths)}')

    def __len__(self) -> int:
        for value in (self.boxes, self.points):
            if value is not None:
                return len(value)
        return 0

    def part(self, start: int, stop: int) -> 'MaskPrompts':
        """Return the prompts from `start` to `stop`."""
        return MaskPrompts(
            None if self.boxes is None else self.boxes[start:stop],
            None if self.points is None else self.points[start:stop],
        )


@dataclass(frozen=True)
class MaskLogits:
    """low_res: float32 (N, 3, h, w), above 0 is mask. scores: float32 (N, 3), the IoU that the network expects."""

    low_res: torch.Tensor
    scores: torch.Tensor


class Segmenter(Protocol):
    """SAM or SAM 2, loaded. parts: its modules, to count memory. source: where it was read from."""

    name: str
    source: str
    parts: tuple[torch.nn.Module, ...]

    def segment(self, rgb: Rgb, prompts: MaskPrompts, stop: StopFlag | None = None) -> Masks:
        """Return the best mask of every prompt, in their order, with the IoU that the network expects as score."""
        ...


def best_candidate(scores: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return (N,): index of the highest of scores (N, C); the LAST one when several are equal, as the official code."""
    return np.asarray(scores.shape[1] - 1 - np.argmax(scores[:, ::-1], axis=1), dtype=np.intp)


def union(masks: Masks, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return bool (H, W): what any mask covers; all False when there is none."""
    return np.asarray(masks.masks.any(axis=0)) if len(masks) else np.zeros((height, width), np.bool_)


def segment_all(
    rgb: Rgb,
    prompts: MaskPrompts,
    logits: Callable[[Rgb, MaskPrompts], MaskLogits],
    upscale: Callable[[torch.Tensor], torch.Tensor],
    stop: StopFlag | None = None,
) -> Masks:
    """Return the best mask of every prompt. upscale: logits (n, 1, h, w) to (n, 1, H, W)."""
    masks = np.zeros((len(prompts), *rgb.shape[:2]), np.bool_)
    scores = np.zeros(len(prompts))
    for start in range(0, len(prompts), _TOGETHER):
        check_stop(stop)
        some = slice(start, start + _TOGETHER)
        found = logits(rgb, prompts.part(some.start, some.stop))
        best = best_candidate(found.scores.cpu().numpy())
        rows = torch.arange(len(best), device=found.low_res.device)
        chosen = found.low_res[rows, torch.from_numpy(best).to(found.low_res.device)][:, None]
        masks[some] = (upscale(chosen)[:, 0] > 0).cpu().numpy()
        scores[some] = found.scores.cpu().numpy()[np.arange(len(best)), best]
    return Masks(masks, scores)
