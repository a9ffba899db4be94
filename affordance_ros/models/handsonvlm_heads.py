# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a hidden state to the positions of both hands, and from positions back to what the language model reads.

Both directions hold the two hands in one vector channel by channel: even channels are the RIGHT hand, odd the LEFT.
"""

from collections.abc import Callable

import torch

HIDDEN = 512
LATENT = 256
RIGHT, LEFT = 0, 1
Latent = Callable[[int, torch.Generator | None], torch.Tensor]
"""Gives z (2, LATENT), right hand first, for the n-th hand token of an answer."""


def split_hands(hidden: torch.Tensor) -> torch.Tensor:
    """Return (2, D / 2): the condition of the right and of the left hand in a hidden state (D,)."""
    return hidden.reshape(-1, 2).T


def encode_positions(positions: torch.Tensor, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return (..., size): what is added to the embedding of a hand token for positions (..., 2 hands, xy).

    x only goes through sines and y only through cosines, and each block stands there twice: so it was trained. The
    sum is done in `dtype`, except in bfloat16, where neighbouring frequencies would fall together.
    """
    exact = torch.float32 if dtype == torch.bfloat16 else dtype
    band = size // 4
    steps = torch.arange(0, band, 2, device=positions.device).to(exact)
    frequencies = 1.0 / (10000 ** (steps / band))
    angles = positions.to(exact)[..., None] * frequencies
    sines, cosines = angles[..., 0, :].sin(), angles[..., 1, :].cos()
    hands = torch.cat([sines, cosines, sines, cosines], dim=-1)  # (..., 2, size / 2)
    return hands.transpose(-1, -2).flatten(-2).to(dtype)


def gaussian(scale: float) -> Latent:
    """Return a latent of independent normal numbers times `scale`; 0 gives the most likely path and draws nothing."""

    def draw(_: int, generator: torch.Generator | None) -> torch.Tensor:
        if scale == 0:
            return torch.zeros(2, LATENT)
        device = generator.device if generator is not None else torch.device('cpu')
        return scale * torch.randn(2, LATENT, generator=generator, device=device)

    return draw


class Cvae(torch.nn.Module):
    """The conditional variational auto-encoder of the releases; its encoder is only used in training."""

    def __init__(self, condition: int) -> None:
        super().__init__()
        self.enc_MLP = torch.nn.Sequential(torch.nn.Linear(2 + condition, HIDDEN), torch.nn.ELU())
        self.linear_means = torch.nn.Linear(HIDDEN, LATENT)
        self.linear_log_var = torch.nn.Linear(HIDDEN, LATENT)
        self.dec_MLP = torch.nn.Sequential(
            torch.nn.Linear(LATENT + condition, HIDDEN), torch.nn.ELU(), torch.nn.Linear(HIDDEN, 2)
        )

    def encode(self, positions: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and logarithm of the variance (..., LATENT) for true positions (..., 2) and their condition."""
        hidden = self.enc_MLP(torch.cat([positions, condition], dim=-1))
        return self.linear_means(hidden), self.linear_log_var(hidden)

    def forward(self, latent: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return (..., 2) normalised positions, not clamped, for z (..., LATENT) and a condition (..., C)."""
        positions: torch.Tensor = self.dec_MLP(torch.cat([latent, condition], dim=-1))
        return positions


class TrajectoryHead(torch.nn.Module):
    """Positions of one step for both hands. kind: 'CVAE' as released, or 'MLP', which has no latent."""

    def __init__(self, size: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        condition = size // 2
        if kind == 'CVAE':
            self.cvae = Cvae(condition)
        else:
            layers = torch.nn.Linear(condition, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN)
            self.mlp = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2))

    def forward(self, hidden: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """Return (2 hands, xy) for a hidden state (D,) and z (2, LATENT)."""
        condition = split_hands(hidden)
        if self.kind == 'MLP':
            positions: torch.Tensor = self.mlp(condition)
            return positions
        decoded: torch.Tensor = self.cvae(latent.to(condition.device, condition.dtype), condition)
        return decoded
