# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Devices, number types and memory of torch, with our refusals in place of its errors."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from transformers.utils.import_utils import is_flash_attn_2_available

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.quantization import QuantizedLinear

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


def torch_dtype(name: str) -> torch.dtype:
    """Return the number type of a name in DTYPES."""
    if name not in DTYPES:
        raise AffordanceError(Code.BAD_INPUT, f'dtype {name!r} is unknown; known: {", ".join(DTYPES)}')
    return DTYPES[name]


def torch_device(name: str) -> torch.device:
    """Return a device that exists on this machine."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise AffordanceError(Code.BAD_INPUT, f'device {name!r} is unknown; use cpu or cuda') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise AffordanceError(
            Code.BAD_INPUT,
            f'device {name!r} is not there (torch {torch.__version__} sees {torch.cuda.device_count()}); use cpu',
        )
    return device


def count_memory(parts: Iterable[torch.nn.Module]) -> tuple[int, int]:
    """Return (number of parameters, bytes of parameters and buffers); quantized weights count in full."""
    modules = list(parts)
    parameters = [tensor for part in modules for tensor in part.parameters()]
    buffers = [tensor for part in modules for tensor in part.buffers()]
    rounded = [part for module in modules for part in module.modules() if isinstance(part, QuantizedLinear)]
    count = sum(tensor.numel() for tensor in parameters)
    count += sum(part.in_features * part.out_features for part in rounded)
    return count, sum(tensor.numel() * tensor.element_size() for tensor in (*parameters, *buffers))


@contextmanager
def torch_errors(what: str, *, device: str) -> Iterator[None]:
    """Turn torch's out-of-memory errors into the code OOM."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
        if not known:
            raise
        message = f'{what}: not enough memory on {device}; use dtype float16, a smaller model or another device'
        raise AffordanceError(Code.OOM, message) from error


def check_attention(name: str) -> str:
    """Return the name of an attention kernel of transformers that this machine has. Raises BAD_INPUT."""
    if name == 'flash_attention_2' and not (torch.cuda.is_available() and is_flash_attn_2_available()):
        raise AffordanceError(
            Code.BAD_INPUT, "attention 'flash_attention_2' needs a CUDA GPU and the package flash-attn; use 'sdpa'"
        )
    return name
