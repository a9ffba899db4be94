# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes tiny random Qwen-VL checkpoints in the layouts of the releases, for tests of shapes, layouts and refusals."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
)

SPECIAL = (
    '<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|object_ref_start|>', '<|object_ref_end|>', '<|box_start|>',
    '<|box_end|>', '<|quad_start|>', '<|quad_end|>', '<|vision_start|>', '<|vision_end|>', '<|vision_pad|>',
    '<|image_pad|>', '<|video_pad|>',
)  # fmt: skip
_BYTES = 256
_ROWS = 288  # of the embedding; more than the tokenizer has tokens, as in the releases
_CLASSES = {
    'qwen2_5_vl': (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
    'qwen3_vl': (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
    'qwen3_vl_moe': (Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration),
}


def special_id(token):
    """Return the id of a special token: they follow the bytes."""
    return _BYTES + SPECIAL.index(token)


@dataclass(frozen=True)
class Tiny:
    """What to write. old_names: as transformers 4.51 named keys. nested: config with a text_config (else flat).

    layers: of the decoder; 100 and more make a token take a while.
    """

    family: str = 'qwen2_5_vl'
    old_names: bool = True
    nested: bool = False
    tied: bool = False
    sub_folder: bool = False
    shards: int = 2
    layers: int = 3
    seed: int = 7
    penalty: float | None = None
    dtype: torch.dtype = torch.float32


def write_checkpoint(folder, tiny=None):
    """Write a checkpoint and return the module of transformers that it was taken from."""
    tiny = tiny or Tiny()
    target = Path(folder) / 'huggingface' if tiny.sub_folder else Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    config = _config(tiny)
    module = _module(tiny, config)
    (target / 'config.json').write_text(json.dumps(config))
    generation = {'eos_token_id': [special_id('<|im_end|>'), special_id('<|endoftext|>')]}
    if tiny.penalty is not None:
        generation['repetition_penalty'] = tiny.penalty
    (target / 'generation_config.json').write_text(json.dumps(generation))
    _write_tokenizer(target)
    _write_shards(target, _named(module, tiny), tiny.shards)
    return module


def writes(model, text):
    """Make a loaded model write `text`: its head then always chooses the next token of it."""
    asker = model.asker
    ids = [*asker.tokenizer.encode(text), asker.generation.eos_ids[0]]
    left = iter(ids)
    rows = asker.network.text.lm_head.out_features

    def choose(*_):
        row = torch.zeros(1, 1, rows)
        row[..., next(left)] = 10.0
        return row

    asker.network.text.lm_head.forward = choose
    return model


def _config(tiny):
    text = {
        'vocab_size': _ROWS, 'hidden_size': 48, 'intermediate_size': 64, 'num_hidden_layers': tiny.layers,
        'num_attention_heads': 4, 'num_key_value_heads': 2, 'max_position_embeddings': 4096, 'rms_norm_eps': 1e-6,
        'hidden_act': 'silu', 'rope_theta': 1e6,
        'rope_scaling': {'type': 'default', 'rope_type': 'default', 'mrope_section': [1, 2, 3]},
    }  # fmt: skip
    vision = {
        'depth': 3, 'hidden_size': 32, 'num_heads': 2, 'intermediate_size': 48, 'out_hidden_size': 48,
        'spatial_merge_size': 2, 'temporal_patch_size': 2,
    }  # fmt: skip
    ids = {'image_token_id': special_id('<|image_pad|>'), 'video_token_id': special_id('<|video_pad|>')}
    ids |= {f'vision_{end}_token_id': special_id(f'<|vision_{end}|>') for end in ('start', 'end')}
    if tiny.family != 'qwen2_5_vl':
        text |= {'head_dim': 12, 'model_type': f'{tiny.family}_text'}
        text['rope_scaling'] |= {'mrope_interleaved': True}
        if tiny.family == 'qwen3_vl_moe':
            text |= {'num_experts': 4, 'num_experts_per_tok': 2, 'moe_intermediate_size': 20}
        vision |= {
            'patch_size': 16, 'num_position_embeddings': 64, 'deepstack_visual_indexes': [0, 1],
            'hidden_act': 'gelu_pytorch_tanh', 'model_type': tiny.family,
        }  # fmt: skip
    else:
        vision |= {
            'patch_size': 14, 'window_size': 112, 'fullatt_block_indexes': [1], 'hidden_act': 'silu',
            'model_type': 'qwen2_5_vl',
        }  # fmt: skip
    nested = tiny.nested or tiny.family != 'qwen2_5_vl'
    return {
        'architectures': [_CLASSES[tiny.family][1].__name__], 'model_type': tiny.family,
        'tie_word_embeddings': tiny.tied, 'vision_config': vision, **ids, **({'text_config': text} if nested else text),
    }  # fmt: skip


def _module(tiny, config):
    config_class, model_class = _CLASSES[tiny.family]
    module = model_class(config_class.from_dict(json.loads(json.dumps(config)))).eval()
    generator = torch.Generator().manual_seed(tiny.seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
            if parameter.ndim == 1:
                parameter.add_(1.0)
    return module.to(tiny.dtype)


def _named(module, tiny):
    names = {}
    for name, tensor in module.state_dict().items():
        if tiny.tied and name == 'lm_head.weight':
            continue
        if tiny.old_names:
            name = name.replace('model.visual.', 'visual.').replace('model.language_model.', 'model.')
            if name.endswith(('experts.gate_up_proj', 'experts.down_proj')):
                tensor = tensor.transpose(1, 2)  # as the releases keep experts
        names[name] = tensor.contiguous()
    return names


def _write_shards(target, tensors, shards):
    if shards == 1:
        save_file(tensors, str(target / 'model.safetensors'))
        return
    files = [f'model-{index + 1:05d}-of-{shards:05d}.safetensors' for index in range(shards)]
    placed = {name: files[index % shards] for index, name in enumerate(tensors)}
    for file in files:
        save_file({name: tensors[name] for name in tensors if placed[name] == file}, str(target / file))
    (target / 'model.safetensors.index.json').write_text(json.dumps({'metadata': {}, 'weight_map': placed}))


def _write_tokenizer(target):
    vocabulary = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(models.BPE(vocabulary, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(list(SPECIAL))
    core.save(str(target / 'tokenizer.json'))
    added = {
        str(special_id(token)): {'content': token, 'special': True, 'lstrip': False, 'rstrip': False,
                                 'normalized': False, 'single_word': False}
        for token in SPECIAL
    }  # fmt: skip
    (target / 'tokenizer_config.json').write_text(json.dumps({
        'tokenizer_class': 'Qwen2Tokenizer', 'eos_token': '<|im_end|>', 'pad_token': '<|endoftext|>',
        'added_tokens_decoder': added, 'additional_special_tokens': list(SPECIAL[1:]), 'model_max_length': 4096,
    }))  # fmt: skip
    (target / 'vocab.json').write_text(json.dumps(vocabulary))
    (target / 'merges.txt').write_text('#version: 0.2\n')
