# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training state of GLOVER loads like its merged checkpoint; half an adapter is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_glover import Tiny, build

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model
from affordance_ros.models.glover_unmerged import merge, plain_name
from affordance_ros.models.parts.checkpoint import read_tensors, weight_files
from affordance_ros.results import Frame, Query

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'glover'
TARGETS = [f'model.layers.{layer}.self_attn.{name}_proj' for layer in (0, 1) for name in 'qv']


def unmerged(folder, *, base_layer=False, drop=''):
    """Rewrite a folder as a training state with random adapters, and return the merged weights."""
    found = load_file(folder / 'model.safetensors')
    (folder / 'model.safetensors').unlink()
    state = {f'base_model.model.{key}': value for key, value in found.items()}
    state['base_model.model.model.vision_tower.vision_tower.vision_model.post_layernorm.bias'] = torch.zeros(8)
    for name in TARGETS:
        weight = found[f'{name}.weight']
        a, b = torch.randn(4, weight.shape[1]), 0.05 * torch.randn(weight.shape[0], 4)
        prefix = f'base_model.model.{name}'
        if base_layer:
            state[f'{prefix}.base_layer.weight'] = state.pop(f'{prefix}.weight')
        state |= {f'{prefix}.lora_A.default.weight': a, f'{prefix}.lora_B.default.weight': b}
        found[f'{name}.weight'] = weight + 4.0 * b @ a  # alpha 16, rank 4
    torch.save({key: value for key, value in state.items() if key != drop}, folder / 'pytorch_model.bin')
    return found


@pytest.mark.parametrize('variant', ['glover', 'glover_plus'])
def test_merging_equals_the_official_script(variant):
    with np.load(PARITY / variant / 'expected' / 'lora_merge.npz') as recorded:
        name, base = str(recorded['key']), torch.from_numpy(recorded['base'])
        pair = {half: torch.from_numpy(recorded[half]) for half in 'AB'}
        alpha, names = float(recorded['alpha']), [str(key) for key in recorded['peft_keys']]
    checkpoint = dict(read_tensors(weight_files(PARITY / variant / 'checkpoint')))
    assert torch.equal(merge(name, base, pair, alpha), checkpoint[f'{name}.weight'])
    plain = [plain_name(key) for key in names if 'lora_' not in key and 'vision_tower' not in key]
    assert set(plain) <= set(checkpoint)


@pytest.mark.parametrize('base_layer', [False, True])
def test_a_training_state_loads_like_the_merged_checkpoint(tmp_path, base_layer):
    folder = build(tmp_path, Tiny())
    merged = unmerged(folder, base_layer=base_layer)
    model = load_model('glover_plus', folder)
    for name in TARGETS:
        loaded = model.network.llm.get_parameter(f'{name}.weight')
        assert torch.allclose(loaded, merged[f'{name}.weight'], atol=1e-6)
    half = load_model('glover_plus', folder, lora_alpha=8.0)
    assert not torch.equal(half.network.llm.get_parameter(f'{TARGETS[0]}.weight'), merged[f'{TARGETS[0]}.weight'])
    frame = Frame(np.full((20, 30, 3), 90, np.uint8))
    assert model.predict(frame, Query(object='mug', action='lift')).heatmap.values.max() > 0


@pytest.mark.parametrize(
    ('drop', 'words'),
    [
        (f'base_model.model.{TARGETS[1]}.lora_B.default.weight', 'has only lora_A'),
        (f'base_model.model.{TARGETS[1]}.weight', f'no weight for the adapters of {TARGETS[1]}'),
    ],
)
def test_half_an_adapter_is_refused(tmp_path, drop, words):
    folder = build(tmp_path, Tiny())
    unmerged(folder, drop=drop)
    with pytest.raises(AffordanceError, match=words) as caught:
        load_model('glover_plus', folder)
    assert caught.value.code == Code.BAD_CHECKPOINT


def test_an_adapter_of_another_size_is_refused():
    pair = {'A': torch.zeros(2, 5), 'B': torch.zeros(3, 2)}
    with pytest.raises(AffordanceError, match='do not fit'):
        merge('q', torch.zeros(3, 4), pair, 16.0)
