# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAM (the first) as a segmenter: the same interface as `sam2.Sam2`, from a public `sam_vit_*.pth`.

sam = Sam1(path, device='cpu')
masks = sam.segment(rgb, MaskPrompts(boxes, points))   # results.Masks: one mask and score per prompt
"""

from pathlib import Path

import torch

from affordance_ros.models.base import StopFlag
from affordance_ros.models.parts.device import torch_device, torch_errors
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.sam import ScaledImage, load_sam, prepare, upscale
from affordance_ros.models.parts.segmenting import MaskLogits, MaskPrompts, Rgb, segment_all
from affordance_ros.results import Masks


class Sam1:
    """Loads in the constructor, in float32."""

    name = 'sam'

    def __init__(self, path: str | Path, device: str = 'cpu') -> None:
        self.source = str(path)
        self._device = torch_device(device)
        self._seen = Remembered[tuple[ScaledImage, torch.Tensor]]()
        with torch_errors('loading sam', device=device):
            self.network = load_sam(Path(path), self._device, torch.float32)
        self.parts: tuple[torch.nn.Module, ...] = (self.network,)

    @property
    def images_encoded(self) -> int:
        """How many images went through the encoder so far."""
        return self._seen.computed

    @torch.inference_mode()
    def logits(self, rgb: Rgb, prompts: MaskPrompts) -> MaskLogits:
        """Return the three candidates of every prompt at a quarter of the input side, and their scores."""
        scaled, embedding = self._embed(rgb)
        side, encoder = self.network.geometry.image_size, self.network.prompt_encoder
        tokens = []
        if prompts.points is not None:
            points = scaled.points(prompts.points)[:, None].to(self._device)
            labels = torch.ones(points.shape[:2], dtype=torch.long, device=self._device)
            tokens.append(encoder.points(points, labels, side, padded=prompts.boxes is None))
        if prompts.boxes is not None:
            tokens.append(encoder.boxes(scaled.boxes(prompts.boxes).to(self._device), side))
        low, scores = self.network.decode(embedding, torch.cat(tokens, dim=1))
        return MaskLogits(low.float(), scores.float())

    def segment(self, rgb: Rgb, prompts: MaskPrompts, stop: StopFlag | None = None) -> Masks:
        """Return the best mask of every prompt, in their order, with the IoU that the network expects as score."""
        with torch_errors('sam', device=str(self._device)):
            return segment_all(rgb, prompts, self.logits, lambda low: upscale(low, self._embed(rgb)[0]), stop)

    def _embed(self, rgb: Rgb) -> tuple[ScaledImage, torch.Tensor]:
        def encode() -> tuple[ScaledImage, torch.Tensor]:
            scaled = prepare(rgb, self.network.geometry.image_size)
            return scaled, self.network.encode(scaled.pixels)

        return self._seen.get(rgb, encode)
