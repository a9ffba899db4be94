# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config.json and the keys with their shapes, for each release layout, without any memory for the weights."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from affordance_ros.models.handsonvlm_heads import TrajectoryHead
from affordance_ros.models.parts.sam import Sam, SamGeometry
from random_checkpoints.qwen_layouts import SPECIAL, qwen2_5_vl, qwen3_vl

Shapes = dict[str, tuple[int, ...]]
_TOWER = 'model.vision_tower.vision_tower.vision_model.'
_CLIP = {
    'hidden_size': 1024, 'intermediate_size': 4096, 'num_hidden_layers': 24, 'num_attention_heads': 16,
    'patch_size': 14, 'projection_dim': 768, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_VIT_H = SamGeometry(
    channels=256, decoder_layers=2, decoder_mlp=2048, decoder_inner=128, hyper=(256, 256, 256, 32),
    iou=(256, 256, 256, 4), mask_tokens=4, mask_channels=16, patch=16, grid=64, vit_dim=1280, vit_heads=16,
    vit_mlp=5120, windows=tuple(0 if index % 8 == 7 else 14 for index in range(32)),
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """make(size, tokens, folder) gives config.json and the shapes. folders: options that are folders, with weights.

    special: tokens of a byte-level vocabulary, in their order; empty: it is one of LLaMA.
    """

    make: Callable[[Any, int, Path], tuple[dict[str, Any], Shapes]]
    folders: Mapping[str, Shapes] = field(default_factory=dict)
    special: tuple[str, ...] = ()


def _shapes(module: torch.nn.Module, prefix: str = '', without: str = '') -> Shapes:
    return {prefix + key.removeprefix(without): tuple(value.shape) for key, value in module.state_dict().items()}


def _linear(name: str, before: int, after: int) -> Shapes:
    return {f'{name}.weight': (after, before), f'{name}.bias': (after,)}


def _projector(before: int, after: int) -> Shapes:
    return _linear('model.mm_projector.0', before, after) | _linear('model.mm_projector.2', after, after)


def _llama(size: Any, rows: int) -> tuple[dict[str, Any], Shapes]:
    fields = {
        'vocab_size': rows, 'hidden_size': size.hidden, 'intermediate_size': size.mlp, 'num_hidden_layers': size.layers,
        'num_attention_heads': size.heads, 'num_key_value_heads': size.heads, 'max_position_embeddings': 4096,
        'rms_norm_eps': 1e-5, 'rope_theta': 1e4, 'tie_word_embeddings': False, 'bos_token_id': 1, 'eos_token_id': 2,
        'hidden_act': 'silu',
    }  # fmt: skip
    with torch.device('meta'):
        return fields, _shapes(LlamaForCausalLM(LlamaConfig(**fields)))


def _clip(folder: Path, image_size: int) -> Shapes:
    """Write the two JSON files of the tower and return its shapes by bare names."""
    (folder / 'clip').mkdir(exist_ok=True)
    fields = _CLIP | {'image_size': image_size}
    (folder / 'clip' / 'config.json').write_text(json.dumps({'model_type': 'clip', 'vision_config': fields}))
    sizes = {'size': {'shortest_edge': image_size}, 'crop_size': image_size}
    (folder / 'clip' / 'preprocessor_config.json').write_text(json.dumps(sizes))
    with torch.device('meta'):
        return _shapes(CLIPVisionModel(CLIPVisionConfig(**fields)), without='vision_model.')


def _robopoint(size: Any, _: int, folder: Path) -> tuple[dict[str, Any], Shapes]:
    fields, shapes = _llama(size, 32000)
    tower = _clip(folder, 336)
    shapes |= _projector(1024, size.hidden) | {_TOWER + key: shape for key, shape in tower.items()}
    return fields | {
        'architectures': ['LlavaLlamaForCausalLM'], 'mm_projector_type': 'mlp2x_gelu', 'mm_hidden_size': 1024,
        'mm_vision_select_layer': -2, 'mm_vision_select_feature': 'patch', 'image_aspect_ratio': 'pad',
        'mm_use_im_start_end': False, 'mm_use_im_patch_token': False, 'tokenizer_model_max_length': 2048,
    }, shapes  # fmt: skip


def _handsonvlm(size: Any, pieces: int, folder: Path) -> tuple[dict[str, Any], Shapes]:
    fields, shapes = _llama(size, 32101)
    tower = _clip(folder, 224)
    with torch.device('meta'):
        head = _shapes(TrajectoryHead(size.hidden, 'CVAE'), 'hand_traj_decoder.hand_traj_decoder.')
    shapes |= head | _linear('model.mm_projector', 1024, size.hidden)
    shapes |= {_TOWER + key: shape for key, shape in tower.items()}
    added = {f'<t{index}>': pieces + index for index in range(100)} | {'<hand_traj>': pieces + 100}
    (folder / 'added_tokens.json').write_text(json.dumps(added))
    return fields | {
        'architectures': ['HandsOnVLMForCausalLM'], 'fuse_input_mode': 'origin', 'hand_token_id': pieces + 100,
        'image_aspect_ratio': 'square', 'input_type': 'video', 'mm_hidden_size': 1024, 'mm_use_im_patch_token': False,
        'mm_use_im_start_end': False, 'mm_vision_select_feature': 'patch', 'mm_vision_select_layer': -2,
        'num_frames': 100, 'num_time_tokens': 100, 'traj_decoder': 'CVAE',
        'video_compress_mode': 'temporal_spatial_pool',
    }, shapes  # fmt: skip


def _glover(size: Any, pieces: int, folder: Path, *, plus: bool) -> tuple[dict[str, Any], Shapes]:
    fields, shapes = _llama(size, pieces + 3)
    _clip(folder, 224)
    shapes |= _projector(1024, size.hidden) | _linear('model.text_hidden_fcs.0.0', size.hidden, size.hidden)
    shapes |= _linear('model.text_hidden_fcs.0.2', size.hidden, 256)
    with torch.device('meta'):
        sam = _shapes(Sam(_VIT_H))
    shapes |= {f'model.visual_model.{key}': shape for key, shape in sam.items()}
    if plus:
        shapes |= {f'model.visual_model1.{key}': shape for key, shape in sam.items()}
    added = {'[SEG]': pieces, '<im_start>': pieces + 1, '<im_end>': pieces + 2}
    (folder / 'added_tokens.json').write_text(json.dumps(added))
    return fields | {
        'architectures': ['GloverForCausalLM'], 'mm_hidden_size': 1024, 'mm_vision_select_layer': -2,
        'mm_vision_select_feature': 'patch', 'mm_use_im_start_end': True, 'out_dim': 256, 'train_mask_decoder': True,
        'mm_projector_type': 'mlp2x_gelu',
    }, shapes  # fmt: skip


def _robointer(size: Any, _: int, folder: Path) -> tuple[dict[str, Any], Shapes]:
    (folder / 'siglip').mkdir(exist_ok=True)
    (folder / 'siglip' / 'config.json').write_text(json.dumps({'hidden_size': 1152, 'num_attention_heads': 16}))
    fields = {
        'vocab_size': 152064, 'hidden_size': size.hidden, 'intermediate_size': size.mlp,
        'num_hidden_layers': size.layers, 'num_attention_heads': size.heads, 'num_key_value_heads': size.kv_heads,
        'max_position_embeddings': 32768, 'rms_norm_eps': 1e-6, 'rope_theta': 1e6, 'hidden_act': 'silu',
        'tie_word_embeddings': False,
    }  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=1152, intermediate_size=4304, num_hidden_layers=26, num_attention_heads=16, image_size=384,
        patch_size=14, vision_use_head=False,
    )  # fmt: skip
    with torch.device('meta'):
        shapes = _shapes(Qwen2ForCausalLM(Qwen2Config(**fields)))
        shapes |= _shapes(SiglipVisionModel(vision), _TOWER, 'vision_model.')
    shapes |= _projector(1152, size.hidden) | {'model.image_newline': (size.hidden,)}
    pinpoints = [[384 * columns, 384 * rows] for columns in range(1, 7) for rows in range(1, 7)]
    return fields | {
        'model_type': 'llava_qwen', 'architectures': ['LlavaQwenForCausalLM'], 'mm_projector_type': 'mlp2x_gelu',
        'mm_hidden_size': 1152, 'mm_patch_merge_type': 'spatial_unpad', 'image_aspect_ratio': 'anyres_max_9',
        'mm_use_im_start_end': False, 'mm_use_im_patch_token': False, 'image_grid_pinpoints': pinpoints,
    }, shapes  # fmt: skip


with torch.device('meta'):
    _CLIP_224 = _shapes(CLIPVisionModel(CLIPVisionConfig(**_CLIP, image_size=224)), 'vision_model.', 'vision_model.')
LAYOUTS = {
    'robopoint': Layout(_robopoint, {'clip': {}}),
    'handsonvlm': Layout(_handsonvlm, {'clip': {}}),
    'glover': Layout(lambda *given: _glover(*given, plus=False), {'clip': _CLIP_224}),
    'glover_plus': Layout(lambda *given: _glover(*given, plus=True), {'clip': _CLIP_224}),
    'robointer': Layout(_robointer, {'siglip': {}}, SPECIAL[:3]),
    'qwen2_5_vl': Layout(qwen2_5_vl, special=SPECIAL),
    'qwen3_vl': Layout(qwen3_vl, special=SPECIAL),
}
