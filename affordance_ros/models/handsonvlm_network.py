# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network of HandsOnVLM by composition, filled from a release: CLIP tower, projector, LLaMA decoder, hand head.

The release is one strict list of keys. The tower inside it wins over a CLIP folder, which only gives sizes and the
image preparation, and some tensors that the official program carries along are checked and left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaForCausalLM

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.handsonvlm_heads import TrajectoryHead
from affordance_ros.models.handsonvlm_video import RGB, FrameTokens, frame_tokens
from affordance_ros.models.parts.checkpoint import StrictLoader, read_json, read_tensors, weight_files
from affordance_ros.models.parts.clip_image import ClipPreprocessor
from affordance_ros.models.parts.device import check_attention
from affordance_ros.models.parts.llava_loading import (
    LlavaSource,
    build_projector,
    fill_unused,
    find_clip,
    llama_config,
    put_clip,
    read_clip_configs,
    restore_buffers,
)
from affordance_ros.models.parts.placement import Placement, place
from affordance_ros.models.parts.quantization import quantize_linears
from affordance_ros.models.parts.tokenizer import IMAGE_ID

HAND_TOKEN_ID = 32100
HEAD_KINDS = ('CVAE', 'MLP')
_TOWER = 'model.vision_tower.vision_tower.'
_PROJECTOR = 'model.mm_projector.'
_HEAD = 'hand_traj_decoder.hand_traj_decoder.'
_WANTED = {  # what the official code offers beside, no release has and this code does not do
    'fuse_input_mode': 'origin', 'video_compress_mode': 'temporal_spatial_pool', 'input_type': 'video',
    'num_frames': 100, 'mm_use_im_start_end': False, 'mm_use_im_patch_token': False,
    'mm_vision_select_feature': 'patch', 'mm_projector_type': 'linear',
}  # fmt: skip
_CLIP_L_224: dict[str, Any] = {  # openai/clip-vit-large-patch14
    'hidden_size': 1024, 'intermediate_size': 4096, 'num_hidden_layers': 24, 'num_attention_heads': 16,
    'image_size': 224, 'patch_size': 14, 'projection_dim': 768, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip


def leftover_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that a release carries and nothing uses, for a hidden size."""
    return {
        'time_embedding': (20, size),
        'bbox_to_feature.0.weight': (32, 4),
        'bbox_to_feature.0.bias': (32,),
        'bbox_to_feature.2.weight': (64, 32),
        'bbox_to_feature.2.bias': (64,),
        'feat_fusion.0.weight': (1024, 1088),
        'feat_fusion.0.bias': (1024,),
        'downproject.weight': (1024, 1024),
        'downproject.bias': (1024,),
        'hand_traj_positional_embedding.weight': (size // 2, 2),
        'hand_traj_positional_embedding.bias': (size // 2,),
    }


class HandsNetwork:
    """vision -> projector -> llm -> head, all in `source.dtype`; `config` is the checkpoint's config.json."""

    vision: Any
    llm: Any

    def __init__(self, source: LlavaSource) -> None:
        self.device, self.dtype = source.device, source.dtype
        self.config = read_json(source.checkpoint / 'config.json')
        check_config(self.config, source.checkpoint)
        self.hand_id = int(self.config.get('hand_token_id', HAND_TOKEN_ID))
        vision_config, self.preprocessor, self.clip_source = _vision_setup(source, self.config)
        self.head_kind = _head_kind(self.config, source.checkpoint)
        text_config = llama_config(self.config)
        text_config._attn_implementation = check_attention(source.attention)  # noqa: SLF001 - there is no public way
        with torch.device('meta'):
            self.llm = LlamaForCausalLM(text_config)
            self.vision = CLIPVisionModel(vision_config)
            self.size = int(self.llm.config.hidden_size)
            self.projector = build_projector(self.config, vision_config.hidden_size, self.size)
            self.head = TrajectoryHead(self.size, self.head_kind)
        restore_buffers(self.llm, self.vision, source.device)
        quantize_linears(self.llm, source.quantization)
        self._load(source)
        for part in self.parts:
            part.eval()
        self.max_length = int(self.llm.config.max_position_embeddings)

    @property
    def parts(self) -> tuple[torch.nn.Module, ...]:
        """vision, projector, llm, head."""
        return self.vision, self.projector, self.llm, self.head

    def _load(self, source: LlavaSource) -> None:
        placement = place(self.llm, source.device, source.dtype) if source.spread else Placement(source.device)
        loaders = {
            'llm': StrictLoader(self.llm, placement.device_of, source.dtype),
            'vision': StrictLoader(self.vision, source.device, source.dtype),
            'projector': StrictLoader(self.projector, source.device, source.dtype),
            'head': StrictLoader(self.head, source.device, source.dtype),
        }
        leftovers = leftover_shapes(self.size)
        for key, tensor in read_tensors(weight_files(source.checkpoint)):
            if key.endswith('.rotary_emb.inv_freq'):
                continue  # rounded to 16 bit when it was saved; the network computes its own
            if key in leftovers:
                _check_leftover(key, tensor, leftovers[key], source.checkpoint)
            elif key.startswith(_TOWER):
                put_clip(loaders['vision'], key, tensor, prefix=_TOWER)
            elif key.startswith(_PROJECTOR):
                loaders['projector'].put(key, key.removeprefix(_PROJECTOR), tensor)
            elif key.startswith(_HEAD):
                loaders['head'].put(key, key.removeprefix(_HEAD), tensor)
            else:
                loaders['llm'].put(key, key, tensor)
        loaders['llm'].finish(str(source.checkpoint))
        loaders['projector'].finish(f'the projector (mm_projector) of {source.checkpoint}')
        loaders['head'].finish(f'the {self.head_kind} head (hand_traj_decoder) of {source.checkpoint}')
        loaders['vision'].finish(
            f'the CLIP tower (model.vision_tower) of {source.checkpoint}',
            may_miss=lambda name: 'post_layernorm' in name,
        )
        fill_unused(self.vision, source.device)
        placement.connect(self.llm)

    def pixels(self, rgb: RGB) -> npt.NDArray[np.float32]:
        """Return the float32 (3, h, w) that the tower sees for an image (H, W, 3)."""
        return self.preprocessor(rgb, self.config.get('image_aspect_ratio'))

    @torch.inference_mode()
    def clip_features(self, rgbs: Sequence[RGB]) -> torch.Tensor:
        """Return (frames, patches, hidden of CLIP): the chosen layer of the tower without its class token."""
        pixels = np.stack([self.pixels(rgb) for rgb in rgbs])
        batch = torch.from_numpy(pixels).to(self.device, self.dtype)
        states = self.vision(pixel_values=batch, output_hidden_states=True).hidden_states
        features: torch.Tensor = states[self.config.get('mm_vision_select_layer', -2)][:, 1:]
        return features

    @torch.inference_mode()
    def encode(self, rgbs: Sequence[RGB]) -> list[FrameTokens]:
        """Return the fast and slow tokens of some frames."""
        return [frame_tokens(features) for features in self.projector(self.clip_features(rgbs))]

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], visual: torch.Tensor) -> torch.Tensor:
        """Return (1, L, D): token embeddings with the one IMAGE_ID replaced by the visual tokens (356, D)."""
        at = list(ids).index(IMAGE_ID)
        table = self.llm.get_input_embeddings()
        before, after = (torch.tensor(part, device=self.device) for part in (ids[:at], ids[at + 1 :]))
        return torch.cat([table(before), visual.to(self.dtype), table(after)])[None]


