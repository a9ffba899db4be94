# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAM 2 and 2.1 as a part: masks for boxes and points on one image, equal to the official image predictor.

    sam2 = Sam2(path, device='cpu')                       # a .pt of the sam2 package or a Hugging Face folder
    masks = sam2.segment(rgb, MaskPrompts(boxes, points))  # results.Masks: one mask and score per prompt
    whole = union(masks, *rgb.shape[:2])                   # bool (H, W); segmenting.py

Boxes (N, 4) and points (N, 2) are pixels of `rgb`, not clamped. Per prompt the network gives three masks and keeps the
one that it scores highest. The image is encoded once for all prompts on it.
"""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from affordance_ros.models.base import StopFlag
from affordance_ros.models.parts.device import torch_device, torch_errors
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.sam2_loading import load_sam2_network
from affordance_ros.models.parts.segmenting import MaskLogits, MaskPrompts, Rgb, segment_all
from affordance_ros.models.parts.text_options import check_known
from affordance_ros.results import Masks

PRECISIONS = ('precise', 'official')
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Sam2:
    """Loads in the constructor. precision: 'precise' is float32, 'official' bfloat16 autocast as the predictor ran."""

    name = 'sam2'

    def __init__(self, path: str | Path, device: str = 'cpu', precision: str = 'precise') -> None:
        check_known('precision', precision, PRECISIONS)
        self.source = str(path)
        self._device = torch_device(device)
        self._official = precision == 'official'
        self._seen = Remembered[list[torch.Tensor]]()
        with torch_errors('loading sam2', device=device):
            self.network: Any = load_sam2_network(Path(path), self._device)
        self.parts: tuple[torch.nn.Module, ...] = (self.network,)
        self.side = int(self.network.prompt_encoder.input_image_size)

    @property
    def images_encoded(self) -> int:
        """How many images went through the encoder so far."""
        return self._seen.computed

    def pixels(self, rgb: Rgb) -> torch.Tensor:
        """Return float32 (1, 3, side, side): stretched with antialias as floats, then normalised, as the predictor."""
        image = torch.from_numpy(np.ascontiguousarray(rgb)).to(self._device).permute(2, 0, 1)[None].float() / 255
        image = interpolate(image, (self.side, self.side), mode='bilinear', align_corners=False, antialias=True)
        mean, std = (torch.tensor(value, device=self._device).view(1, 3, 1, 1) for value in (_MEAN, _STD))
        return (image - mean) / std

    @torch.inference_mode()
    def embed(self, rgb: Rgb) -> list[torch.Tensor]:
        """Return the feature maps of an image: stride 4, stride 8, and the embedding (stride 16)."""

        def encode() -> list[torch.Tensor]:
            with self._autocast():
                maps: list[torch.Tensor] = self.network.get_image_embeddings(self.pixels(rgb))
            return maps

        return self._seen.get(rgb, encode)

    @torch.inference_mode()
    def logits(self, rgb: Rgb, prompts: MaskPrompts) -> MaskLogits:
        """Return the three candidates of every prompt at a quarter of the input side, and their scores."""
        arguments: dict[str, torch.Tensor] = {}
        if prompts.points is not None:
            arguments['input_points'] = self._to_input(prompts.points, rgb).view(1, -1, 1, 2)
            arguments['input_labels'] = torch.ones((1, len(prompts), 1), dtype=torch.int32, device=self._device)
        if prompts.boxes is not None:
            arguments['input_boxes'] = self._to_input(prompts.boxes, rgb).view(1, -1, 4)
        with self._autocast():
            found = self.network(image_embeddings=self.embed(rgb), multimask_output=True, **arguments)
        return MaskLogits(found.pred_masks[0].float(), found.iou_scores[0].float())

    def segment(self, rgb: Rgb, prompts: MaskPrompts, stop: StopFlag | None = None) -> Masks:
        """Return the best mask of every prompt, in their order, with the IoU that the network expects as score."""
        with torch_errors('sam2', device=str(self._device)):
            return segment_all(rgb, prompts, self.logits, lambda low: _upscale(low, rgb.shape[:2]), stop)

    def _to_input(self, pixels: Any, rgb: Rgb) -> torch.Tensor:
        """Return float32 coordinates in the square input; the network itself adds the half pixel."""
        height, width = rgb.shape[:2]
        size = torch.tensor([width, height], dtype=torch.float32, device=self._device)
        flat = torch.as_tensor(pixels, dtype=torch.float32, device=self._device).view(-1, 2)
        return flat / size * self.side

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._official else nullcontext()


def _upscale(low: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return interpolate(low, size, mode='bilinear', align_corners=False)
