# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An unmerged LoRA release and its base written as one full checkpoint in the layout of the full releases."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.conversion import ConvertRequest
from affordance_ros.models.parts.checkpoint import read_json
from affordance_ros.models.parts.device import torch_dtype
from affordance_ros.models.parts.llava import LlavaNetwork
from affordance_ros.models.parts.llava_loading import LlavaSource

SHARD_BYTES = 5 * 10**9
_PROJECTOR = 'model.mm_projector.'
_TOKENIZER_FILES = ('tokenizer.model', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json')


def merge_checkpoint(request: ConvertRequest) -> None:
    """Write the merged checkpoint; it holds no vision tower, which comes from `clip=` as before.

    Raises:
        AffordanceError: BAD_INPUT when the checkpoint is no LoRA or `out` is not empty, and whatever loading raises.
    """
    source = LlavaSource(request.checkpoint, request.clip, request.base, dtype=torch_dtype(request.dtype))
    if not source.is_lora:
        raise AffordanceError(Code.BAD_INPUT, f'{request.checkpoint} is no LoRA: it has no adapter_config.json')
    source = source.with_base()
    network = LlavaNetwork(source)
    request.prepare()
    config = {**read_json(Path(str(source.base)) / 'config.json'), **read_json(request.checkpoint / 'config.json')}
    config |= {'architectures': ['LlavaLlamaForCausalLM'], 'torch_dtype': request.dtype}
    (request.out / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
    for name in _TOKENIZER_FILES:
        if (Path(str(source.base)) / name).is_file():
            shutil.copyfile(Path(str(source.base)) / name, request.out / name)
    tensors = dict(network.llm.state_dict())
    tensors |= {_PROJECTOR + name: value for name, value in network.projector.state_dict().items()}
    if network.llm.config.tie_word_embeddings:
        del tensors['lm_head.weight']
    write_shards(request.out, tensors)


def write_shards(folder: Path, tensors: dict[str, torch.Tensor], limit: int = SHARD_BYTES) -> None:
    """Write safetensors files of at most `limit` bytes with their index, or one file when all fits in one."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        weight = tensor.numel() * tensor.element_size()
        if shards[-1] and size + weight > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.contiguous()
        size += weight
    if len(shards) == 1:
        save_file(shards[0], folder / 'model.safetensors', metadata={'format': 'pt'})
        return
    names = [f'model-{index + 1:05d}-of-{len(shards):05d}.safetensors' for index in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / name, metadata={'format': 'pt'})
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    where = {key: name for name, shard in zip(names, shards, strict=True) for key in shard}
    index = {'metadata': {'total_size': total}, 'weight_map': where}
    (folder / 'model.safetensors.index.json').write_text(json.dumps(index, indent=2) + '\n')
