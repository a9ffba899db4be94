# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LLaVA-OneVision in the original LLaVA-NeXT layout: a SigLIP tower without its last layer, a projector, Qwen2.

The tower's weights are those of the checkpoint: it was trained. Only the number of its attention heads is nowhere in
the checkpoint; it is 16 in every release, and a folder of the tower may say otherwise.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.anyres import AnyRes, pinpoints
from affordance_ros.models.parts.checkpoint import StrictLoader, read_json, read_shapes, read_tensors, weight_files
from affordance_ros.models.parts.device import check_attention
from affordance_ros.models.parts.llava_loading import build_projector
from affordance_ros.models.parts.placement import Placement, place
from affordance_ros.models.parts.quantization import quantize_linears
from affordance_ros.models.parts.tokenizer import IMAGE_ID

_TOWER = 'model.vision_tower.vision_tower.vision_model.'
_PROJECTOR = 'model.mm_projector.'
_NEWLINE = 'model.image_newline'
_RELEASE_HEADS = {1152: 16}
_TEXT_FIELDS = (
    'vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'num_key_value_heads',
    'hidden_act', 'max_position_embeddings', 'rms_norm_eps', 'rope_theta', 'tie_word_embeddings', 'bos_token_id',
    'eos_token_id', 'initializer_range',
)  # fmt: skip


@dataclass(frozen=True)
class OneVisionSource:
    """Where the parts come from. siglip: folder of the tower's release, for its number of heads only.

    tokens: length of the tokenizer; rows of the vocabulary beyond it are cut off, as official. spread: put the language
    model on all GPUs, `device` being the first.
    """

    checkpoint: Path
    tokens: int
    siglip: Path | None = None
    device: torch.device = torch.device('cpu')
    dtype: torch.dtype = torch.float32
    spread: bool = False
    quantization: str | None = None
    attention: str = 'sdpa'


class OneVisionNetwork:
    """vision -> projector -> llm, all in `source.dtype`; `anyres` cuts and packs the images."""

    vision: Any
    llm: Any

    def __init__(self, source: OneVisionSource) -> None:
        self.device, self.dtype = source.device, source.dtype
        self.config = read_json(source.checkpoint / 'config.json')
        _check_config(self.config, source.checkpoint)
        files = weight_files(source.checkpoint)
        shapes = read_shapes(files)
        self._build(source, shapes)
        self._load(source, files)
        for part in self.parts:
            part.eval()
        patches = self.vision.config.image_size // self.vision.config.patch_size
        most = re.search(r'anyres_max_(\d+)', str(self.config['image_aspect_ratio']))
        self.anyres = AnyRes(
            pinpoints(self.config.get('image_grid_pinpoints')), self.vision.config.image_size, patches,
            int(most[1]) if most else 9,
        )  # fmt: skip

    @property
    def parts(self) -> tuple[torch.nn.Module, torch.nn.Module, torch.nn.Module]:
        """vision, projector, llm."""
        return self.vision, self.projector, self.llm

    def _build(self, source: OneVisionSource, shapes: Mapping[str, tuple[int, ...]]) -> None:
        vision_config = _vision_config(source, shapes)
        text = Qwen2Config(**{name: self.config[name] for name in _TEXT_FIELDS if name in self.config})
        text.use_sliding_window = False
        text._attn_implementation = check_attention(source.attention)  # noqa: SLF001 - there is no public way
        with torch.device('meta'):
            self.vision = SiglipVisionModel(vision_config)
            self.llm = Qwen2ForCausalLM(text)
            self.projector = build_projector(self.config, vision_config.hidden_size, text.hidden_size)
        self.llm.model.rotary_emb = Qwen2RotaryEmbedding(config=text).to(source.device)
        embeddings = getattr(self.vision, 'vision_model', self.vision).embeddings
        embeddings.position_ids = torch.arange(embeddings.num_positions, device=source.device)[None]
        quantize_linears(self.llm, source.quantization)

    def _load(self, source: OneVisionSource, files: Sequence[Path]) -> None:
        placement = place(self.llm, source.device, source.dtype) if source.spread else Placement(source.device)
        newline = _Newline(self.llm.config.hidden_size)
        loaders = {
            _TOWER: StrictLoader(self.vision, placement.main, source.dtype),
            _PROJECTOR: StrictLoader(self.projector, placement.main, source.dtype),
            _NEWLINE: StrictLoader(newline, placement.main, source.dtype),
            '': StrictLoader(self.llm, placement.device_of, source.dtype),
        }
        for key, tensor in read_tensors(files):
            if key.endswith(('.inv_freq', '.position_ids')):
                continue
            prefix = next(prefix for prefix in loaders if key.startswith(prefix))
            name = key if prefix in ('', _NEWLINE) else key.removeprefix(prefix)
            if prefix == _TOWER and not loaders[prefix].has(name):
                name = f'vision_model.{name}'  # transformers before 5 had this level in the module
            loaders[prefix].put(key, name.removeprefix('model.') if prefix == _NEWLINE else name, tensor)
        tied = bool(self.llm.config.tie_word_embeddings)
        loaders[''].finish(str(source.checkpoint), may_miss=lambda name: tied and name == 'lm_head.weight')
        loaders[_TOWER].finish(f'the SigLIP tower of {source.checkpoint}', may_miss=lambda name: '.head.' in f'.{name}')
        loaders[_PROJECTOR].finish(f'the projector (mm_projector) of {source.checkpoint}')
        loaders[_NEWLINE].finish(f'image_newline of {source.checkpoint}')
        self.newline = newline.image_newline
        _cut_vocabulary(self.llm, source.tokens, tied=tied)
        placement.connect(self.llm)

    @torch.inference_mode()
    def image_features(self, tiles: npt.NDArray[np.uint8], size: tuple[int, int]) -> torch.Tensor:
        """Return (tokens, hidden) of the tiles uint8 (n, tile, tile, 3) of an image of `size` (width, height)."""
        pixels = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(self.device)
        values = ((pixels.float() / 255 - 0.5) / 0.5).to(self.dtype)
        states = self.vision(pixel_values=values, output_hidden_states=True).hidden_states[-1]
        return self.anyres.pack(self.projector(states), self.newline, size)

    @torch.inference_mode()
    def embed(self, ids: Sequence[int], images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (1, L, hidden): token embeddings with each IMAGE_ID replaced by the features of the next image."""
        left, pieces, run = iter(images), list[torch.Tensor](), list[int]()
        table = self.llm.get_input_embeddings()
        for token in [*ids, None]:
            if token is not None and token != IMAGE_ID:
                run.append(token)
                continue
            if run:
                pieces.append(table(torch.tensor(run, device=table.weight.device)))
                run = []
            if token == IMAGE_ID:
                pieces.append(next(left))
        return torch.cat(pieces)[None]


class _Newline(torch.nn.Module):
    """The learned vector at the end of every row of features."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.image_newline = torch.nn.Parameter(torch.empty(hidden, device='meta'), requires_grad=False)


def _check_config(config: Mapping[str, Any], folder: Path) -> None:
    wanted = {
        'mm_patch_merge_type': ('spatial_unpad',),
        'mm_use_im_start_end': (False, None),
        'mm_use_im_patch_token': (False, None),
    }
    for name, allowed in wanted.items():
        if config.get(name, allowed[-1] if name != 'mm_patch_merge_type' else 'flat') not in allowed:
            raise AffordanceError(
                Code.BAD_CHECKPOINT,
                f'{folder}/config.json: {name} is {config.get(name)!r}, only {allowed[0]!r} is read',
            )
    if not str(config.get('image_aspect_ratio', '')).startswith('anyres'):
        raise AffordanceError(Code.BAD_CHECKPOINT, f'{folder}/config.json: image_aspect_ratio must be anyres_max_<N>')


def _vision_config(source: OneVisionSource, shapes: Mapping[str, tuple[int, ...]]) -> SiglipVisionConfig:
    """Read the sizes off the shapes of the weights."""
    try:
        hidden, _, patch, _ = shapes[f'{_TOWER}embeddings.patch_embedding.weight']
        positions = shapes[f'{_TOWER}embeddings.position_embedding.weight'][0]
        mlp = shapes[f'{_TOWER}encoder.layers.0.mlp.fc1.weight'][0]
    except KeyError as error:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'{source.checkpoint} holds no SigLIP tower: {error.args[0]} is missing'
        ) from error
    layers = {key.split('.')[6] for key in shapes if key.startswith(f'{_TOWER}encoder.layers.')}
    return SiglipVisionConfig(
        hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=len(layers),
        num_attention_heads=_heads(source, hidden), patch_size=patch,
        image_size=_image_side(positions, patch), hidden_act='gelu_pytorch_tanh', layer_norm_eps=1e-6,
        vision_use_head=False,
    )  # fmt: skip


