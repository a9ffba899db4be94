# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of GLOVER and GLOVER++ by composition: CLIP, projector, LLaMA decoder, text layer and one or two SAMs.

The language model writes `[SEG]`; the hidden state that predicts it becomes the prompt of SAM's mask decoder. GLOVER++
hands the low-resolution logits of that decoder as a mask prompt to a second one, over the same image embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import CLIPVisionModel, LlamaForCausalLM

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import glover_loading as loading
from affordance_ros.models.glover_unmerged import read_merged
from affordance_ros.models.parts.checkpoint import StrictLoader, read_tensors, weight_files
from affordance_ros.models.parts.device import check_attention
from affordance_ros.models.parts.llava_loading import (
    LlavaSource,
    fill_unused,
    llama_config,
    put_clip,
    read_clip_configs,
    restore_buffers,
)
from affordance_ros.models.parts.placement import Placement, place
from affordance_ros.models.parts.quantization import quantize_linears
from affordance_ros.models.parts.sam import Sam, SamHead, ScaledImage, prepare, upscale
from affordance_ros.models.parts.tokenizer import IMAGE_ID

IMAGE_TOKENS = 256  # the official code counts on it: a tower of 224 pixels with patches of 14


@dataclass(frozen=True)
class ImageCodes:
    """What one image is encoded to, once for all questions. features: (256, H). embedding: (1, C, grid, grid)."""

    features: torch.Tensor
    embedding: torch.Tensor
    scaled: ScaledImage


@dataclass(frozen=True)
class Maps:
    """n maps. first, second: low-resolution logits (n, 1, h, w) of the two decoders and their IoU scores (n, 1).

    second is None for plain GLOVER. logits: float32 (n, H, W) of the last decoder at the size of the image.
    """

    first: torch.Tensor
    first_iou: torch.Tensor
    second: torch.Tensor | None
    second_iou: torch.Tensor | None
    logits: torch.Tensor


