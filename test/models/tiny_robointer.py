# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a tiny RoboInter (LLaVA-OneVision) checkpoint with random weights in the original LLaVA-NeXT layout."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

TOWER = 'model.vision_tower.vision_tower.vision_model.'
SPECIAL = ('<|endoftext|>', '<|im_start|>', '<|im_end|>')
_CORPUS = [
    'Yes',
    'No',
    'A B C D',
    '{"contact_bbox": [[0.12, 0.34], [0.56, 0.78]]}',
    'The robot task is to pick up the mug',
]
_TEXT = {
    'hidden_size': 16, 'intermediate_size': 24, 'num_hidden_layers': 2, 'num_attention_heads': 2,
    'num_key_value_heads': 1, 'max_position_embeddings': 8192, 'rms_norm_eps': 1e-6, 'rope_theta': 1e6,
    'hidden_act': 'silu',
}  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """rows: of the vocabulary beyond the tokenizer. config: entries that replace those of config.json."""

    rows: int = 24
    tied: bool = False
    config: tuple[tuple[str, object], ...] = ()


def build(folder: Path, tiny: Tiny = Tiny()) -> Path:  # noqa: B008  (frozen)
    """Write the checkpoint, its tokenizer and siglip/config.json into `folder` and return it."""
    torch.manual_seed(0)
    (folder / 'siglip').mkdir(parents=True, exist_ok=True)
    tokens = _tokenizer(folder)
    config = {
        **_TEXT, 'vocab_size': tokens + tiny.rows, 'model_type': 'llava_qwen', 'tie_word_embeddings': tiny.tied,
        'architectures': ['LlavaQwenForCausalLM'], 'mm_projector_type': 'mlp2x_gelu', 'mm_hidden_size': 8,
        'mm_patch_merge_type': 'spatial_unpad', 'image_aspect_ratio': 'anyres_max_9', 'mm_use_im_start_end': False,
        'mm_use_im_patch_token': False, 'image_grid_pinpoints': [[384, 384], [768, 384], [384, 768], [768, 768]],
        **dict(tiny.config),
    }  # fmt: skip
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'siglip' / 'config.json').write_text(json.dumps({'hidden_size': 8, 'num_attention_heads': 2}))
    save_file(tensors(tiny, tokens), folder / 'model.safetensors')
    return folder


def tensors(tiny: Tiny, tokens: int) -> dict[str, torch.Tensor]:
    """Return the weights under their official names."""
    llm = Qwen2ForCausalLM(Qwen2Config(**_TEXT, vocab_size=tokens + tiny.rows, tie_word_embeddings=tiny.tied))
    vision = SiglipVisionModel(
        SiglipVisionConfig(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
                           image_size=384, patch_size=14, vision_use_head=False)
    )  # fmt: skip
    found = dict(llm.state_dict())
    if tiny.tied:
        del found['lm_head.weight']
    found |= {TOWER + name.removeprefix('vision_model.'): value for name, value in vision.state_dict().items()}
    found = {name: value for name, value in found.items() if not name.endswith('position_ids')}
    found |= {'model.mm_projector.0.weight': torch.randn(16, 8), 'model.mm_projector.0.bias': torch.randn(16),
              'model.mm_projector.2.weight': torch.randn(16, 16), 'model.mm_projector.2.bias': torch.randn(16),
              'model.image_newline': torch.randn(16)}  # fmt: skip
    return {name: value.clone().contiguous() for name, value in found.items()}


def _tokenizer(folder: Path) -> int:
    """Write vocab.json, merges.txt and the special tokens; return how many tokens there are."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(_CORPUS, vocab_size=280, min_frequency=1, show_progress=False)
    tokenizer.save_model(str(folder))
    count = tokenizer.get_vocab_size()
    added = {
        str(count + index): {'content': name, 'special': True, 'normalized': False, 'lstrip': False, 'rstrip': False,
                             'single_word': False}
        for index, name in enumerate(SPECIAL)
    }  # fmt: skip
    record = {'tokenizer_class': 'Qwen2Tokenizer', 'added_tokens_decoder': added, 'eos_token': '<|im_end|>',
              'pad_token': '<|endoftext|>', 'unk_token': None, 'bos_token': None}  # fmt: skip
    (folder / 'tokenizer_config.json').write_text(json.dumps(record))
    (folder / 'added_tokens.json').write_text(json.dumps({name: count + i for i, name in enumerate(SPECIAL)}))
    return count + len(SPECIAL)
