# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Building the parts of a LLaVA network and filling them from a release: full or LoRA, with a CLIP tower or without."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import LoadOptions
from affordance_ros.models.parts.checkpoint import StrictLoader, has_weights, read_json, read_tensors, weight_files
from affordance_ros.models.parts.clip_image import ClipPreprocessor
from affordance_ros.models.parts.device import check_attention, torch_dtype
from affordance_ros.models.parts.lora import LoraAdapter
from affordance_ros.models.parts.placement import AUTO, Placement, main_device, place
from affordance_ros.models.parts.quantization import quantize_linears

_LOG = logging.getLogger(__name__)
_TOWER = 'model.vision_tower.vision_tower.'
_PROJECTOR = 'model.mm_projector.'
_CLIP_L_336: dict[str, Any] = {  # openai/clip-vit-large-patch14-336
    'hidden_size': 1024, 'intermediate_size': 4096, 'num_hidden_layers': 24, 'num_attention_heads': 16,
    'image_size': 336, 'patch_size': 14, 'projection_dim': 768, 'hidden_act': 'quick_gelu', 'layer_norm_eps': 1e-5,
}  # fmt: skip
_LLAMA_FIELDS = (
    'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'num_key_value_heads',
    'hidden_act', 'max_position_embeddings', 'rms_norm_eps', 'rope_theta', 'rope_scaling', 'tie_word_embeddings',
    'attention_bias', 'mlp_bias', 'head_dim', 'bos_token_id', 'eos_token_id', 'pad_token_id', 'initializer_range',
)  # fmt: skip


@dataclass(frozen=True)
class LlavaSource:
    """Where the parts come from. clip: folder of a CLIP release. base: folder of the LLM under a LoRA.

    spread: put the LLM on all GPUs, `device` being the first. quantization, attention: of the LLM, as in `LoadOptions`.
    """

    checkpoint: Path
    clip: Path | None = None
    base: Path | None = None
    device: torch.device = torch.device('cpu')
    dtype: torch.dtype = torch.float32
    spread: bool = False
    quantization: str | None = None
    attention: str = 'sdpa'

    @property
    def is_lora(self) -> bool:
        """Whether the checkpoint is an unmerged adapter."""
        return (self.checkpoint / 'adapter_config.json').is_file()

    @classmethod
    def of(cls, options: LoadOptions, folder: Path, clip: str | None, base: str | None = None) -> 'LlavaSource':
        """Return the source that the options of a model name."""
        return cls(
            folder,
            Path(clip) if clip else None,
            Path(base) if base else None,
            main_device(options.device),
            torch_dtype(options.dtype),
            spread=options.device == AUTO,
            quantization=options.quantization,
            attention=options.attention,
        )

    def with_base(self) -> 'LlavaSource':
        """Return a source whose base is there if and only if the checkpoint is a LoRA."""
        if not self.is_lora:
            if self.base is not None:
                raise AffordanceError(Code.BAD_INPUT, f'{self.checkpoint} is a full checkpoint; leave base= out')
            return self
        named = str(read_json(self.checkpoint / 'adapter_config.json').get('base_model_name_or_path', ''))
        base = self.base or Path(named)
        if not (base / 'config.json').is_file():
            raise AffordanceError(
                Code.MISSING_WEIGHTS,
                f'{self.checkpoint} is a LoRA: give base= the folder of {named or "its base"} (none in {base})',
            )
        return replace(self, base=base)


def build_parts(source: LlavaSource, config: Mapping[str, Any]) -> tuple[Any, torch.nn.Module, Any, ClipPreprocessor]:
    """Return vision, projector, llm (without weights, on the meta device) and the image preparation."""
    _check_config(config, source.checkpoint)
    llm_config = config if source.base is None else read_json(source.base / 'config.json')
    vision_config, preprocessor = read_clip_configs(find_clip(source, config))
    text_config = llama_config({**llm_config, **_llama_only(config)})
    text_config._attn_implementation = check_attention(source.attention)  # noqa: SLF001 - there is no public way
    with torch.device('meta'):
        llm = LlamaForCausalLM(text_config)
        vision = CLIPVisionModel(vision_config)
        projector = build_projector(config, vision_config.hidden_size, llm.config.hidden_size)
    restore_buffers(llm, vision, source.device)
    quantize_linears(llm, source.quantization)
    return vision, projector, llm, preprocessor


