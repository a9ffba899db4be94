# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layouts of the Qwen-VL releases: config.json and keys with their shapes, without memory for the weights."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

Shapes = dict[str, tuple[int, ...]]
ROWS = 152064
SPECIAL = (
    '<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|object_ref_start|>', '<|object_ref_end|>', '<|box_start|>',
    '<|box_end|>', '<|quad_start|>', '<|quad_end|>', '<|vision_start|>', '<|vision_end|>', '<|vision_pad|>',
    '<|image_pad|>', '<|video_pad|>',
)  # fmt: skip
_HEAD = 128


def qwen2_5_vl(size: Any, pieces: int, folder: Path) -> tuple[dict[str, Any], Shapes]:
    """Return what Affordance-R1 and RoboInter-Qwen are made of: the flat form of transformers 4.51."""
    vision = {'hidden_size': 1280, 'out_hidden_size': size.hidden, 'model_type': 'qwen2_5_vl'}
    sections = [_sixteenths(size, share) for share in (4, 6, 6)]
    fields = _text(size, sections) | _ids(pieces) | {'model_type': 'qwen2_5_vl', 'vision_config': vision}
    with torch.device('meta'):
        module = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_dict(json.loads(json.dumps(fields))))
    _write_generation(folder, pieces)
    return fields, _old_names(module)


def qwen3_vl(size: Any, pieces: int, folder: Path) -> tuple[dict[str, Any], Shapes]:
    """Return what the dense Qwen3-VL releases of 2B and 4B are made of."""
    vision = {
        'model_type': 'qwen3_vl', 'depth': 24, 'hidden_size': 1024, 'num_heads': 16, 'intermediate_size': 4096,
        'out_hidden_size': size.hidden, 'patch_size': 16, 'deepstack_visual_indexes': [5, 11, 17],
    }  # fmt: skip
    text = _text(size, [24, 20, 20]) | {'model_type': 'qwen3_vl_text', 'head_dim': _HEAD}
    text['rope_scaling'] |= {'mrope_interleaved': True}
    fields = _ids(pieces) | {'model_type': 'qwen3_vl', 'text_config': text, 'vision_config': vision}
    fields['tie_word_embeddings'] = size.tied
    with torch.device('meta'):
        module = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(json.loads(json.dumps(fields))))
    _write_generation(folder, pieces)
    return fields, _old_names(module)


def _sixteenths(size: Any, share: int) -> int:
    """Return a part of the rotary pairs of a head: 16, 24 and 24 of the 64 in the releases."""
    return int(size.hidden // size.heads // 2 * share // 16)


def _text(size: Any, sections: list[int]) -> dict[str, Any]:
    return {
        'vocab_size': ROWS, 'hidden_size': size.hidden, 'intermediate_size': size.mlp,
        'num_hidden_layers': size.layers, 'num_attention_heads': size.heads, 'num_key_value_heads': size.kv_heads,
        'max_position_embeddings': 32768, 'rms_norm_eps': 1e-6, 'rope_theta': 1e6, 'hidden_act': 'silu',
        'rope_scaling': {'type': 'default', 'rope_type': 'default', 'mrope_section': sections},
        'tie_word_embeddings': size.tied,
    }  # fmt: skip


def _ids(pieces: int) -> dict[str, Any]:
    """Return the ids of the special tokens, which follow the pieces."""
    named = {'image': '<|image_pad|>', 'video': '<|video_pad|>'}
    named |= {f'vision_{end}': f'<|vision_{end}|>' for end in ('start', 'end')}
    return {f'{name}_token_id': pieces + SPECIAL.index(token) for name, token in named.items()}


def _write_generation(folder: Path, pieces: int) -> None:
    ids = [pieces + SPECIAL.index(token) for token in ('<|im_end|>', '<|endoftext|>')]
    (folder / 'generation_config.json').write_text(json.dumps({'eos_token_id': ids}))


def _old_names(module: Any) -> Shapes:
    """Return the shapes by the names of transformers 4.51, which the releases have."""
    tied = module.config.tie_word_embeddings
    return {
        key.replace('model.visual.', 'visual.').replace('model.language_model.', 'model.'): tuple(value.shape)
        for key, value in module.state_dict().items()
        if not (tied and key == 'lm_head.weight')
    }
