# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading Qwen2.5-VL and Qwen3-VL checkpoints, experts too: empty modules of transformers, filled key by key.

Files carry the names of transformers 4.51 (`visual.*`, `model.*`) or of 4.52 and later (`model.visual.*`,
`model.language_model.*`); both are read. The files may lie in a `huggingface/` sub-folder, as a veRL trainer leaves
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import Qwen2_5_VLConfig, Qwen3VLConfig, Qwen3VLMoeConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
    Qwen2_5_VLTextModel,
)
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextModel, Qwen3VLVisionModel
from transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe import Qwen3VLMoeTextModel, Qwen3VLMoeVisionModel

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import StrictLoader, read_json, read_tensors, weight_files
from affordance_ros.models.parts.device import check_attention
from affordance_ros.models.parts.placement import Placement, place
from affordance_ros.models.parts.quantization import quantize_linears

FAMILIES: dict[str, tuple[Any, Any, Any]] = {
    'qwen2_5_vl': (Qwen2_5_VLConfig, Qwen2_5_VisionTransformerPretrainedModel, Qwen2_5_VLTextModel),
    'qwen3_vl': (Qwen3VLConfig, Qwen3VLVisionModel, Qwen3VLTextModel),
    'qwen3_vl_moe': (Qwen3VLMoeConfig, Qwen3VLMoeVisionModel, Qwen3VLMoeTextModel),
}
SUB_FOLDER = 'huggingface'
# Longest prefix first. 'visual.' and 'text.' are ours: which half a tensor belongs to.
_PREFIXES = (
    ('model.visual.', 'visual.'),
    ('model.language_model.', 'text.language_model.'),
    ('visual.', 'visual.'),
    ('model.', 'text.language_model.'),
    ('lm_head.', 'text.lm_head.'),
)


@dataclass(frozen=True)
class QwenVLSource:
    """Where a network comes from; the fields of `LoadOptions`. spread: over all GPUs, `device` being the first."""

    folder: Path
    device: torch.device = torch.device('cpu')
    dtype: torch.dtype = torch.float32
    spread: bool = False
    quantization: str | None = None
    attention: str = 'sdpa'


class TextHalf(torch.nn.Module):
    """The decoder and its head."""

    _no_split_modules = ('Qwen2_5_VLDecoderLayer', 'Qwen3VLTextDecoderLayer', 'Qwen3VLMoeTextDecoderLayer')
    _skip_keys_device_placement = ('past_key_values',)

    def __init__(self, language_model: Any, config: Any) -> None:
        super().__init__()
        self.language_model = language_model
        self.lm_head = torch.nn.Linear(config.hidden_size, config.vocab_size, bias=False)


def read_config(folder: Path) -> tuple[str, Any]:
    """Return (family, configuration of transformers). Raises BAD_CHECKPOINT for another kind of model."""
    stored = read_json(folder / 'config.json')
    family = str(stored.get('model_type', ''))
    if family not in FAMILIES:
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'{folder}/config.json: model_type {family!r} is not of this family; known: {", ".join(FAMILIES)}',
        )
    if stored.get('text_config'):  # then its copies at the top level mean nothing and make transformers complain
        stored = {name: value for name, value in stored.items() if name not in ('rope_scaling', 'rope_theta')}
    try:
        return family, FAMILIES[family][0].from_dict(stored)
    except (StrictDataclassError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}/config.json cannot be used: {error}') from error


def load_network(source: QwenVLSource) -> tuple[Any, Any, TextHalf]:
    """Return (configuration, vision tower, text half), loaded and in evaluation mode."""
    family, config = read_config(source.folder)
    stored = read_json(source.folder / 'config.json')
    vision, text = empty_halves(family, config, source)
    if source.quantization and family == 'qwen3_vl_moe':
        raise AffordanceError(
            Code.BAD_INPUT, 'a mixture of experts cannot be quantized here: its experts are no linear layers'
        )
    quantize_linears(text, source.quantization)
    placement = place(text, source.device, source.dtype) if source.spread else Placement(source.device)
    halves = {
        'visual': StrictLoader(vision, placement.main, source.dtype),
        'text': StrictLoader(text, placement.device_of, source.dtype),
    }
    for key, tensor in read_tensors(weight_files(source.folder)):
        if not key.endswith('.inv_freq'):
            half, name = route(key)
            halves[half].put(key, name, _turned(name, tensor, text))
    tied = _is_tied(stored)
    halves['text'].finish(str(source.folder), may_miss=lambda name: tied and name == 'lm_head.weight')
    halves['visual'].finish(f'the vision tower in {source.folder}')
    if tied:
        text.lm_head.weight = text.language_model.embed_tokens.weight
    placement.connect(text)
    return config, vision.eval(), text.eval()


def empty_halves(family: str, config: Any, source: QwenVLSource) -> tuple[Any, TextHalf]:
    """Return vision and text on the meta device, but with the buffers that no checkpoint holds."""
    attention = check_attention(source.attention)
    _, vision_class, text_class = FAMILIES[family]
    for part in (config.vision_config, config.text_config):
        part._attn_implementation = attention  # noqa: SLF001 - there is no public way
    try:
        with torch.device('meta'):
            vision = vision_class(config.vision_config)
            text = TextHalf(text_class(config.text_config), config.text_config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{source.folder}/config.json cannot be used: {error}') from error
    for half in (vision, text):
        _fill_buffers(half, source.device)
    return vision, text


def _fill_buffers(half: torch.nn.Module, device: torch.device) -> None:
    """Make the rotary frequencies (float32, in no checkpoint) anew, outside the meta device."""
    for name, part in list(half.named_modules()):
        if any(buffer.is_meta for buffer in part.buffers(recurse=False)):
            owner, _, leaf = name.rpartition('.')
            part_type: Any = type(part)
            setattr(half.get_submodule(owner), leaf, part_type(part.config).to(device))
    left = [name for name, buffer in half.named_buffers() if buffer.is_meta]
    if left:
        raise AffordanceError(Code.INTERNAL, f'this transformers version has buffers that we do not fill: {left}')


def route(key: str) -> tuple[str, str]:
    """Return (half, name in it) of a key; a key of neither half goes to the text, which reports it."""
    for prefix, ours in _PREFIXES:
        if key.startswith(prefix):
            half, _, name = (ours + key.removeprefix(prefix)).partition('.')
            return half, name
    return 'text', key


def _turned(name: str, tensor: torch.Tensor, text: TextHalf) -> torch.Tensor:
    """Return the weights of experts (E, in, out) of the releases as (E, out, in), which current transformers has."""
    if not name.endswith(('.experts.gate_up_proj', '.experts.down_proj')) or tensor.ndim != 3:
        return tensor
    wanted = dict(text.named_parameters()).get(name)
    turned = tensor.transpose(1, 2).contiguous()
    return turned if wanted is not None and turned.shape == wanted.shape != tensor.shape else tensor


def _is_tied(stored: Mapping[str, Any]) -> bool:
    text = stored.get('text_config') or {}
    return bool(stored.get('tie_word_embeddings', text.get('tie_word_embeddings', False)))
