# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a trained pocket RoboPoint as a checkpoint folder in the official layout (fp16 safetensors)."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from affordance_ros.training.pocket_data import MEAN, STD
from affordance_ros.training.pocket_net import PocketNet
from affordance_ros.training.recipes import PocketRecipe


def official_state(net: PocketNet) -> dict[str, torch.Tensor]:
    """Return the tensors under the names of the official release, in fp16."""
    language = net.language.state_dict()
    state = {name: tensor for name, tensor in language.items() if not name.endswith('inv_freq')}
    state['lm_head.weight'] = language['model.embed_tokens.weight'].clone()
    state |= {f'model.mm_projector.{name}': tensor for name, tensor in net.projector.state_dict().items()}
    for name, tensor in net.perception.tower.state_dict().items():
        if not name.endswith('position_ids'):
            bare = name.removeprefix('vision_model.')
            state[f'model.vision_tower.vision_tower.vision_model.{bare}'] = tensor
    return {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in state.items()}


def export_checkpoint(net: PocketNet, recipe: PocketRecipe, tokenizer: bytes, out: Path) -> None:
    """Write weights, configurations and tokenizer to a folder that `load_model('robopoint', checkpoint=out)` reads."""
    (out / 'clip').mkdir(parents=True, exist_ok=True)
    save_file(official_state(net), out / 'model.safetensors', metadata={'format': 'pt'})
    (out / 'tokenizer.model').write_bytes(tokenizer)
    _write(out / 'config.json', _model_config(net, recipe))
    _write(out / 'tokenizer_config.json', _TOKENIZER)
    _write(
        out / 'special_tokens_map.json',
        {'bos_token': '<s>', 'eos_token': '</s>', 'pad_token': '<unk>', 'unk_token': '<unk>'},
    )
    _write(
        out / 'generation_config.json', {'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0, 'max_length': 1024}
    )
    tower = net.perception.tower.config
    fields = (
        'hidden_size',
        'intermediate_size',
        'num_hidden_layers',
        'num_attention_heads',
        'image_size',
        'patch_size',
        'hidden_act',
    )
    values = {name: getattr(tower, name) for name in (*fields, 'projection_dim', 'layer_norm_eps')}
    _write(
        out / 'clip' / 'config.json',
        {'architectures': ['CLIPVisionModel'], 'model_type': 'clip_vision_model', **values},
    )
    _write(out / 'clip' / 'preprocessor_config.json', _preprocessor(recipe.tower.image_px))


def _model_config(net: PocketNet, recipe: PocketRecipe) -> dict[str, object]:
    language = net.language.config
    fields = (
        'hidden_size',
        'intermediate_size',
        'num_hidden_layers',
        'num_attention_heads',
        'num_key_value_heads',
        'vocab_size',
    )
    values = {
        name: getattr(language, name) for name in (*fields, 'max_position_embeddings', 'rms_norm_eps', 'hidden_act')
    }
    return {
        'architectures': ['LlavaLlamaForCausalLM'],
        'model_type': 'llava_llama',
        **values,
        'rope_theta': 10000.0,
        'rope_scaling': None,
        'bos_token_id': 1,
        'eos_token_id': 2,
        'pad_token_id': 0,
        'tie_word_embeddings': False,
        'attention_bias': False,
        'torch_dtype': 'float16',
        'mm_vision_tower': 'clip',
        'mm_hidden_size': recipe.tower.hidden,
        'mm_projector_type': 'mlp2x_gelu',
        'mm_vision_select_layer': -1,
        'mm_vision_select_feature': 'patch',
        'mm_patch_merge_type': 'flat',
        'mm_use_im_start_end': False,
        'mm_use_im_patch_token': False,
        'use_mm_proj': True,
        'tokenizer_model_max_length': 1024,
        'tokenizer_padding_side': 'right',
    }


_TOKENIZER = {
    'tokenizer_class': 'LlamaTokenizer',
    'add_bos_token': True,
    'add_eos_token': False,
    'legacy': False,
    'bos_token': '<s>',
    'eos_token': '</s>',
    'unk_token': '<unk>',
    'pad_token': '<unk>',
    'model_max_length': 1024,
    'padding_side': 'right',
}


def _preprocessor(side: int) -> dict[str, object]:
    return {
        'image_processor_type': 'CLIPImageProcessor',
        'do_resize': True,
        'size': {'height': side, 'width': side},  # stretched: no padding tokens
        'resample': 3,
        'do_center_crop': False,
        'do_rescale': True,
        'rescale_factor': 1 / 255,
        'do_normalize': True,
        'do_convert_rgb': True,
        'image_mean': [float(value) for value in MEAN],
        'image_std': [float(value) for value in STD],
    }


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n')
