# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sizes of the Qwen-VL releases without their weights: configurations are read, every key has its place."""

import json

import pytest

torch = pytest.importorskip('torch')
from transformers import (  # noqa: E402
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeForConditionalGeneration,
)

from affordance_ros.models.parts.qwen_vl_image import Preparation  # noqa: E402
from affordance_ros.models.parts.qwen_vl_loading import QwenVLSource, empty_halves, read_config, route  # noqa: E402

_IDS = {
    'bos_token_id': 151643, 'eos_token_id': 151645, 'image_token_id': 151655, 'video_token_id': 151656,
    'vision_start_token_id': 151652, 'vision_end_token_id': 151653,
}  # fmt: skip
_ROPE = {'type': 'mrope', 'mrope_section': [16, 24, 24]}
_TEXT_7B = {
    'hidden_size': 3584, 'num_hidden_layers': 28, 'num_attention_heads': 28, 'num_key_value_heads': 4,
    'intermediate_size': 18944, 'vocab_size': 152064, 'rope_theta': 1e6, 'rms_norm_eps': 1e-6,
    'max_position_embeddings': 128000, 'rope_scaling': _ROPE, 'sliding_window': 32768, 'use_sliding_window': False,
}  # fmt: skip
_TEXT_3B = _TEXT_7B | {
    'hidden_size': 2048, 'num_hidden_layers': 36, 'num_attention_heads': 16, 'num_key_value_heads': 2,
    'intermediate_size': 11008, 'vocab_size': 151936,
}  # fmt: skip
# What the training of RoboInter's 3B left behind.
_LEFT = {
    'adaptive_gate': False, 'num_experts': 4, 'num_experts_per_tok': 2, 'moe_intermediate_size': 256,
    'decoder_sparse_step': 1, 'mlp_only_layers': [], 'norm_topk_prob': 0.01, 'router_aux_loss_coef': 0.001,
}  # fmt: skip
_QWEN3_VISION = {
    'model_type': 'qwen3_vl', 'depth': 24, 'hidden_size': 1024, 'num_heads': 16, 'intermediate_size': 4096,
    'out_hidden_size': 2560, 'patch_size': 16, 'spatial_merge_size': 2, 'temporal_patch_size': 2,
    'num_position_embeddings': 2304, 'deepstack_visual_indexes': [5, 11, 17], 'hidden_act': 'gelu_pytorch_tanh',
}  # fmt: skip
_QWEN3_TEXT = {
    'model_type': 'qwen3_vl_text', 'hidden_size': 2560, 'num_hidden_layers': 36, 'num_attention_heads': 32,
    'num_key_value_heads': 8, 'head_dim': 128, 'intermediate_size': 9728, 'vocab_size': 151936, 'rope_theta': 5e6,
    'rope_scaling': {'rope_type': 'default', 'mrope_interleaved': True, 'mrope_section': [24, 20, 20]},
    'rms_norm_eps': 1e-6, 'max_position_embeddings': 262144, 'tie_word_embeddings': True,
}  # fmt: skip
_EXPERTS = {
    'model_type': 'qwen3_vl_moe_text', 'hidden_size': 2048, 'num_hidden_layers': 48, 'num_key_value_heads': 4,
    'intermediate_size': 6144, 'moe_intermediate_size': 768, 'num_experts': 128, 'num_experts_per_tok': 8,
    'decoder_sparse_step': 1, 'mlp_only_layers': [], 'norm_topk_prob': True, 'tie_word_embeddings': False,
}  # fmt: skip
_LARGE_VISION = {
    'model_type': 'qwen3_vl_moe', 'depth': 27, 'hidden_size': 1152, 'intermediate_size': 4304, 'out_hidden_size': 2048,
    'deepstack_visual_indexes': [8, 16, 24],
}  # fmt: skip
RELEASES = {
    # Affordance-R1: flat, its tower given by one number. 729 tensors and 8 292 166 656 parameters.
    'affordance-r1': (
        {'model_type': 'qwen2_5_vl', 'tie_word_embeddings': False, 'vision_config': {'hidden_size': 1280}}
        | _TEXT_7B | _IDS,
        729, 8_292_166_656,
    ),
    # RoboInter's 3B: nested with a copy at the top, tied, and leftovers.
    'robointer-3b': (
        {
            'model_type': 'qwen2_5_vl', 'tie_word_embeddings': True, 'text_config': _TEXT_3B | {'image_token_id': None},
            'vision_config': {'hidden_size': 1280, 'out_hidden_size': 2048},
        } | _TEXT_3B | _LEFT | _IDS,
        824, 3_754_622_976,
    ),
    'qwen3-vl-4b': (
        {
            'model_type': 'qwen3_vl', 'tie_word_embeddings': True, 'text_config': _QWEN3_TEXT,
            'vision_config': _QWEN3_VISION,
        } | _IDS,
        713, 4_437_815_808,
    ),
}  # fmt: skip
RELEASES['qwen3-vl-30b-a3b'] = (
    RELEASES['qwen3-vl-4b'][0]
    | {'model_type': 'qwen3_vl_moe', 'tie_word_embeddings': False}
    | {'text_config': _QWEN3_TEXT | _EXPERTS, 'vision_config': _QWEN3_VISION | _LARGE_VISION},
    None,
    None,
)
CLASSES = {
    'qwen2_5_vl': Qwen2_5_VLForConditionalGeneration,
    'qwen3_vl': Qwen3VLForConditionalGeneration,
    'qwen3_vl_moe': Qwen3VLMoeForConditionalGeneration,
}


@pytest.mark.parametrize('name', RELEASES)
@pytest.mark.parametrize('old_names', [True, False])
def test_every_key_of_a_release_has_its_place(tmp_path, name, old_names):
    stored, count, parameters = RELEASES[name]
    (tmp_path / 'config.json').write_text(json.dumps(stored))
    family, config = read_config(tmp_path)
    halves = dict(zip(('visual', 'text'), empty_halves(family, config, QwenVLSource(tmp_path)), strict=True))
    ours = {
        (half, key): tuple(value.shape) for half, module in halves.items() for key, value in module.named_parameters()
    }
    with torch.device('meta'):
        released = CLASSES[family](config).state_dict()
    tied = stored['tie_word_embeddings']
    found = {}
    for key, tensor in released.items():
        if tied and key == 'lm_head.weight':
            continue
        if old_names:
            key = key.replace('model.visual.', 'visual.').replace('model.language_model.', 'model.')
        found[route(key)] = tuple(tensor.shape)
    assert count is None or len(found) == count
    assert parameters is None or sum(torch.Size(shape).numel() for shape in found.values()) == parameters
    if tied:
        found['text', 'lm_head.weight'] = ours['text', 'lm_head.weight']
    assert found == ours


def test_the_image_of_a_release_costs_the_published_tokens(tmp_path):
    """840 x 840 is 900 tokens of Qwen2.5-VL; patches of Qwen3-VL are 16 wide."""
    for name, size, tokens in (('affordance-r1', (840, 840), 900), ('qwen3-vl-4b', (640, 480), 300)):
        (tmp_path / 'config.json').write_text(json.dumps(RELEASES[name][0]))
        _, config = read_config(tmp_path)
        preparation = Preparation.from_folder(tmp_path, config.vision_config.to_dict())
        width, height = preparation.resized(*size)
        assert (width, height) == size
        assert width * height // preparation.factor**2 == tokens
