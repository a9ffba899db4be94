# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the layers of a language model go: one device, or all GPUs of the machine (`device='auto'`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.device import torch_device

AUTO = 'auto'


@dataclass(frozen=True)
class Placement:
    """main: where inputs and small parts are. layers: device by the name of a sub-module; empty: all on `main`."""

    main: torch.device
    layers: Mapping[str, torch.device] = field(default_factory=dict)

    def device_of(self, parameter: str) -> torch.device:
        """Return the device of a parameter, by the longest sub-module name that it begins with."""
        name = parameter
        while name:
            if name in self.layers:
                return self.layers[name]
            name = name.rpartition('.')[0]
        return self.layers.get('', self.main)

    def connect(self, module: torch.nn.Module) -> None:
        """Make activations follow the layers from device to device."""
        if len(set(self.layers.values())) > 1:
            from accelerate import dispatch_model

            skip: Any = getattr(module, '_skip_keys_device_placement', None)  # the cache stays with its layer
            dispatch_model(module, dict(self.layers), main_device=self.main, skip_keys=skip, force_hooks=True)


def main_device(name: str) -> torch.device:
    """Return the device for inputs and small parts: the first GPU for 'auto', or the CPU when there is none."""
    if name == AUTO:
        return torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')
    return torch_device(name)


def place(
    module: torch.nn.Module, main: torch.device, dtype: torch.dtype, memory: Mapping[int, int] | None = None
) -> Placement:
    """Return where the layers of a module on the meta device go: over all GPUs, or on `main` when there is one at most.

    memory: bytes free per GPU, of this machine when None. The first one keeps a fifth for towers and activations.

    Raises:
        AffordanceError: OOM when the module does not fit on all GPUs together.
    """
    free = _free_memory() if memory is None else dict(memory)
    if len(free) < 2:
        return Placement(main)
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(getattr(module, '_no_split_modules', None) or ())
    limits: dict[Any, int] = {index: int(size * (0.8 if index == 0 else 0.95)) for index, size in free.items()}
    limits = get_balanced_memory(module, limits, whole, dtype=dtype)
    limits['cpu'] = limits['disk'] = 0
    layers = infer_auto_device_map(module, limits, whole, dtype=dtype)
    left = [name for name, where in layers.items() if not isinstance(where, int)]
    if left:
        text = f'the model does not fit on {len(free)} GPUs ({sum(free.values()) / 2**30:.3g} GiB free)'
        raise AffordanceError(Code.OOM, f'{text}; use quantization int8 or int4, or a smaller model')
    return Placement(main, {name: torch.device('cuda', where) for name, where in layers.items()})


def _free_memory() -> dict[int, int]:
    return {index: torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())}
