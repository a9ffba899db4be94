# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The light half of SAM: what is asked (points, boxes, masks, embeddings) and the decoder that draws masks for it.

Module names are those of the public `sam_vit_*.pth` files.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from affordance_ros.models.parts.sam_geometry import SamGeometry
from affordance_ros.models.parts.sam_image_encoder import LayerNorm2d


class _RandomPositions(nn.Module):
    """Sines and cosines of random projections of a position; the matrix comes from the checkpoint."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix = nn.Parameter(torch.zeros(2, channels // 2))

    def forward(self, fractions: torch.Tensor) -> torch.Tensor:
        """Return (..., C) in the type of `fractions`, which are (..., 2): x and y in [0, 1]."""
        matrix = self.positional_encoding_gaussian_matrix.to(fractions.dtype)
        angles = 2 * math.pi * ((2 * fractions - 1) @ matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SamPromptEncoder(nn.Module):
    """Turns prompts into tokens (sparse, (n, k, C)) and maps (dense, (n, C, grid, grid)).

    exact_positions: positions are computed in float32 as in the public SAM; False: in the type of the weights, as the
    forks that run wholly in bfloat16 (LISA and its descendants) do and were trained with.
    """

    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__()
        channels, half = geometry.channels, geometry.mask_channels // 4
        self.exact_positions = True
        self.pe_layer = _RandomPositions(channels)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.no_mask_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, half, 2, 2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, geometry.mask_channels, 2, 2),
            LayerNorm2d(geometry.mask_channels),
            nn.GELU(),
            nn.Conv2d(geometry.mask_channels, channels, 1),
        )

    @property
    def _dtype(self) -> torch.dtype:
        return self.no_mask_embed.weight.dtype

    def grid_positions(self, grid: int) -> torch.Tensor:
        """Return (1, C, grid, grid): the position of every cell of the image embedding."""
        kind = torch.float32 if self.exact_positions else self._dtype
        ones = torch.ones(grid, grid, device=self.no_mask_embed.weight.device, dtype=kind)
        x, y = (ones.cumsum(1) - 0.5) / grid, (ones.cumsum(0) - 0.5) / grid
        encoded: torch.Tensor = self.pe_layer(torch.stack([x, y], dim=-1))
        return encoded.permute(2, 0, 1)[None].to(self._dtype)

    def no_mask(self, count: int, grid: int) -> torch.Tensor:
        """Return (count, C, grid, grid): the map that says that no mask is given."""
        return self.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(count, -1, grid, grid)

    def masks(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (n, C, grid, grid) for mask logits (n, 1, 4 grid, 4 grid)."""
        dense: torch.Tensor = self.mask_downscaling(logits)
        return dense

    def points(self, points: torch.Tensor, labels: torch.Tensor, size: int, *, padded: bool) -> torch.Tensor:
        """Return tokens (n, k [+ 1], C).

        points: (n, k, 2) pixels of the scaled image. labels: (n, k), 1 inside, 0 outside, -1 no point. size: side of
        the network's square. padded: one more empty point, as SAM wants when no box comes with the points.
        """
        if padded:
            points = torch.cat([points, points.new_full((len(points), 1, 2), -0.5)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), -1)], dim=1)
        tokens = self._corners(points, size)
        tokens = torch.where(labels[..., None] == -1, self.not_a_point_embed.weight, tokens)
        for label in (0, 1):
            tokens = tokens + (labels == label)[..., None] * self._kind(label)
        return tokens

    def boxes(self, boxes: torch.Tensor, size: int) -> torch.Tensor:
        """Return tokens (n, 2, C) for boxes (n, 4), xyxy in pixels of the scaled image."""
        corners = self._corners(boxes.reshape(-1, 2, 2), size)
        return corners + torch.cat([self._kind(2), self._kind(3)])

    def _kind(self, index: int) -> torch.Tensor:
        """Return (1, C): outside point, inside point, upper left corner, lower right corner."""
        weight: torch.Tensor = self.point_embeddings.get_parameter(f'{index}.weight')
        return weight

    def _corners(self, pixels: torch.Tensor, size: int) -> torch.Tensor:
        encoded: torch.Tensor = self.pe_layer((pixels.float() + 0.5) / size)
        return encoded.to(self._dtype)


