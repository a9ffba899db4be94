# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LLaVA networks by composition: a CLIP tower, a projector and a LLaMA decoder fed with embeddings.

The official classes need pinned transformers versions and cast buffers that must stay float32; the three plain parts
with the checkpoint's own keys do not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_json
from affordance_ros.models.parts.llava_loading import LlavaSource, build_parts, load_weights
from affordance_ros.models.parts.tokenizer import IMAGE_ID


class LlavaNetwork:
    """vision (float32) -> projector -> llm (both in `source.dtype`); `config` is the checkpoint's config.json."""

    vision: Any
    llm: Any

    def __init__(self, source: LlavaSource) -> None:
        self.device, self.dtype = source.device, source.dtype
        self.config = read_json(source.checkpoint / 'config.json')
        self.vision, self.projector, self.llm, self.preprocessor = build_parts(source, self.config)
        self.clip_source = load_weights(self.parts, source)
        for part in self.parts:
            part.eval()
        self.max_length = int(self.config.get('tokenizer_model_max_length') or self.llm.config.max_position_embeddings)

    @property
    def parts(self) -> tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]:
        """vision, projector, llm."""
        return self.vision, self.projector, self.llm

    def pixels(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the float32 (3, h, w) that the tower sees for an image (H, W, 3)."""
        return self.preprocessor(rgb, self.config.get('image_aspect_ratio'))

    @torch.inference_mode()
    def clip_features(self, pixels: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return float32 (tokens, hidden) of one image; the pixels are rounded to `dtype` first, as official."""
        batch = torch.from_numpy(pixels)[None].to(self.device, self.dtype).float()
        states = self.vision(pixel_values=batch, output_hidden_states=True).hidden_states
        chosen = states[self.config.get('mm_vision_select_layer', -2)][0]
        features: torch.Tensor = (
            chosen[1:] if self.config.get('mm_vision_select_feature', 'patch') == 'patch' else chosen
        )
        return features

    @torch.inference_mode()
    def image_features(self, pixels: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return (tokens, hidden of the LLM) of one image."""
        projected: torch.Tensor = self.projector(self.clip_features(pixels).to(self.dtype))
        return projected

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (1, L, hidden): token embeddings with each IMAGE_ID replaced by the features of the next image.

        What is longer than `max_length` is cut on the right, as official.
        """
        if list(ids).count(IMAGE_ID) != len(images):
            raise AffordanceError(
                Code.BAD_INPUT, f'the prompt has {list(ids).count(IMAGE_ID)} image marker(s) for {len(images)} image(s)'
            )
        pieces: list[torch.Tensor] = []
        run: list[int] = []
        left = iter(images)
        for token in [*ids, None]:
            if token is not None and token != IMAGE_ID:
                run.append(token)
                continue
            if run:
                pieces.append(self.llm.get_input_embeddings()(torch.tensor(run, device=self.device)))
                run = []
            if token == IMAGE_ID:
                pieces.append(next(left).to(self.dtype))
        return torch.cat(pieces)[None, : self.max_length]