def _check_config(config: Mapping[str, Any], folder: Path) -> None:
    if config.get('mm_use_im_start_end') or config.get('mm_use_im_patch_token', True):
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'{folder}/config.json: mm_use_im_start_end and mm_use_im_patch_token must be false, as in every release',
        )
    if config.get('mm_patch_merge_type', 'flat') != 'flat':
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}/config.json: mm_patch_merge_type must be flat')
    if config.get('mm_vision_select_feature', 'patch') not in ('patch', 'cls_patch'):
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{folder}/config.json: mm_vision_select_feature must be patch or cls_patch'
        )


def _llama_only(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in _LLAMA_FIELDS if name in config}


def llama_config(fields: Mapping[str, Any]) -> LlamaConfig:
    """Return the configuration of the LLM in a config.json, whatever else stands in it."""
    return LlamaConfig(**_llama_only(fields))


def build_projector(config: Mapping[str, Any], vision_size: int, llm_size: int) -> torch.nn.Module:
    """Return the projector that `mm_projector_type` names: 'linear' (also when absent) or 'mlp<N>x_gelu'."""
    kind = config.get('mm_projector_type', 'linear')
    if kind == 'linear':
        return torch.nn.Linear(vision_size, llm_size)
    match = re.fullmatch(r'mlp(\d+)x_gelu', kind)
    if match is None:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'mm_projector_type {kind!r} is not supported, only linear and mlp<N>x_gelu'
        )
    layers: list[torch.nn.Module] = [torch.nn.Linear(vision_size, llm_size)]
    for _ in range(1, int(match[1])):
        layers += [torch.nn.GELU(), torch.nn.Linear(llm_size, llm_size)]
    return torch.nn.Sequential(*layers)


def find_clip(source: LlavaSource, config: Mapping[str, Any]) -> Path | None:
    """Return the CLIP folder: the option, `<checkpoint>/clip` or a local path in the config; None if there is none."""
    if source.clip is not None:
        if not (source.clip / 'config.json').is_file():
            raise AffordanceError(
                Code.MISSING_WEIGHTS,
                f'clip={source.clip} has no config.json; give the folder of openai/clip-vit-large-patch14-336',
            )
        return source.clip
    named = Path(str(config.get('mm_vision_tower', '')))
    inside = source.checkpoint / 'clip'
    if (inside / 'config.json').is_file():
        return inside
    return named if named.is_absolute() and (named / 'config.json').is_file() else None


def read_clip_configs(folder: Path | None) -> tuple[CLIPVisionConfig, ClipPreprocessor]:
    """Return the vision configuration and the image preparation of a CLIP folder, or of ViT-L/14 at 336 pixels."""
    if folder is None:
        return CLIPVisionConfig(**_CLIP_L_336), ClipPreprocessor()
    config = read_json(folder / 'config.json')
    fields = config.get('vision_config', config)
    known = {name: fields[name] for name in _CLIP_L_336 if name in fields}
    return CLIPVisionConfig(**known), ClipPreprocessor.from_config(read_json(folder / 'preprocessor_config.json'))


def restore_buffers(llm: Any, vision: Any, device: torch.device) -> None:
    """Give the two buffers that no checkpoint holds their values: rotary frequencies (float32) and CLIP positions."""
    llm.model.rotary_emb = LlamaRotaryEmbedding(config=llm.config).to(device)
    embeddings = getattr(vision, 'vision_model', vision).embeddings
    embeddings.position_ids = torch.arange(embeddings.num_positions, device=device)[None]
    for part in (llm, vision):
        left = [name for name, buffer in part.named_buffers() if buffer.is_meta]
        if left:
            raise AffordanceError(Code.INTERNAL, f'this transformers version has buffers that we do not fill: {left}')


