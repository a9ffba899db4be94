# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training state of GLOVER as zero_to_fp32.py of the official code writes it, merged while it is read.

Its keys begin with `base_model.model.`, and the query and value projections have LoRA halves beside them. This does
what merge_weights.py does, without peft: weight + alpha / rank * B A in float32, rounded once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_tensors

_PREFIX = 'base_model.model.'
_HALVES = {'.lora_A.default.weight': 'A', '.lora_B.default.weight': 'B'}
Halves = Mapping[str, Mapping[str, torch.Tensor]]


def is_half(key: str) -> bool:
    """Tell whether a key is half of an adapter."""
    return key.endswith(tuple(_HALVES))


def plain_name(key: str) -> str:
    """Return the name of a tensor in a merged checkpoint; newer peft writes `.base_layer.` beside its halves."""
    return key.removeprefix(_PREFIX).replace('.base_layer.', '.')


def read_merged(files: list[Path], alpha: float) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (key, tensor) of every file under the names of a merged checkpoint, which passes through as it is.

    alpha: `--lora_alpha` of the training; it is not stored in the state.

    Raises:
        AffordanceError: BAD_CHECKPOINT when an adapter has one half only, does not fit or has no weight to go to.
    """
    halves = _read_halves(files)
    landed = set()
    for key, tensor in read_tensors(files):
        if is_half(key):
            continue
        name = plain_name(key)
        module = name.removesuffix('.weight')
        if module in halves:
            tensor = merge(module, tensor, halves[module], alpha)
            landed.add(module)
        yield name, tensor
    if lost := sorted(set(halves) - landed):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{files[0]}: no weight for the adapters of {", ".join(lost[:5])}')


def merge(name: str, weight: torch.Tensor, pair: Mapping[str, torch.Tensor], alpha: float) -> torch.Tensor:
    """Return the weight (out, in) with its adapter: A (rank, in), B (out, rank)."""
    a, b = pair['A'].float(), pair['B'].float()
    if a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != tuple(weight.shape):
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'adapter of {name}: A {tuple(a.shape)}, B {tuple(b.shape)} do not fit {tuple(weight.shape)}',
        )
    return (weight.float() + (alpha / a.shape[0]) * (b @ a)).to(weight.dtype)


def _read_halves(files: list[Path]) -> dict[str, dict[str, torch.Tensor]]:
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in _adapter_tensors(files):
        ending = next(ending for ending in _HALVES if key.endswith(ending))
        halves.setdefault(plain_name(key.removesuffix(ending)), {})[_HALVES[ending]] = tensor.clone()
    for name, pair in halves.items():
        if len(pair) != 2:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{files[0]}: {name} has only lora_{next(iter(pair))}')
    return halves


def _adapter_tensors(files: list[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the halves alone: a .bin is mapped and costs nothing to walk, safetensors are asked key by key."""
    for file in files:
        if file.suffix == '.safetensors':
            with safe_open(str(file), framework='pt') as shard:
                yield from ((key, shard.get_tensor(key)) for key in shard.keys() if is_half(key))  # noqa: SIM118
        else:
            yield from ((key, tensor) for key, tensor in read_tensors([file]) if is_half(key))
