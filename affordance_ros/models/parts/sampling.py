# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing the next token from logits: greedy, or drawn with a seed exactly as transformers draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True)
class DecodeSettings:
    """temperature 0: greedy. top_k 0 and top_p 1: no limit. The seed fixes a sampled answer on one machine.

    repetition_penalty: above 1 makes tokens that were written (or are in `Prompt.penalized`) less likely.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    seed: int = 0


class Chooser:
    """Picks the next token as transformers does: penalty, then temperature, top-k and top-p, then a draw."""

    def __init__(self, settings: DecodeSettings, generator: torch.Generator, penalized: Sequence[int]) -> None:
        self._greedy = settings.temperature <= 0
        self._penalized = list(penalized)
        self._generator = generator
        self._process = LogitsProcessorList()
        if settings.repetition_penalty != 1:
            self._process.append(RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
        if not self._greedy:
            if settings.temperature != 1:
                self._process.append(TemperatureLogitsWarper(settings.temperature))
            if settings.top_k > 0:
                self._process.append(TopKLogitsWarper(settings.top_k))
            if settings.top_p < 1:
                self._process.append(TopPLogitsWarper(settings.top_p))

    def __call__(self, logits: torch.Tensor, written: list[int], allowed: torch.Tensor | None) -> tuple[int, float]:
        """Return (token, its probability before any processing but the guide's)."""
        if allowed is not None:
            logits = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
        before: Any = torch.tensor([self._penalized + written], dtype=torch.long, device=logits.device)
        scores: Any = self._process(before, logits[None])
        if self._greedy:
            token = int(scores.argmax())
        else:
            token = int(torch.multinomial(scores.softmax(-1), 1, generator=self._generator))
        return token, float(logits.softmax(-1)[token])
