# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Official checkpoints written in other layouts: LoRA merged into its base, and what transformers and vLLM load."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from affordance_ros.errors import AffordanceError, Code


@dataclass(frozen=True)
class ConvertRequest:
    """checkpoint: folder of the release. out: new folder. clip, base, siglip: options of the model. dtype: to write."""

    checkpoint: Path
    out: Path
    clip: Path | None = None
    base: Path | None = None
    dtype: str = 'float16'
    siglip: Path | None = None

    def prepare(self) -> None:
        """Make the folder `out`. Raises BAD_INPUT when it holds something already."""
        if self.out.exists() and any(self.out.iterdir()):
            raise AffordanceError(Code.BAD_INPUT, f'{self.out} is not empty; name a new folder')
        self.out.mkdir(parents=True, exist_ok=True)


Converter = Callable[[ConvertRequest], None]
CONVERTERS = {
    ('robopoint', 'hf-llava'): 'affordance_ros.models.conversion.hf_llava:convert',
    ('robointer', 'hf-llava-onevision'): 'affordance_ros.models.conversion.hf_llava_onevision:convert',
}


def converter(model: str, layout: str) -> Converter:
    """Return the function that writes a checkpoint of `model` as `layout`. Raises BAD_INPUT with what there is."""
    if (model, layout) not in CONVERTERS:
        known = ', '.join(f'{name} --to {to}' for name, to in CONVERTERS)
        raise AffordanceError(Code.BAD_INPUT, f'{model} cannot be written as {layout}; known: {known}')
    module, name = CONVERTERS[model, layout].split(':')
    return cast(Converter, getattr(importlib.import_module(module), name))