def check_config(config: Mapping[str, Any], folder: Path) -> None:
    """Raise BAD_CHECKPOINT when a config.json asks for something that no release has."""
    for name, wanted in _WANTED.items():
        found = config.get(name, wanted)
        if found != wanted:
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{folder}/config.json: {name} is {found!r}, only {wanted!r} is supported'
            )
    kind = config.get('traj_decoder') or 'CVAE'
    if kind not in HEAD_KINDS:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{folder}/config.json: traj_decoder is {kind!r}, known: {", ".join(HEAD_KINDS)}'
        )
    size = int(config.get('hidden_size', 0))
    if size <= 0 or size % 8:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{folder}/config.json: hidden_size must be a multiple of 8, got {size}'
        )


def _head_kind(config: Mapping[str, Any], folder: Path) -> str:
    """Return the kind of head that the keys show: the official loader asks for a CVAE whatever the config says."""
    names = {
        key.removeprefix(_HEAD).split('.')[0]
        for index in folder.glob('*.index.json')
        for key in read_json(index).get('weight_map', {})
        if key.startswith(_HEAD)
    }
    if len(names) == 1:
        return 'MLP' if names == {'mlp'} else 'CVAE'
    return str(config.get('traj_decoder') or 'CVAE')


def _vision_setup(source: LlavaSource, config: Mapping[str, Any]) -> tuple[CLIPVisionConfig, ClipPreprocessor, str]:
    """Return sizes and image preparation of the tower, and where they come from in words."""
    folder = find_clip(source, config)
    beside = source.checkpoint.parent / str(config.get('mm_vision_tower') or 'none')
    if folder is None and (beside / 'config.json').is_file():
        folder = beside
    if folder is None:
        return CLIPVisionConfig(**_CLIP_L_224), ClipPreprocessor(resize=224, crop=(224, 224)), 'ViT-L/14 at 224 pixels'
    return *read_clip_configs(folder), str(folder)


def _check_leftover(key: str, tensor: torch.Tensor, shape: tuple[int, ...], folder: Path) -> None:
    if tuple(tensor.shape) != shape:
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'{folder} does not fit the model; 1 mis-shaped: {key} is {tuple(tensor.shape)}, not {shape}',
        )
