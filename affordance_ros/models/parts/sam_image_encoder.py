# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image encoder of SAM (arXiv 2304.02643): a ViT with windowed and global blocks and relative positions.

Module names are those of the public `sam_vit_*.pth` files, so their keys fit without a table.
"""

import torch
from torch import nn
from torch.nn import functional

from affordance_ros.models.parts.sam_geometry import SamGeometry


class LayerNorm2d(nn.Module):
    """Normalises the channels of (N, C, H, W) at every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised map."""
        centered = x - x.mean(1, keepdim=True)
        spread = torch.sqrt(centered.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * (centered / spread) + self.bias[:, None, None]


class _Attention(nn.Module):
    """Self-attention on a square of `side` x `side` tokens with a learned bias per row and per column distance."""

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, side, side, dim) to the same shape."""
        batch, side = x.shape[0], self.side
        qkv = self.qkv(x).reshape(batch, side * side, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # (B, heads, side * side, dim / heads)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q))
        out: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, side, side, -1))
        return out

    def _bias(self, q: torch.Tensor) -> torch.Tensor:
        """Return (B, heads, tokens, tokens); the query is not scaled here, as in the official network."""
        side = self.side
        steps = torch.arange(side, device=q.device)
        distance = steps[:, None] - steps[None, :] + side - 1
        grid = q.unflatten(2, (side, side))
        rows = torch.einsum('bnhwc,hkc->bnhwk', grid, self.rel_pos_h[distance])
        columns = torch.einsum('bnhwc,wkc->bnhwk', grid, self.rel_pos_w[distance])
        return (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)


class _Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.lin2(functional.gelu(self.lin1(x)))
        return out


class _Block(nn.Module):
    """window 0: attention over the whole grid."""

    def __init__(self, geometry: SamGeometry, window: int) -> None:
        super().__init__()
        dim = geometry.vit_dim
        self.window = window
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = _Attention(dim, geometry.vit_heads, window or geometry.grid)
        self.mlp = _Mlp(dim, geometry.vit_mlp)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + (_in_windows(self.attn, y, self.window) if self.window else self.attn(y))
        out: torch.Tensor = x + self.mlp(self.norm2(x))
        return out


def _in_windows(attention: nn.Module, x: torch.Tensor, window: int) -> torch.Tensor:
    """Apply `attention` to windows of (B, H, W, C), padded with zeros at the right and bottom."""
    batch, height, width, channels = x.shape
    down, right = -height % window, -width % window
    padded = functional.pad(x, (0, 0, 0, right, 0, down))
    rows, columns = (height + down) // window, (width + right) // window
    tiles = padded.reshape(batch, rows, window, columns, window, channels).transpose(2, 3)
    mixed = attention(tiles.reshape(-1, window, window, channels))
    whole = mixed.reshape(batch, rows, columns, window, window, channels).transpose(2, 3)
    out: torch.Tensor = whole.reshape(batch, height + down, width + right, channels)[:, :height, :width]
    return out


class _PatchEmbed(nn.Module):
    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)


class SamImageEncoder(nn.Module):
    """Maps normalised pixels (B, 3, S, S) to the embedding (B, C, grid, grid)."""

    def __init__(self, geometry: SamGeometry) -> None:
        super().__init__()
        grid, dim, channels = geometry.grid, geometry.vit_dim, geometry.channels
        self.patch_embed = _PatchEmbed(geometry.patch, dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, dim))
        self.blocks = nn.ModuleList(_Block(geometry, window) for window in geometry.windows)
        self.neck = nn.Sequential(
            nn.Conv2d(dim, channels, 1, bias=False),
            LayerNorm2d(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            LayerNorm2d(channels),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the embedding."""
        x = self.patch_embed.proj(pixels).permute(0, 2, 3, 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self._neck(x.permute(0, 3, 1, 2))

    def _neck(self, x: torch.Tensor) -> torch.Tensor:
        """Run the neck; in float32 where x is float16, whose range its squares leave."""
        if x.dtype is not torch.float16:
            out: torch.Tensor = self.neck(x)
            return out
        weights = {name: weight.float() for name, weight in self.neck.named_parameters()}
        wide: torch.Tensor = torch.func.functional_call(self.neck, weights, (x.float(),))
        return wide.half()