class _Attention(nn.Module):
    def __init__(self, geometry: SamGeometry, inner: int) -> None:
        super().__init__()
        self.heads = geometry.decoder_heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(geometry.channels, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, geometry.channels)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        parts = [
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        ]
        mixed = functional.scaled_dot_product_attention(*parts)
        out: torch.Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class _Mlp(nn.Module):
    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: torch.Tensor = self.layers[-1](x)
        return out


class _TokenMlp(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.lin2(functional.relu(self.lin1(x)))
        return out


class _TwoWayBlock(nn.Module):
    """Tokens look at tokens, tokens at the image, the image at the tokens. first: no positions, no residual before."""

    def __init__(self, geometry: SamGeometry, *, first: bool) -> None:
        super().__init__()
        channels = geometry.channels
        self.first = first
        self.self_attn = _Attention(geometry, channels)
        self.cross_attn_token_to_image = _Attention(geometry, geometry.decoder_inner)
        self.cross_attn_image_to_token = _Attention(geometry, geometry.decoder_inner)
        self.mlp = _TokenMlp(channels, geometry.decoder_mlp)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(channels) for _ in range(4))

    def forward(
        self, tokens: torch.Tensor, image: torch.Tensor, token_pe: torch.Tensor, image_pe: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_pe
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image + image_pe, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + image_pe, tokens + token_pe, tokens))
        return tokens, image


class _TwoWayTransformer(nn.Module):
    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_TwoWayBlock(geometry, first=i == 0) for i in range(geometry.decoder_layers))
        self.final_attn_token_to_image = _Attention(geometry, geometry.decoder_inner)
        self.norm_final_attn = nn.LayerNorm(geometry.channels)

    def forward(
        self, tokens: torch.Tensor, image: torch.Tensor, image_pe: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (tokens (n, k, C), image (n, cells, C))."""
        asked = tokens  # the first tokens are also their own positions
        for layer in self.layers:
            tokens, image = layer(tokens, image, asked, image_pe)
        look = self.final_attn_token_to_image(tokens + asked, image + image_pe, image)
        return self.norm_final_attn(tokens + look), image


class SamMaskDecoder(nn.Module):
    """Draws masks from an image embedding and prompts."""

    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__()
        channels, count = geometry.channels, geometry.mask_tokens
        self.transformer = _TwoWayTransformer(geometry)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(count, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, 2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(_Mlp(geometry.hyper) for _ in range(count))
        self.iou_prediction_head = _Mlp(geometry.iou)

    def forward(
        self, embedding: torch.Tensor, positions: torch.Tensor, sparse: torch.Tensor, dense: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (logits (n, mask tokens, 4 grid, 4 grid), iou (n, mask tokens)) of all mask tokens.

        embedding, positions: (1, C, grid, grid). sparse: (n, k, C). dense: (n, C, grid, grid). n may be 0.
        """
        count, channels, height, width = dense.shape
        if count == 0:
            total = len(self.mask_tokens.weight)
            return dense.new_zeros(0, total, 4 * height, 4 * width), dense.new_zeros(0, total)
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(count, -1, -1), sparse], dim=1)
        image = (embedding + dense).flatten(2).transpose(1, 2)
        image_pe = positions.flatten(2).transpose(1, 2)
        tokens, image = self.transformer(tokens, image, image_pe)
        scaled = self.output_upscaling(image.transpose(1, 2).reshape(count, channels, height, width))
        weights = torch.stack(
            [head(tokens[:, 1 + index]) for index, head in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        masks = (weights @ scaled.flatten(2)).unflatten(2, scaled.shape[-2:])
        return masks, self.iou_prediction_head(tokens[:, 0])
