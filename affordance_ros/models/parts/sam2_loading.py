# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading SAM 2 and 2.1 checkpoints: a `.pt` of the `sam2` package (with its yaml) or a Hugging Face folder.

Only the image part is read; the memory of the video tracker is named and left out. Every other key must land.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub.errors import StrictDataclassError
from transformers import Sam2Config, Sam2Model

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint import StrictLoader, has_weights, read_json, read_tensors, weight_files

HOW_TO_GET = (
    'download sam2_hiera_large.pt (or .1, or another size) or the whole folder facebook/sam2-hiera-large '
    'from Hugging Face and give its path (docs/models/sam2.md)'
)
_VIDEO_PACKAGE = re.compile(r'(memory_|maskmem|no_obj|obj_ptr|mask_downsample|no_mem_pos)')
_VIDEO_FOLDER = re.compile(
    r'(memory_|mask_downsample|object_pointer_proj|temporal_positional_encoding_projection_layer|'
    r'no_memory_positional_encoding|no_object_pointer|occlusion_spatial_embedding_parameter)'
)
_SHARED = ('shared_image_embedding.positional_embedding', 'prompt_encoder.shared_embedding.positional_embedding')
_POINT = re.compile(r'sam_prompt_encoder\.point_embeddings\.(\d)\.weight')
_THREE_LAYERS = r'(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\.layers\.'
_RENAMES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r'^no_mem_embed$', 'no_memory_embedding'),
        (r'^image_encoder\.trunk\.', 'vision_encoder.backbone.'),
        (r'^image_encoder\.neck\.convs\.(\d+)\.conv\.', r'vision_encoder.neck.convs.\1.'),
        (r'patch_embed\.proj\.', 'patch_embed.projection.'),
        (r'^sam_prompt_encoder\.', 'prompt_encoder.'),
        (r'^sam_mask_decoder\.', 'mask_decoder.'),
        (r'pe_layer\.positional_encoding_gaussian_matrix$', 'shared_embedding.positional_embedding'),
        *((rf'mask_downscaling\.{index}\.', f'mask_embed.{name}.') for index, name in (
            (0, 'conv1'), (1, 'layer_norm1'), (3, 'conv2'), (4, 'layer_norm2'), (6, 'conv3'))),
        *((rf'output_upscaling\.{index}\.', f'upscale_{name}.') for index, name in (
            (0, 'conv1'), (1, 'layer_norm'), (3, 'conv2'))),
        (_THREE_LAYERS + r'0\.', r'\1.proj_in.'),
        (_THREE_LAYERS + r'1\.', r'\1.layers.0.'),
        (_THREE_LAYERS + r'2\.', r'\1.proj_out.'),
        (r'mlp\.layers\.0\.', 'mlp.proj_in.'),
        (r'mlp\.layers\.1\.', 'mlp.proj_out.'),
        (r'\.out_proj\.', '.o_proj.'),
        (r'\.norm(\d|_final_attn)\.', r'.layer_norm\1.'),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Trunk:
    """What the weights of a Hiera trunk don't tell. heads: of the first stage, doubled by every further one."""

    heads: int
    stages: tuple[int, ...]
    global_blocks: tuple[int, ...]
    windows: tuple[int, ...] = (8, 4, 14, 7)


# Of configs/sam2 and configs/sam2.1, by (width, number of blocks): tiny, small, base+, large.
_TRUNKS = {
    (96, 12): Trunk(1, (1, 2, 7, 2), (5, 7, 9)),
    (96, 16): Trunk(1, (1, 2, 11, 2), (7, 10, 13)),
    (112, 24): Trunk(2, (2, 3, 16, 3), (12, 16, 20)),
    (144, 48): Trunk(2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8)),
}


