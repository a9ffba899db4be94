# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a tiny RoboPoint checkpoint with random weights in the official layout: for shapes, types and errors."""

import json
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

_LLAMA = {
    'vocab_size': 320, 'hidden_size': 16, 'intermediate_size': 24, 'num_hidden_layers': 2, 'num_attention_heads': 2,
    'num_key_value_heads': 2, 'max_position_embeddings': 1024, 'rms_norm_eps': 1e-5, 'rope_theta': 10000.0,
    'tie_word_embeddings': False, 'bos_token_id': 1, 'eos_token_id': 2, 'hidden_act': 'silu',
}  # fmt: skip
_CLIP = {
    'hidden_size': 8, 'intermediate_size': 16, 'num_hidden_layers': 3, 'num_attention_heads': 2, 'image_size': 28,
    'patch_size': 14, 'projection_dim': 8, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_CORPUS = [
    'point to the red mug handle',
    'USER: ASSISTANT: [(0.123, 0.456), (0.789, 0.5)]',
    'find free space left of the box',
]


@dataclass(frozen=True)
class Tiny:
    """What to build: projector type, stored dtype, tied embeddings, entries that replace those of config.json."""

    projector: str = 'mlp2x_gelu'
    dtype: torch.dtype = torch.float16
    tied: bool = False
    tower: bool = True
    config: tuple[tuple[str, object], ...] = ()


def build(folder: Path, tiny: Tiny = Tiny()) -> Path:  # noqa: B008  (frozen)
    """Write the checkpoint, its tokenizer and clip/ (JSON only) into `folder` and return it."""
    torch.manual_seed(0)
    (folder / 'clip').mkdir(parents=True, exist_ok=True)
    config = {
        **_LLAMA, 'model_type': 'llava_llama', 'architectures': ['LlavaLlamaForCausalLM'],
        'tie_word_embeddings': tiny.tied,
        'mm_projector_type': tiny.projector, 'mm_hidden_size': 8, 'mm_vision_select_layer': -2,
        'mm_vision_select_feature': 'patch', 'image_aspect_ratio': 'pad', 'mm_use_im_start_end': False,
        'mm_use_im_patch_token': False, 'mm_vision_tower': 'openai/clip-vit-large-patch14-336',
        'tokenizer_model_max_length': 900, **dict(tiny.config),
    }  # fmt: skip
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'clip' / 'config.json').write_text(json.dumps({'model_type': 'clip', 'vision_config': _CLIP}))
    (folder / 'clip' / 'preprocessor_config.json').write_text(
        json.dumps({'size': {'shortest_edge': 28}, 'crop_size': 28})
    )
    save_file(
        {key: value.to(tiny.dtype).contiguous() for key, value in tensors(tiny).items()}, folder / 'model.safetensors'
    )
    write_tokenizer(folder)
    return folder


def tensors(tiny: Tiny) -> dict[str, torch.Tensor]:
    """Return random weights under the keys of a release."""
    found = dict(LlamaForCausalLM(LlamaConfig(**{**_LLAMA, 'tie_word_embeddings': tiny.tied})).state_dict())
    if tiny.tied:
        del found['lm_head.weight']
    widths = [8, 16] + [16] * (0 if tiny.projector == 'linear' else int(tiny.projector[3]) - 1)
    for index in range(len(widths) - 1):
        prefix = 'model.mm_projector.' + ('' if tiny.projector == 'linear' else f'{2 * index}.')
        found[prefix + 'weight'] = torch.randn(widths[index + 1], widths[index])
        found[prefix + 'bias'] = torch.randn(widths[index + 1])
    if tiny.tower:
        for key, value in CLIPVisionModel(CLIPVisionConfig(**_CLIP)).state_dict().items():
            found[f'model.vision_tower.vision_tower.vision_model.{key.removeprefix("vision_model.")}'] = value
    return found


def write_tokenizer(folder: Path) -> None:
    """Train and write a small SentencePiece model with the special ids of LLaMA."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_CORPUS * 20), model_prefix=str(folder / 'tokenizer'), model_type='bpe', vocab_size=320,
        byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, split_digits=True,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / 'tokenizer.vocab').unlink()
    (folder / 'tokenizer_config.json').write_text(json.dumps({'legacy': False}))