def load_weights(parts: tuple[Any, torch.nn.Module, Any], source: LlavaSource) -> str:
    """Fill all parameters and return in words where the CLIP weights came from."""
    vision, projector, llm = parts
    clip_folder = find_clip(source, read_json(source.checkpoint / 'config.json'))
    separate = clip_folder is not None and has_weights(clip_folder)
    placement = place(llm, source.device, source.dtype) if source.spread else Placement(source.device)
    adapter = LoraAdapter(source.checkpoint, llm) if source.is_lora else None
    loaders = {
        'llm': StrictLoader(llm, placement.device_of, source.dtype, change=adapter.merge if adapter else None),
        'projector': StrictLoader(projector, placement.main, source.dtype),
        'vision': StrictLoader(vision, placement.main, torch.float32),
    }
    files = weight_files(source.base or source.checkpoint)
    copy_of_tower = _route(read_tensors(files), loaders, use_tower=not separate)
    if source.is_lora:
        _load_non_lora(source.checkpoint, loaders['projector'])
    if separate and clip_folder is not None:
        for key, tensor in read_tensors(weight_files(clip_folder)):
            put_clip(loaders['vision'], key, tensor)
    elif not copy_of_tower:
        raise AffordanceError(
            Code.MISSING_WEIGHTS,
            f'{source.checkpoint} holds no vision tower; give clip= the folder of openai/clip-vit-large-patch14-336',
        )
    tied = bool(llm.config.tie_word_embeddings)
    loaders['llm'].finish(
        str(source.base or source.checkpoint), may_miss=lambda name: tied and name == 'lm_head.weight'
    )
    loaders['projector'].finish(f'the projector (mm_projector) of {source.checkpoint}')
    clip_source = str(clip_folder) if separate else f'the copy in {source.checkpoint}'
    loaders['vision'].finish(f'the CLIP tower from {clip_source}', may_miss=lambda name: 'post_layernorm' in name)
    fill_unused(vision, placement.main)
    if tied:
        llm.lm_head.weight = llm.model.embed_tokens.weight
    if adapter:
        _LOG.info('%d weights changed by the LoRA', adapter.finish())
    placement.connect(llm)
    _LOG.info('CLIP weights from %s', clip_source)
    return clip_source


def _route(tensors: Any, loaders: Mapping[str, StrictLoader], *, use_tower: bool) -> bool:
    """Hand each tensor to its part; return whether a copy of the tower was among them."""
    tower_seen = False
    for key, tensor in tensors:
        if key.endswith('.inv_freq'):
            continue
        if key.startswith(_TOWER):
            tower_seen = True
            if use_tower:
                put_clip(loaders['vision'], key, tensor, prefix=_TOWER)
        elif key.startswith(_PROJECTOR):
            loaders['projector'].put(key, key.removeprefix(_PROJECTOR), tensor)
        else:
            loaders['llm'].put(key, key, tensor)
    return tower_seen


def put_clip(loader: StrictLoader, key: str, tensor: torch.Tensor, prefix: str = '') -> None:
    """Store one CLIP tensor; the text half of a full CLIP release and the position ids are not used here."""
    name = key.removeprefix(prefix)
    if name.startswith(('text_model.', 'text_projection.', 'visual_projection.')) or name == 'logit_scale':
        return
    if name.endswith('.position_ids'):
        return
    bare = name.removeprefix('vision_model.')  # transformers 5 dropped this level from the module, files kept it
    loader.put(key, bare if loader.has(bare) else name, tensor)


def fill_unused(vision: Any, device: torch.device) -> None:
    """Give the last layer norm values when the checkpoint left it out: the chosen hidden state comes before it."""
    norm = getattr(vision, 'vision_model', vision).post_layernorm
    if norm.weight.is_meta:
        norm.weight = torch.nn.Parameter(torch.ones(norm.weight.shape, device=device), requires_grad=False)
        norm.bias = torch.nn.Parameter(torch.zeros(norm.bias.shape, device=device), requires_grad=False)


def _load_non_lora(folder: Path, loader: StrictLoader) -> None:
    file = folder / 'non_lora_trainables.bin'
    if not file.is_file():
        raise AffordanceError(
            Code.MISSING_WEIGHTS, f'{file} is missing: it holds the projector of this LoRA checkpoint'
        )
    for key, tensor in read_tensors([file]):
        name = key.removeprefix('base_model.').removeprefix('model.')
        loader.put(key, name.removeprefix(_PROJECTOR) if name.startswith(_PROJECTOR) else key, tensor)