def load_sam2_network(path: Path, device: torch.device) -> Any:
    """Return the `Sam2Model` in a `.pt` file or a folder, in float32 and ready to answer.

    Raises:
        AffordanceError: MISSING_WEIGHTS or BAD_CHECKPOINT, with what to get or what does not fit.
    """
    file = _package_file(path)
    if file is not None:
        tensors = _read_package(file)
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        config, named = package_config(file, shapes), _package_names(tensors)
    else:
        config, named = _folder_config(path), _folder_names(path)
    with torch.device('meta'):
        network = Sam2Model(config)
    for name in _SHARED:  # buffers there; as parameters they are checked like all the rest
        owner: Any = network.get_submodule(name.rpartition('.')[0])
        table = owner.positional_embedding
        del owner.positional_embedding
        owner.positional_embedding = torch.nn.Parameter(table, requires_grad=False)
    loader = StrictLoader(network, device, torch.float32)
    for key, name, tensor in named:
        loader.put(key, name, tensor)
    loader.finish(str(file or path))
    return network.eval()


def _package_file(path: Path) -> Path | None:
    """Return the `.pt` file that is meant, or None when `path` is a Hugging Face folder."""
    if path.is_file():
        if path.suffix not in ('.pt', '.pth'):
            raise AffordanceError(Code.BAD_CHECKPOINT, f'{path} is no SAM 2 checkpoint; {HOW_TO_GET}')
        return path
    if not path.is_dir():
        raise AffordanceError(Code.MISSING_WEIGHTS, f'{path} is not there; {HOW_TO_GET}')
    if (path / 'config.json').is_file() and has_weights(path):
        return None
    files = sorted([*path.glob('*.pt'), *path.glob('*.pth')])
    if not files:
        raise AffordanceError(Code.MISSING_WEIGHTS, f'{path} holds no SAM 2 weights; {HOW_TO_GET}')
    if len(files) > 1:
        names = ', '.join(file.name for file in files)
        raise AffordanceError(Code.BAD_INPUT, f'{path} holds several checkpoints ({names}); name one of them')
    return files[0]


def _read_package(file: Path) -> Mapping[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{file} holds more than tensors and is not trusted') from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{file} cannot be read: {error}') from error
    tensors = content.get('model') if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or 'image_encoder.trunk.pos_embed' not in tensors:
        other = isinstance(content, dict) and 'image_encoder.pos_embed' in content
        hint = 'it is of SAM 1: use sam= and refine="sam"' if other else HOW_TO_GET
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{file} is no checkpoint of the sam2 package; {hint}')
    return tensors


