# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA adapters in peft's file layout, merged into each weight as it is read, with the roundings of peft.

So an adapter and its base load like a full checkpoint: no second copy, and rounding to int8 or int4 right after.
"""

import math
import re
from pathlib import Path
from typing import Any

import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import read_json, read_tensors

_PREFIX = 'base_model.model.'
_REFUSED = {
    'use_dora': False,
    'bias': 'none',
    'fan_in_fan_out': False,
    'modules_to_save': None,
    'layer_replication': None,
}


class LoraAdapter:
    """The adapter of a folder, checked against the model that it is for (which may be on the meta device).

    Every key must have its layer and every target both halves, and at least one B must not be zero.
    """

    def __init__(self, folder: Path, model: torch.nn.Module) -> None:
        self._config = read_json(folder / 'adapter_config.json')
        _check_config(self._config, folder)
        names = ('adapter_model.safetensors', 'adapter_model.bin')
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file is None:
            raise AffordanceError(
                Code.MISSING_WEIGHTS, f'{folder} has adapter_config.json but no adapter_model.safetensors or .bin'
            )
        self._file, self._halves = file, _halves(file)
        self._left = set(self._halves)
        wanted = {name for name, _ in model.named_modules() if _is_target(name, self._config['target_modules'])}
        if self._left != wanted:
            missing, unexpected = sorted(wanted - self._left), sorted(self._left - wanted)
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{file} does not fit the base; missing {missing[:5]}, unexpected {unexpected[:5]}'
            )
        if not any(bool(half['B'].any()) for half in self._halves.values()):
            raise AffordanceError(Code.BAD_CHECKPOINT, f'every lora_B in {file} is zero: the adapter was never trained')

    def merge(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Add the adapter to parameter `name` in place, if it is for it, and return the parameter.

        Both halves are raised to float32, multiplied, scaled and added to the weight, which is rounded once.
        """
        module = name.removesuffix('.weight')
        if name.endswith('.weight') and module in self._halves:
            _merge_one(module, tensor, self._halves[module], self._config)
            self._left.discard(module)
        return tensor

    def finish(self) -> int:
        """Return how many weights were changed. Raises BAD_CHECKPOINT when a part of the adapter was never used."""
        if self._left:
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{self._file}: no weight in the base for {", ".join(sorted(self._left)[:5])}'
            )
        return len(self._halves)


def _check_config(config: dict[str, Any], folder: Path) -> None:
    for key, allowed in _REFUSED.items():
        if config.get(key, allowed) != allowed:
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{folder}: {key}={config[key]!r} of the adapter is not supported'
            )
    if config.get('rank_pattern') or config.get('alpha_pattern'):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}: rank_pattern and alpha_pattern are not supported')


def _is_target(name: str, targets: list[str] | str) -> bool:
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith('.' + target) for target in targets)


def _halves(file: Path) -> dict[str, dict[str, torch.Tensor]]:
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in read_tensors([file]):
        name, separator, half = key.removeprefix(_PREFIX).removesuffix('.weight').rpartition('.lora_')
        if not (key.startswith(_PREFIX) and separator and half in ('A', 'B')):
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{file}: unexpected key {key}')
        halves.setdefault(name, {})[half] = tensor
    for name, half_pair in halves.items():
        if len(half_pair) != 2:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{file}: {name} has only lora_{next(iter(half_pair))}')
    return halves


@torch.no_grad()
def _merge_one(name: str, weight: torch.Tensor, half: dict[str, torch.Tensor], config: dict[str, Any]) -> None:
    a, b = (half[which].to(weight.device, torch.float32) for which in 'AB')
    if a.shape[0] != config['r'] or (b.shape[0], a.shape[1]) != tuple(weight.shape) or b.shape[1] != a.shape[0]:
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'adapter of {name}: A {tuple(a.shape)}, B {tuple(b.shape)} do not fit {tuple(weight.shape)}',
        )
    scaling = config['lora_alpha'] / (math.sqrt(config['r']) if config.get('use_rslora') else config['r'])
    weight.add_((b @ a) * scaling)
