# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Filling the parts of GLOVER from a release or a training state: every key lands or is named.

Three kinds of keys are left out on purpose: `inv_freq` (the network computes it), a copy of the CLIP tower (the
official script drops it too) and the image encoder of GLOVER++'s second SAM (1.27 GB that nothing uses).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.glover_unmerged import is_half, plain_name
from affordance_ros.models.parts.checkpoint import has_weights, read_json, read_tensors, weight_files
from affordance_ros.models.parts.sam import SamGeometry

PREFIXES = {
    'projector': 'model.mm_projector.',
    'text_fc': 'model.text_hidden_fcs.0.',
    'sam': 'model.visual_model.',
    'sam1': 'model.visual_model1.',
}
Shapes = Mapping[str, tuple[int, ...]]
_TOWER = 'model.vision_tower.'
_SECOND_ENCODER = PREFIXES['sam1'] + 'image_encoder.'
_CLIP_NAME = 'openai/clip-vit-large-patch14 (the one for 224 pixels)'


@dataclass(frozen=True)
class GloverShapes:
    """What the shapes of a checkpoint say. second: sizes of the second SAM head, None for plain GLOVER.

    projector: widths of its linear layers, input first; empty for the identity.
    """

    sam: SamGeometry
    second: SamGeometry | None
    projector: tuple[int, ...]


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a checkpoint without reading their values, by its name once merged."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        if file.suffix == '.safetensors':
            with safe_open(str(file), framework='pt') as shard:
                shapes |= {key: tuple(shard.get_slice(key).get_shape()) for key in shard.keys()}  # noqa: SIM118
        else:
            shapes |= {key: tuple(tensor.shape) for key, tensor in read_tensors([file])}
    return {plain_name(key): shape for key, shape in shapes.items() if not is_half(key)}


def understand(shapes: Shapes, folder: Path, *, plus: bool) -> GloverShapes:
    """Read the sizes; raise BAD_CHECKPOINT with what the folder looks like when it is another variant or model."""
    found = {name: _below(shapes, prefix) for name, prefix in PREFIXES.items()}
    if not found['sam'] or not found['text_fc']:
        missing = next(PREFIXES[name] for name in ('sam', 'text_fc') if not found[name])
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder} is no GLOVER checkpoint: it has no {missing}*')
    if plus != bool(found['sam1']):
        other = 'glover' if plus else 'glover_plus'
        has = 'holds no' if plus else 'also holds a'
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{folder} {has} second SAM (model.visual_model1.*): load it as {other}'
        )
    second = {key: shape for key, shape in found['sam1'].items() if not key.startswith('image_encoder.')}
    return GloverShapes(
        SamGeometry.from_shapes(found['sam'], source=f'{folder} (model.visual_model.*)'),
        SamGeometry.from_shapes(second, source=f'{folder} (model.visual_model1.*)') if plus else None,
        _projector_widths(found['projector']),
    )


def _below(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {key[len(prefix) :]: shape for key, shape in shapes.items() if key.startswith(prefix)}


def _projector_widths(shapes: Shapes) -> tuple[int, ...]:
    """Return the widths by the keys that are there: config.json is known to be wrong about it in sibling releases."""
    if not shapes:
        return ()
    indices = sorted(int(found[1]) for key in shapes if (found := re.fullmatch(r'(\d+)\.weight', key)))
    weights = [shapes[f'{index}.weight'] for index in indices] or [shapes.get('weight', (0, 0))]
    return (weights[0][-1], *(weight[0] for weight in weights))


def projector_from(widths: tuple[int, ...], *, nested: bool) -> nn.Module:
    """Return Linear (nested False), or Linear, GELU, Linear, ... of the given widths; the identity without any."""
    if not widths:
        return nn.Identity()
    layers: list[nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.GELU(), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:]) if nested else layers[1]


def clip_folder(clip: Path | None, checkpoint: Path) -> Path:
    """Return the folder of the CLIP release: `clip` or `<checkpoint>/clip`; the path in config.json is the authors'."""
    folder = clip or checkpoint / 'clip'
    if not (folder / 'config.json').is_file() or not has_weights(folder):
        raise AffordanceError(
            Code.MISSING_WEIGHTS,
            f'{folder} holds no CLIP (config.json and weights), and GLOVER checkpoints carry none; '
            f'give clip= the folder of {_CLIP_NAME}',
        )
    return folder


def route(tensors: Iterable[tuple[str, torch.Tensor]], loaders: Mapping[str, Any]) -> None:
    """Hand every tensor to the loader of its part."""
    for key, tensor in tensors:
        if key.endswith('.rotary_emb.inv_freq') or key.startswith(_TOWER):
            continue
        if key.startswith(_SECOND_ENCODER) and loaders['sam'].has(key.removeprefix(PREFIXES['sam1'])):
            continue
        for name, prefix in PREFIXES.items():
            if key.startswith(prefix) and name in loaders:
                loaders[name].put(key, key[len(prefix) :], tensor)
                break
        else:
            loaders['llm'].put(key, key, tensor)


def check_config(config: Mapping[str, Any], folder: Path) -> None:
    """Raise BAD_CHECKPOINT for what no release has and this code does not do."""
    if config.get('mm_vision_select_feature', 'patch') != 'patch':
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}/config.json: mm_vision_select_feature must be patch')


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json, checked. It is read as JSON: its model_type `llava` means another model to transformers."""
    config = read_json(folder / 'config.json')
    check_config(config, folder)
    return config
