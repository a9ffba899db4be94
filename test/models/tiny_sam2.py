# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds tiny SAM 2 checkpoints with random weights, as a file of the sam2 package or as a Hugging Face folder."""

import json
import re
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from transformers import Sam2Config, Sam2Model

_HIERA = {
    'hidden_size': 8, 'image_size': [128, 128], 'blocks_per_stage': [1, 1, 2, 1],
    'embed_dim_per_stage': [8, 16, 32, 64],
    'num_attention_heads': 1, 'num_attention_heads_per_stage': [1, 2, 4, 8], 'window_size_per_stage': [4, 4, 4, 4],
    'global_attention_blocks': [3],
}  # fmt: skip
_VISION = {
    'backbone_config': {'model_type': 'sam2_hiera_det_model', **_HIERA}, 'backbone_channel_list': [64, 32, 16, 8],
    'backbone_feature_sizes': [[32, 32], [16, 16], [8, 8]], 'fpn_hidden_size': 32,
}  # fmt: skip
_PROMPTS = {'hidden_size': 32, 'image_size': 128}
_DECODER = {'hidden_size': 32, 'mlp_dim': 64, 'iou_head_hidden_dim': 32}
_YAML = {
    'model': {
        'image_encoder': {'trunk': {
            'embed_dim': 8, 'num_heads': 1, 'stages': [1, 1, 2, 1], 'global_att_blocks': [3],
            'window_pos_embed_bkg_spatial_size': [7, 7], 'window_spec': [4, 4, 4, 4],
        }},
        'image_size': 128,
    }
}  # fmt: skip
_HEADS = r'(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\.'
_TO_PACKAGE = (
    (r'layer_norm(\d|_final_attn)\.(?=weight|bias)', r'norm\1.'), ('o_proj', 'out_proj'),
    (_HEADS + r'layers\.0', r'\1.layers.1'), (_HEADS + 'proj_in', r'\1.layers.0'),
    (_HEADS + 'proj_out', r'\1.layers.2'),
    (r'mlp\.proj_in', 'mlp.layers.0'), (r'mlp\.proj_out', 'mlp.layers.1'),
    ('mask_embed.conv1', 'mask_downscaling.0'), (r'mask_embed\.(layer_)?norm1', 'mask_downscaling.1'),
    ('mask_embed.conv2', 'mask_downscaling.3'), (r'mask_embed\.(layer_)?norm2', 'mask_downscaling.4'),
    ('mask_embed.conv3', 'mask_downscaling.6'), ('upscale_conv1', 'output_upscaling.0'),
    ('upscale_layer_norm', 'output_upscaling.1'), ('upscale_conv2', 'output_upscaling.3'),
    (r'shared_embedding\.positional_embedding', 'pe_layer.positional_encoding_gaussian_matrix'),
    (r'^prompt_encoder\.', 'sam_prompt_encoder.'), (r'^mask_decoder\.', 'sam_mask_decoder.'),
    (r'patch_embed\.projection', 'patch_embed.proj'), (r'^vision_encoder\.backbone', 'image_encoder.trunk'),
    (r'^vision_encoder\.neck\.convs\.(\d)', r'image_encoder.neck.convs.\1.conv'),
    ('^no_memory_embedding$', 'no_mem_embed'),
)  # fmt: skip


def network() -> Sam2Model:
    """Return the network with random weights, scores spread so that the chosen candidate varies."""
    torch.manual_seed(7)
    model = Sam2Model(Sam2Config(vision_config=_VISION, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER))
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            value.copy_(torch.randn_like(value) * (1.0 if 'positional' in name else 0.15))
        shared = model.prompt_encoder.shared_embedding.positional_embedding
        model.shared_image_embedding.positional_embedding.copy_(shared)
    return model.eval()


def build_folder(folder: Path, kind: str = 'sam2') -> Path:
    """Write config.json and model.safetensors as transformers does."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {'vision_config': _VISION, 'prompt_encoder_config': _PROMPTS, 'mask_decoder_config': _DECODER}
    (folder / 'config.json').write_text(json.dumps({'model_type': kind, **parts}))
    tensors = {name: tensor.contiguous().clone() for name, tensor in network().state_dict().items()}
    save_file(tensors, folder / 'model.safetensors')
    return folder


def package_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of a `Sam2Model` under the keys of the sam2 package, with some of the video memory."""
    found = {'maskmem_tpos_enc': torch.zeros(7, 1, 1, 16), 'memory_encoder.out_proj.weight': torch.zeros(4, 4)}
    for name, tensor in model.state_dict().items():
        if name.startswith('shared_image_embedding'):
            continue
        if name.endswith('point_embed.weight') and 'not_a' not in name:
            for index, row in enumerate(tensor):
                found[f'sam_prompt_encoder.point_embeddings.{index}.weight'] = row[None].clone()
            continue
        for pattern, new in _TO_PACKAGE:
            name = re.sub(pattern, new, name)
        found[name] = tensor.clone()
    return found


def build_package(folder: Path, *, with_yaml: bool = True) -> Path:
    """Write tiny.pt and tiny.yaml; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({'model': package_tensors(network())}, folder / 'tiny.pt')
    if with_yaml:
        (folder / 'tiny.yaml').write_text('# @package _global_\n' + yaml.safe_dump(_YAML))
    return folder / 'tiny.pt'
