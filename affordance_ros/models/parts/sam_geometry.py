# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sizes of a SAM network, read off the shapes of its tensors: ViT-B, L, H and any other one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affordance_ros.errors import AffordanceError, Code

Shapes = Mapping[str, Sequence[int]]
DECODER_HEADS = 8


@dataclass(frozen=True)
class SamGeometry:
    """Sizes of both halves. The image side is `grid * patch` pixels; grid, patch and the vit fields are 0 without ViT.

    windows: side of the attention window of each block, 0 for a global one. hyper, iou: widths of the small heads,
    input first. decoder_heads is the only number that no shape shows; it is 8 in every release.
    """

    channels: int
    decoder_layers: int
    decoder_mlp: int
    decoder_inner: int
    hyper: tuple[int, ...]
    iou: tuple[int, ...]
    mask_tokens: int
    mask_channels: int
    patch: int = 0
    grid: int = 0
    vit_dim: int = 0
    vit_heads: int = 0
    vit_mlp: int = 0
    windows: tuple[int, ...] = ()
    decoder_heads: int = DECODER_HEADS

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that the image encoder sees."""
        return self.grid * self.patch

    @classmethod
    def from_shapes(cls, shapes: Shapes, *, source: str = 'the checkpoint') -> 'SamGeometry':
        """Read the sizes from shapes by original key name (`image_encoder.*`, `prompt_encoder.*`, `mask_decoder.*`).

        Without `image_encoder.*` the result describes the prompt encoder and mask decoder alone.

        Raises:
            AffordanceError: BAD_CHECKPOINT naming the first key that is missing.
        """
        decoder = 'mask_decoder.'
        try:
            sizes: dict[str, Any] = {
                'channels': shapes[decoder + 'iou_token.weight'][1],
                'decoder_layers': _count(shapes, decoder + 'transformer.layers.'),
                'decoder_mlp': shapes[decoder + 'transformer.layers.0.mlp.lin1.weight'][0],
                'decoder_inner': shapes[decoder + 'transformer.final_attn_token_to_image.q_proj.weight'][0],
                'hyper': _widths(shapes, decoder + 'output_hypernetworks_mlps.0.layers.'),
                'iou': _widths(shapes, decoder + 'iou_prediction_head.layers.'),
                'mask_tokens': shapes[decoder + 'mask_tokens.weight'][0],
                'mask_channels': shapes['prompt_encoder.mask_downscaling.3.weight'][0],
            }
            if any(key.startswith('image_encoder.') for key in shapes):
                sizes |= _vit_sizes(shapes)
        except (KeyError, IndexError, ValueError) as error:
            raise AffordanceError(
                Code.BAD_CHECKPOINT, f'{source} holds no complete SAM network: {error.args[0]} is missing or misshaped'
            ) from error
        return cls(**sizes)


def _vit_sizes(shapes: Shapes) -> dict[str, Any]:
    prefix = 'image_encoder.'
    dim, _, patch, _ = shapes[prefix + 'patch_embed.proj.weight']
    head_dim = shapes[prefix + 'blocks.0.attn.rel_pos_h'][1]
    grid = shapes[prefix + 'pos_embed'][1]
    return {
        'patch': patch,
        'grid': grid,
        'windows': _windows(shapes, grid),
        'vit_dim': dim,
        'vit_heads': dim // head_dim,
        'vit_mlp': shapes[prefix + 'blocks.0.mlp.lin1.weight'][0],
    }


def _windows(shapes: Shapes, grid: int) -> tuple[int, ...]:
    """Return the window of every block: its table has 2 side - 1 rows, and a window of the whole grid is global."""
    prefix = 'image_encoder.blocks.'
    sides = [(shapes[f'{prefix}{index}.attn.rel_pos_h'][0] + 1) // 2 for index in range(_count(shapes, prefix))]
    return tuple(0 if side == grid else side for side in sides)


def _count(shapes: Shapes, prefix: str) -> int:
    numbers = {int(key[len(prefix) :].split('.')[0]) for key in shapes if key.startswith(prefix)}
    if not numbers:
        raise KeyError(f'{prefix}0')
    return max(numbers) + 1


def _widths(shapes: Shapes, prefix: str) -> tuple[int, ...]:
    layers = [shapes[f'{prefix}{index}.weight'] for index in range(_count(shapes, prefix))]
    return (layers[0][1], *(layer[0] for layer in layers))