def _image_side(positions: int, patch: int) -> int:
    """384 pixels hold 27 whole patches of 14: the side is not a multiple of the patch in every release."""
    side = round(positions**0.5)
    return 384 if (side, patch) == (27, 14) else side * patch


def _heads(source: OneVisionSource, hidden: int) -> int:
    folder = _siglip_folder(source)
    if folder is None:
        if hidden in _RELEASE_HEADS:
            return _RELEASE_HEADS[hidden]
        raise AffordanceError(
            Code.MISSING_WEIGHTS,
            f'the number of attention heads of a SigLIP tower of width {hidden} is unknown; give siglip= the folder of '
            'the tower (its config.json is enough)',
        )
    config = read_json(folder / 'config.json')
    config = config.get('vision_config', config)
    if config.get('hidden_size') != hidden or not config.get('num_attention_heads'):
        raise AffordanceError(
            Code.BAD_CHECKPOINT,
            f'{folder} is of width {config.get("hidden_size")}, the tower of {source.checkpoint} of {hidden}',
        )
    return int(config['num_attention_heads'])


def _siglip_folder(source: OneVisionSource) -> Path | None:
    if source.siglip is not None:
        if not (source.siglip / 'config.json').is_file():
            raise AffordanceError(Code.MISSING_WEIGHTS, f'siglip={source.siglip} has no config.json')
        return source.siglip
    inside = source.checkpoint / 'siglip'
    return inside if (inside / 'config.json').is_file() else None


def _cut_vocabulary(llm: Any, tokens: int, *, tied: bool) -> None:
    """Keep the rows of the tokenizer's tokens, so that none beyond them can be written."""
    table = llm.get_input_embeddings()
    if tokens > table.weight.shape[0]:
        raise AffordanceError(
            Code.BAD_CHECKPOINT, f'the tokenizer has {tokens} tokens, the checkpoint only {table.weight.shape[0]} rows'
        )
    for module in (table,) if tied else (table, llm.lm_head):
        module.weight = torch.nn.Parameter(module.weight[:tokens].clone(), requires_grad=False)
    if tied:
        llm.lm_head.weight = table.weight
    table.num_embeddings = llm.lm_head.out_features = llm.config.vocab_size = tokens