class GloverNetwork:
    """plus: GLOVER++. sam_dtype: number type of the SAM parts. lora_alpha: of the training, for an unmerged state."""

    vision: Any
    llm: Any

    def __init__(self, source: LlavaSource, sam_dtype: torch.dtype, *, plus: bool, lora_alpha: float = 16.0) -> None:
        self.device, self.dtype = source.device, source.dtype
        self.config = loading.read_config(source.checkpoint)
        self.clip_folder = loading.clip_folder(source.clip, source.checkpoint)
        vision_config, self.preprocessor = read_clip_configs(self.clip_folder)
        raw = loading.read_shapes(source.checkpoint)
        shapes = loading.understand(raw, source.checkpoint, plus=plus)
        _check_tower(vision_config, self.clip_folder, shapes.projector)
        text_config = llama_config(self.config)
        text_config._attn_implementation = check_attention(source.attention)  # noqa: SLF001 - there is no public way
        with torch.device('meta'):
            self.llm = LlamaForCausalLM(text_config)
            self.vision = CLIPVisionModel(vision_config)
            self.projector = loading.projector_from(shapes.projector, nested='model.mm_projector.weight' not in raw)
            size = int(self.llm.config.hidden_size)
            self.text_fc = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, shapes.sam.channels))
            self.sam = Sam(shapes.sam)
            self.sam1 = SamHead(shapes.second) if shapes.second else None
        restore_buffers(self.llm, self.vision, source.device)
        quantize_linears(self.llm, source.quantization)
        self._load(source, sam_dtype, lora_alpha)
        for part in self.parts:
            part.eval()
        for head in (self.sam, self.sam1):
            if head is not None:
                head.prompt_encoder.exact_positions = False  # as the official fork
        self.max_length = int(self.llm.config.max_position_embeddings)

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """vision, projector, llm, text_fc, sam and, for GLOVER++, sam1."""
        parts = (self.vision, self.projector, self.llm, self.text_fc, self.sam, self.sam1)
        return tuple(part for part in parts if part is not None)

    def _load(self, source: LlavaSource, sam_dtype: torch.dtype, lora_alpha: float) -> None:
        placement = place(self.llm, source.device, source.dtype) if source.spread else Placement(source.device)
        loaders = {'llm': StrictLoader(self.llm, placement.device_of, source.dtype)}
        for name, part in (('projector', self.projector), ('text_fc', self.text_fc)):
            loaders[name] = StrictLoader(part, source.device, source.dtype)
        loaders['sam'] = StrictLoader(self.sam, source.device, sam_dtype)
        if self.sam1 is not None:
            loaders['sam1'] = StrictLoader(self.sam1, source.device, sam_dtype)
        loading.route(read_merged(weight_files(source.checkpoint), lora_alpha), loaders)
        loaders['llm'].finish(str(source.checkpoint))
        for name, prefix in loading.PREFIXES.items():
            if name in loaders:
                loaders[name].finish(f'{prefix}* of {source.checkpoint}')
        vision = StrictLoader(self.vision, source.device, source.dtype)
        for key, tensor in read_tensors(weight_files(self.clip_folder)):
            put_clip(vision, key, tensor)
        vision.finish(f'the CLIP tower from {self.clip_folder}', may_miss=lambda name: 'post_layernorm' in name)
        fill_unused(self.vision, source.device)
        placement.connect(self.llm)

    def clip_pixels(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32 (3, 224, 224): shortest side scaled, middle cut out. A wide image loses its sides here."""
        return self.preprocessor(rgb, None)

    def scale(self, rgb: npt.NDArray[np.uint8]) -> ScaledImage:
        """Return the whole image as SAM sees it."""
        return prepare(rgb, self.sam.geometry.image_size)

    @torch.inference_mode()
    def clip_features(self, pixels: npt.NDArray[np.float32]) -> torch.Tensor:
        """Return (256, hidden of CLIP): the chosen layer without its class token."""
        batch = torch.from_numpy(pixels)[None].to(self.device, self.dtype)
        states = self.vision(pixel_values=batch, output_hidden_states=True).hidden_states
        features: torch.Tensor = states[self.config.get('mm_vision_select_layer', -2)][0, 1:]
        return features

    @torch.inference_mode()
    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Return (256, hidden of the LLM)."""
        projected: torch.Tensor = self.projector(features)
        return projected

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], features: torch.Tensor) -> torch.Tensor:
        """Return (1, L, hidden): token embeddings with the one IMAGE_ID replaced by the image features."""
        at = list(ids).index(IMAGE_ID)
        table = self.llm.get_input_embeddings()
        before, after = (torch.tensor(part, device=self.device, dtype=torch.long) for part in (ids[:at], ids[at + 1 :]))
        return torch.cat([table(before), features.to(table.weight), table(after)])[None]

    @torch.inference_mode()
    def prompt_embeddings(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return (n, C): SAM prompts for hidden states (n, H)."""
        embeddings: torch.Tensor = self.text_fc(hidden.to(self.device))
        return embeddings

    @torch.inference_mode()
    def decode(self, codes: ImageCodes, prompts: torch.Tensor, *, text_in_second: bool = True) -> Maps:
        """Draw one map per prompt (n, C); n may be 0. text_in_second: the second decoder sees the prompt too."""
        embedding = codes.embedding
        sparse = prompts[:, None].to(embedding)
        first, first_iou = self.sam.decode(embedding, sparse, multimask=False)
        last, second, second_iou = first, None, None
        if self.sam1 is not None:
            dense = self.sam1.prompt_encoder.masks(first)
            sparse = sparse if text_in_second else sparse[:, :0]
            second, second_iou = self.sam1.decode(embedding, sparse, dense, multimask=False)
            last = second
        return Maps(first, first_iou, second, second_iou, upscale(last, codes.scaled)[:, 0])


def _check_tower(vision: Any, folder: Path, projector: tuple[int, ...]) -> None:
    patches = (vision.image_size // vision.patch_size) ** 2
    if patches != IMAGE_TOKENS:
        raise AffordanceError(
            Code.BAD_INPUT,
            f'clip={folder} makes {patches} image tokens, GLOVER needs {IMAGE_TOKENS}: '
            'give the folder of openai/clip-vit-large-patch14, the one for 224 pixels',
        )
    if projector and projector[0] != vision.hidden_size:
        raise AffordanceError(
            Code.BAD_INPUT,
            f'clip={folder} has {vision.hidden_size} channels, the projector of the checkpoint takes {projector[0]}',
        )
