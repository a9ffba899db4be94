# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linear layers with int8 or int4 weights, made while a checkpoint is read: less memory, the same activations.

int8: one scale per row, symmetric. int4: groups of 64 columns with scale (float16) and offset (a byte), two values per
byte: 4.4 bits per weight. Weights are raised to the number type of the input for each product: less memory, not more
speed. torchao was tried first: its int4 needs CUDA and bfloat16 (0.18), the official programs run in float16, and
nothing of it could be tested without a GPU.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from affordance_ros.errors import AffordanceError, Code

GROUP = 64
BITS = {'int8': 8, 'int4': 4}
_UNIT = 128  # codes are divided by it before the product, exactly: products of whole codes overflow float16


class QuantizedLinear(nn.Module):
    """A linear layer whose weight is stored in `bits` bits; empty until `fill`."""

    codes: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def __init__(self, linear: nn.Linear, bits: int) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bits = linear.in_features, linear.out_features, bits
        self.bias = linear.bias
        groups = 1 if bits == 8 else -(-linear.in_features // GROUP)
        columns = linear.in_features if bits == 8 else groups * GROUP // 2
        kind, device = torch.int8 if bits == 8 else torch.uint8, linear.weight.device
        self.register_buffer('codes', torch.empty(linear.out_features, columns, dtype=kind, device=device))
        scale_kind = torch.float32 if bits == 8 else torch.float16
        self.register_buffer('scale', torch.empty(linear.out_features, groups, dtype=scale_kind, device=device))
        zeros = groups if bits == 4 else 0
        self.register_buffer('zero', torch.empty(linear.out_features, zeros, dtype=torch.uint8, device=device))

    @torch.no_grad()
    def fill(self, weight: torch.Tensor, device: torch.device) -> None:
        """Round a weight (out, in) and keep the result on `device`."""
        rows = weight.to(device).float()
        parts = _round_rows(rows) if self.bits == 8 else _round_groups(rows)
        self.codes, self.scale, self.zero = (part.to(device) for part in parts)

    def weight_as(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the weight (out, in) as the stored values stand for it."""
        if self.bits == 8:
            return (self.codes.to(torch.float32) * self.scale).to(dtype)
        low, high = self.codes & 15, self.codes >> 4
        values = torch.stack((low, high), dim=-1).reshape(self.out_features, -1, GROUP).to(dtype)
        full = (values - self.zero.to(dtype)[..., None]) * self.scale.to(dtype)[..., None]
        return full.reshape(self.out_features, -1)[:, : self.in_features]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return inputs (..., in) times the weight: (..., out)."""
        if self.bits == 4:
            return functional.linear(inputs, self.weight_as(inputs.dtype), self.bias)
        units = functional.linear(inputs, self.codes.to(inputs.dtype).div_(_UNIT))
        product = (units * (self.scale[:, 0] * _UNIT)).to(inputs.dtype)
        return product if self.bias is None else product + self.bias


def _round_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return (rows / scale).round().clamp(-127, 127).to(torch.int8), scale, rows.new_empty(len(rows), 0).byte()


def _round_groups(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    padded = functional.pad(rows, (0, -rows.shape[1] % GROUP)).reshape(len(rows), -1, GROUP)
    low, high = padded.amin(-1).clamp_max(0), padded.amax(-1).clamp_min(0)
    scale = ((high - low) / 15).clamp(1e-7, 65504).half()  # rounded before the codes are chosen, as it is stored
    step = scale.float()
    zero = (-low / step).round().clamp(0, 15)
    values = (padded / step[..., None] + zero[..., None]).round().clamp(0, 15).to(torch.uint8)
    pairs = values.reshape(len(rows), -1, 2)
    return pairs[..., 0] | (pairs[..., 1] << 4), scale, zero.byte()


def quantize_linears(
    module: nn.Module, quantization: str | None, *, keep: Callable[[str], bool] = lambda name: 'lm_head' in name
) -> int:
    """Replace the linear layers of `module` and return how many; those that `keep` names stay as they are.

    A layer on the meta device is replaced by an empty one, which the loader fills tensor by tensor; a loaded one is
    rounded in place, so that one full layer at a time is held beside the result. None: nothing is replaced.
    """
    if not quantization:
        return 0
    if quantization not in BITS:
        raise AffordanceError(Code.BAD_INPUT, f'quantization {quantization!r} is unknown; known: {", ".join(BITS)}')
    chosen = [name for name, part in module.named_modules() if isinstance(part, nn.Linear) and not keep(name)]
    for name in chosen:
        owner, _, leaf = name.rpartition('.')
        linear = module.get_submodule(name)
        if not isinstance(linear, nn.Linear):
            continue
        quantized = QuantizedLinear(linear, BITS[quantization])
        if not linear.weight.is_meta:
            quantized.fill(linear.weight, linear.weight.device)
        setattr(module.get_submodule(owner), leaf, quantized)
    return len(chosen)
