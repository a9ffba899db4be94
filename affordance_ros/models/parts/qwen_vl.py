# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen-VL networks: a vision tower and a decoder, with the three-part positions of images worked out here.

transformers computes those positions only when it is also told which tokens are image tokens; forgetting that gives
plain positions and wrong answers without a word. Here they are always explicit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.decoding import Prompt
from affordance_ros.models.parts.qwen_vl_image import Patches, Preparation, Rgb
from affordance_ros.models.parts.qwen_vl_loading import QwenVLSource, load_network


@dataclass(frozen=True)
class Seen:
    """What the tower made of an image. features: (tokens, hidden). grid: (rows, columns) of its tokens.

    deep: per early decoder layer, features (tokens, hidden) that are added there (Qwen3-VL; else empty).
    size: (width, height) of the resized image.
    """

    features: torch.Tensor
    grid: tuple[int, int]
    size: tuple[int, int]
    deep: tuple[torch.Tensor, ...] = ()


class QwenVLNetwork:
    """vision and text (`language_model`, `lm_head`), both in `source.dtype`; `image_id` marks a visual token."""

    vision: Any
    text: Any

    def __init__(self, source: QwenVLSource, image_id: int) -> None:
        self.device, self.dtype, self.image_id = source.device, source.dtype, image_id
        self.config, self.vision, self.text = load_network(source)
        vision = self.config.vision_config
        self.preparation = Preparation.from_folder(source.folder, vision.to_dict())

    @property
    def parts(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Vision and text."""
        return self.vision, self.text

    def pixels(self, rgb: Rgb) -> Patches:
        """Return the patches of an image (H, W, 3)."""
        return self.preparation.patches(rgb)

    @torch.inference_mode()
    def see(self, patches: Patches) -> Seen:
        """Return the features of one image."""
        grid = torch.tensor([[1, *patches.grid]], device=self.device)
        values = torch.from_numpy(patches.values).to(self.device, self.dtype)
        seen = self.vision(values, grid_thw=grid)
        merge = self.preparation.merge
        return Seen(
            seen.pooler_output,
            (patches.grid[0] // merge, patches.grid[1] // merge),
            patches.size,
            tuple(getattr(seen, 'deepstack_features', None) or ()),
        )

    def expand(self, ids: Sequence[int], images: Sequence[Seen]) -> list[int]:
        """Return the ids with each image marker repeated once per visual token of its image."""
        self._check_count(list(ids).count(self.image_id), len(images))
        left = iter(images)
        full: list[int] = []
        for token in ids:
            full += [token] * (len(next(left).features) if token == self.image_id else 1)
        return full

    @torch.inference_mode()
    def prompt(self, ids: Sequence[int], images: Sequence[Seen], *, penalized: bool = True) -> Prompt:
        """Return the prompt of `ids`, each image marker standing for all tokens of its image.

        penalized: whether the repetition penalty counts the tokens of the prompt, as `generate` of transformers does.
        """
        full = self.expand(ids, images)
        tokens = torch.tensor(full, device=self.device)
        table = self.text.language_model.get_input_embeddings()
        embeddings = table(tokens.to(table.weight.device)).to(self.device, self.dtype)
        at = tokens == self.image_id
        if images:
            embeddings[at] = torch.cat([image.features for image in images]).to(embeddings)
        positions = self.positions(ids, images)
        return Prompt(
            embeddings[None],
            penalized=full if penalized else (),
            positions=positions[:, None],
            next_position=int(positions.max()) + 1,
            extra=_Deep(at, images) if any(image.deep for image in images) else None,
        )

    def positions(self, ids: Sequence[int], images: Sequence[Seen]) -> torch.Tensor:
        """Return (3, L): time, row and column of every token. Text goes on behind the longer side of an image."""
        left = iter(images)
        pieces: list[torch.Tensor] = []
        at = 0
        for token in ids:
            if token != self.image_id:
                pieces.append(torch.full((3, 1), at))
                at += 1
                continue
            rows, columns = next(left).grid
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
            pieces.append(torch.stack([torch.zeros_like(row), row, column]).reshape(3, -1) + at)
            at += max(rows, columns)
        return torch.cat(pieces, dim=1).to(self.device)

    @staticmethod
    def _check_count(markers: int, images: int) -> None:
        if markers != images:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the prompt has {markers} image marker(s) for {images} image(s); leave special tokens out of the text',
            )


class _Deep:
    """The features that Qwen3-VL adds inside the decoder, from any row of the prompt on."""

    def __init__(self, visual: torch.Tensor, images: Sequence[Seen]) -> None:
        self._visual = visual
        self._layers = [torch.cat(layer) for layer in zip(*(image.deep for image in images), strict=True)]

    def __call__(self, start: int, stop: int) -> Mapping[str, Any]:
        rows = self._visual[start:stop]
        if not rows.any():
            return {}
        rows = torch.nn.functional.pad(rows, (0, stop - start - len(rows)))  # tokens that were written before it ran
        before = int(self._visual[:start].sum())
        return {
            'visual_pos_masks': rows[None],
            'deepstack_visual_embeds': [layer[before:] for layer in self._layers],
        }
