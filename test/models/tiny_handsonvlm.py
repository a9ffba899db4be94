# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a tiny HandsOnVLM checkpoint with random weights in the official layout: for shapes, types and errors."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_robopoint import write_tokenizer
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

PIECES, ADDED = 320, 101
HAND_ID = PIECES + ADDED - 1
_LLAMA = {
    'vocab_size': PIECES + ADDED, 'hidden_size': 16, 'intermediate_size': 24, 'num_hidden_layers': 2,
    'num_attention_heads': 2, 'num_key_value_heads': 2, 'max_position_embeddings': 1024, 'rms_norm_eps': 1e-6,
    'tie_word_embeddings': False, 'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0, 'hidden_act': 'silu',
}  # fmt: skip
_CLIP = {
    'hidden_size': 8, 'intermediate_size': 16, 'num_hidden_layers': 3, 'num_attention_heads': 2, 'image_size': 224,
    'patch_size': 14, 'projection_dim': 8, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_HEADS = {
    'CVAE': {
        'cvae.enc_MLP.0': (512, 2 + 8), 'cvae.linear_means': (256, 512), 'cvae.linear_log_var': (256, 512),
        'cvae.dec_MLP.0': (512, 256 + 8), 'cvae.dec_MLP.2': (2, 512),
    },
    'MLP': {'mlp.0': (512, 8), 'mlp.2': (512, 512), 'mlp.4': (2, 512)},
}  # fmt: skip
_LEFTOVERS = {
    'bbox_to_feature.0': (32, 4), 'bbox_to_feature.2': (64, 32), 'feat_fusion.0': (1024, 1088),
    'downproject': (1024, 1024), 'hand_traj_positional_embedding': (8, 2),
}  # fmt: skip


@dataclass(frozen=True)
class TinyHands:
    """What to build: head, file format, stored dtype, entries that replace those of config.json."""

    head: str = 'CVAE'
    safetensors: bool = False
    sharded: bool = True
    dtype: torch.dtype = torch.float16
    leftovers: bool = True
    config: tuple[tuple[str, object], ...] = ()


def build(folder: Path, tiny: TinyHands = TinyHands(), change=lambda tensors: tensors) -> Path:  # noqa: B008  (frozen)
    """Write the checkpoint, its tokenizer and clip/ (JSON only); `change` takes and returns the tensors by key."""
    torch.manual_seed(0)
    (folder / 'clip').mkdir(parents=True, exist_ok=True)
    config = {
        **_LLAMA, 'model_type': 'handsonvlm', 'architectures': ['HandsOnVLMForCausalLM'], 'fuse_input_mode': 'origin',
        'hand_token_id': HAND_ID, 'image_aspect_ratio': 'square', 'input_type': 'video', 'mm_hidden_size': 8,
        'mm_use_im_patch_token': False, 'mm_use_im_start_end': False, 'mm_vision_select_feature': 'patch',
        'mm_vision_select_layer': -2, 'mm_vision_tower': 'openai/clip-vit-large-patch14', 'num_frames': 100,
        'num_time_tokens': 100, 'traj_decoder': tiny.head, 'video_compress_mode': 'temporal_spatial_pool',
        **dict(tiny.config),
    }  # fmt: skip
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'clip' / 'config.json').write_text(json.dumps({'model_type': 'clip', 'vision_config': _CLIP}))
    (folder / 'clip' / 'preprocessor_config.json').write_text(json.dumps({'size': 224, 'crop_size': 224}))
    _write_weights(folder, tiny, {k: v.to(tiny.dtype).contiguous() for k, v in change(tensors(tiny)).items()})
    write_tokenizer(folder)
    added = {f'<t{index}>': PIECES + index for index in range(ADDED - 1)} | {'<hand_traj>': HAND_ID}
    (folder / 'added_tokens.json').write_text(json.dumps(added))
    (folder / 'tokenizer_config.json').write_text(json.dumps({'legacy': True}))
    return folder


def tensors(tiny: TinyHands) -> dict[str, torch.Tensor]:
    """Return random weights under the keys of a release."""
    found = dict(LlamaForCausalLM(LlamaConfig(**_LLAMA)).state_dict())
    for layer in range(_LLAMA['num_hidden_layers']):
        found[f'model.layers.{layer}.self_attn.rotary_emb.inv_freq'] = torch.rand(4)
    for key, value in CLIPVisionModel(CLIPVisionConfig(**_CLIP)).state_dict().items():
        found[f'model.vision_tower.vision_tower.vision_model.{key.removeprefix("vision_model.")}'] = value
    linears = {f'hand_traj_decoder.hand_traj_decoder.{name}': shape for name, shape in _HEADS[tiny.head].items()}
    linears['model.mm_projector'] = (16, 8)
    if tiny.leftovers:
        linears |= _LEFTOVERS
        found['time_embedding'] = torch.zeros(20, 16)
    for name, shape in linears.items():
        found[f'{name}.weight'] = torch.randn(shape) * 0.1
        found[f'{name}.bias'] = torch.randn(shape[0]) * 0.1
    return found


def _write_weights(folder: Path, tiny: TinyHands, found: dict[str, torch.Tensor]) -> None:
    stem, suffix = ('model', 'safetensors') if tiny.safetensors else ('pytorch_model', 'bin')
    save = (lambda part, path: save_file(part, path)) if tiny.safetensors else torch.save
    if not tiny.sharded:
        save(found, folder / f'{stem}.{suffix}')
        return
    names = list(found)
    shards = {f'{stem}-{n + 1:05d}-of-00003.{suffix}': names[n::3] for n in range(3)}
    for file, keys in shards.items():
        save({key: found[key] for key in keys}, folder / file)
    index = {'metadata': {}, 'weight_map': {key: file for file, keys in shards.items() for key in keys}}
    (folder / f'{stem}.{suffix}.index.json').write_text(json.dumps(index))