def _package_names(tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield (key, name in `Sam2Model`, tensor)."""
    points: dict[int, torch.Tensor] = {}
    for key, tensor in tensors.items():
        if _VIDEO_PACKAGE.match(key):
            continue
        point = _POINT.fullmatch(key)
        if point is not None:
            points[int(point[1])] = tensor
            continue
        name = key
        for pattern, replacement in _RENAMES:
            name = pattern.sub(replacement, name)
        yield key, name, tensor
        if name == _SHARED[1]:
            yield key, _SHARED[0], tensor
    if points:
        rows = torch.cat([points[index] for index in sorted(points)])
        yield 'sam_prompt_encoder.point_embeddings', 'prompt_encoder.point_embed.weight', rows


def package_config(file: Path, widths: Mapping[str, tuple[int, ...]]) -> Any:
    """Return the `Sam2Config` for the shapes by key of a `.pt`: windows and heads from its yaml or the official sizes.

    Raises:
        AffordanceError: BAD_CHECKPOINT for a size that is not official and has no yaml, or one that does not fit.
    """
    trunk, image_size = _trunk(file, widths)
    width = widths['image_encoder.trunk.pos_embed'][1]
    dims = [width * 2**stage for stage in range(len(trunk.stages))]
    try:
        hidden = widths['image_encoder.neck.convs.0.conv.weight'][0]
        decoder = {
            'hidden_size': hidden,
            'mlp_dim': widths['sam_mask_decoder.transformer.layers.0.mlp.layers.0.weight'][0],
            'iou_head_hidden_dim': widths['sam_mask_decoder.iou_prediction_head.layers.0.weight'][0],
        }
    except KeyError as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{file} does not fit the model; missing: {error}') from error
    backbone = {
        'model_type': 'sam2_hiera_det_model', 'hidden_size': width, 'image_size': [image_size, image_size],
        'num_attention_heads': trunk.heads, 'blocks_per_stage': list(trunk.stages), 'embed_dim_per_stage': dims,
        'num_attention_heads_per_stage': [trunk.heads * 2**stage for stage in range(len(dims))],
        'window_size_per_stage': list(trunk.windows), 'global_attention_blocks': list(trunk.global_blocks),
        'window_positional_embedding_background_size': list(widths['image_encoder.trunk.pos_embed'][2:]),
    }  # fmt: skip
    vision = {
        'backbone_config': backbone, 'backbone_channel_list': dims[::-1], 'fpn_hidden_size': hidden,
        'backbone_feature_sizes': [[image_size // step] * 2 for step in (4, 8, 16)],
    }  # fmt: skip
    prompts = {'hidden_size': hidden, 'image_size': image_size}
    return Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


def _trunk(file: Path, widths: Mapping[str, tuple[int, ...]]) -> tuple[Trunk, int]:
    """Return (trunk, side of the input image)."""
    width = widths['image_encoder.trunk.pos_embed'][1]
    blocks = len({key.split('.')[3] for key in widths if key.startswith('image_encoder.trunk.blocks.')})
    settings = [found for found in (file.with_suffix('.yaml'), *sorted(file.parent.glob('*.yaml'))) if found.is_file()]
    official = _TRUNKS.get((width, blocks))
    if official is not None and settings[:1] != [file.with_suffix('.yaml')]:
        return official, 1024
    if not settings:
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'{file} has width {width} and {blocks} blocks: none of the official sizes; put its .yaml beside it',
        )
    trunk, image_size = _read_yaml(settings[0])
    if sum(trunk.stages) != blocks:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{settings[0]} says {sum(trunk.stages)} blocks, {file.name} has {blocks}'
        )
    return trunk, image_size


def _read_yaml(path: Path) -> tuple[Trunk, int]:
    try:
        model = yaml.safe_load(path.read_text(encoding='utf-8'))['model']
        trunk = model['image_encoder']['trunk']
        read = Trunk(  # the defaults are those of the package's Hiera
            int(trunk.get('num_heads', 1)),
            tuple(map(int, trunk.get('stages', (2, 3, 16, 3)))),
            tuple(map(int, trunk.get('global_att_blocks', (12, 16, 20)))),
            tuple(map(int, trunk.get('window_spec', (8, 4, 14, 7)))),
        )
        return read, int(model['image_size'])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{path} is no configuration of the sam2 package: {error}'
        ) from error


def _folder_config(folder: Path) -> Any:
    content = read_json(folder / 'config.json')
    kind = content.get('model_type')
    if kind not in ('sam2', 'sam2_video'):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder} holds a model of type {kind!r}, not sam2; {HOW_TO_GET}')
    parts: dict[str, Any] = {
        name: {key: value for key, value in content.get(name, {}).items() if key != 'model_type'}
        for name in ('vision_config', 'prompt_encoder_config', 'mask_decoder_config')
    }
    try:
        return Sam2Config(**parts)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}/config.json is not of SAM 2: {error}') from error


def _folder_names(folder: Path) -> Iterator[tuple[str, str, torch.Tensor]]:
    shared: dict[str, torch.Tensor] = {}
    for key, tensor in read_tensors(weight_files(folder)):
        if key in _SHARED:
            shared[key] = tensor
        elif not _VIDEO_FOLDER.match(key):
            yield key, key, tensor
    for name in _SHARED if shared else ():  # one table under two names, which some releases store once
        yield name, name, shared.get(name, next(iter(shared.values())))
