# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds tiny GLOVER checkpoints with random weights in the official layout: for shapes, types, variants and errors."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_robopoint import write_tokenizer
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from affordance_ros.models.parts.sam import Sam, SamGeometry

HIDDEN, VOCABULARY = 16, 323
SEG_ID = 320
_ADDED = {'[SEG]': SEG_ID, '<im_start>': 321, '<im_end>': 322}
_LLAMA = {
    'vocab_size': VOCABULARY, 'hidden_size': HIDDEN, 'intermediate_size': 24, 'num_hidden_layers': 2,
    'num_attention_heads': 2, 'num_key_value_heads': 2, 'max_position_embeddings': 2048, 'rms_norm_eps': 1e-5,
    'tie_word_embeddings': False, 'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0, 'hidden_act': 'silu',
}  # fmt: skip
_CLIP = {  # 32 pixels in patches of 2 make the 256 tokens that the official code counts on
    'hidden_size': 8, 'intermediate_size': 16, 'num_hidden_layers': 3, 'num_attention_heads': 2, 'image_size': 32,
    'patch_size': 2, 'projection_dim': 8, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_SAM = SamGeometry(
    channels=16, decoder_layers=2, decoder_mlp=24, decoder_inner=8, hyper=(16, 16, 16, 2), iou=(16, 16, 16, 4),
    mask_tokens=4, mask_channels=16, patch=8, grid=6, vit_dim=12, vit_heads=2, vit_mlp=24, windows=(4, 0),
)  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """What to build.

    projector: 'linear', 'mlp2x_gelu' or 'identity'. said: ids that the language model writes after any prompt.
    second_encoder: whether the image encoder of the second SAM is there, as in a release. shards: number of .bin files
    with an index; 0: one safetensors file.
    """

    plus: bool = True
    projector: str = 'mlp2x_gelu'
    legacy: bool = False
    dtype: torch.dtype = torch.float32
    said: tuple[int, ...] = (300, SEG_ID, 2)
    second_encoder: bool = True
    shards: int = 0
    config: tuple[tuple[str, object], ...] = ()


def build(folder: Path, tiny: Tiny = Tiny()) -> Path:  # noqa: B008  (frozen)
    """Write the checkpoint, its tokenizer and clip/ into `folder` and return it."""
    torch.manual_seed(0)
    (folder / 'clip').mkdir(parents=True, exist_ok=True)
    config = {
        **_LLAMA, 'model_type': 'llava', 'architectures': ['GloverForCausalLM'], 'mm_hidden_size': 8,
        'mm_vision_select_layer': -2, 'mm_vision_select_feature': 'patch', 'mm_use_im_start_end': True,
        'out_dim': _SAM.channels, 'train_mask_decoder': True, 'vision_tower': '/elsewhere/clip-vit-large-patch14',
        'mm_projector_type': tiny.projector, **dict(tiny.config),
    }  # fmt: skip
    (folder / 'config.json').write_text(json.dumps(config))
    _write_clip(folder / 'clip')
    found = {key: value.to(tiny.dtype).contiguous() for key, value in tensors(tiny).items()}
    if tiny.shards:
        _write_shards(folder, found, tiny.shards)
    else:
        save_file(found, folder / 'model.safetensors')
    write_tokenizer(folder)
    (folder / 'tokenizer_config.json').write_text(json.dumps({'legacy': tiny.legacy}))
    (folder / 'added_tokens.json').write_text(json.dumps(_ADDED))
    return folder


def tensors(tiny: Tiny) -> dict[str, torch.Tensor]:
    """Return weights under the keys of a release."""
    llm = LlamaForCausalLM(LlamaConfig(**_LLAMA))
    _speak(llm, tiny.said)
    found = dict(llm.state_dict())
    for index in range(_LLAMA['num_hidden_layers']):
        found[f'model.layers.{index}.self_attn.rotary_emb.inv_freq'] = torch.ones(4)
    widths = {'linear': (8, HIDDEN), 'mlp2x_gelu': (8, HIDDEN, HIDDEN), 'identity': ()}[tiny.projector]
    for index, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        prefix = 'model.mm_projector.' + ('' if tiny.projector == 'linear' else f'{2 * index}.')
        found[prefix + 'weight'], found[prefix + 'bias'] = torch.randn(after, before), torch.randn(after)
    for index, width in ((0, HIDDEN), (2, _SAM.channels)):
        prefix = f'model.text_hidden_fcs.0.{index}.'
        found[prefix + 'weight'], found[prefix + 'bias'] = torch.randn(width, HIDDEN), torch.randn(width)
    for name in ('visual_model', 'visual_model1')[: 1 + tiny.plus]:
        for key, value in Sam(_SAM).state_dict().items():
            if name == 'visual_model' or tiny.second_encoder or not key.startswith('image_encoder'):
                found[f'model.{name}.{key}'] = value + 0.2 * torch.randn_like(value)
    return found


def _speak(llm: LlamaForCausalLM, said: tuple[int, ...]) -> None:
    """Make the language model write `said` after any prompt: each token is a function of the one before it.

    Layers add next to nothing, and the head maps the embedding of each token to the next one.
    """
    with torch.no_grad():
        for layer in llm.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.01)
            layer.mlp.down_proj.weight.mul_(0.01)
        llm.lm_head.weight.mul_(0.01)
        table = llm.model.embed_tokens.weight
        table.copy_(torch.randn_like(table))
        # The last word of every prompt ends in ':'; whatever it is, it is the only embedding that points this way.
        first = torch.zeros(HIDDEN)
        first[0] = 4.0
        for index, token in enumerate(said[:-1]):
            table[token] = torch.zeros(HIDDEN)
            table[token][index + 1] = 4.0
        table[:, 0] = 0.0
        table[_colon()] = first
        llm.lm_head.weight[list(said)] = 0.0
        for index, token in enumerate(said):
            llm.lm_head.weight[token][index] = 10.0


def _colon() -> int:
    """Return the id that every prompt ends with (the tokenizer of the tests is trained on fixed sentences)."""
    import tempfile

    from affordance_ros.models.glover_prompts import build_prompt
    from affordance_ros.models.parts.added_tokens import AddedTokenTokenizer

    with tempfile.TemporaryDirectory() as name:
        write_tokenizer(Path(name))
        tokenizer = AddedTokenTokenizer(Path(name) / 'tokenizer.model', _ADDED, legacy=False)
        return tokenizer.encode_prompt(build_prompt('x'))[-1]


def _write_clip(folder: Path) -> None:
    (folder / 'config.json').write_text(json.dumps({'model_type': 'clip', 'vision_config': _CLIP}))
    (folder / 'preprocessor_config.json').write_text(json.dumps({'size': 32, 'crop_size': 32}))
    state = CLIPVisionModel(CLIPVisionConfig(**_CLIP)).state_dict()
    named = {f'vision_model.{key.removeprefix("vision_model.")}': value for key, value in state.items()}
    save_file({**named, 'logit_scale': torch.ones(())}, folder / 'model.safetensors')


def _write_shards(folder: Path, found: dict[str, torch.Tensor], count: int) -> None:
    names = [f'pytorch_model-{index + 1:05d}-of-{count:05d}.bin' for index in range(count)]
    parts = [dict(list(found.items())[index::count]) for index in range(count)]
    for name, part in zip(names, parts, strict=True):
        torch.save(part, folder / name)
    where = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (folder / 'pytorch_model.bin.index.json').write_text(json.dumps({'weight_map': where}))
