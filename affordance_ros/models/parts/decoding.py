# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing the answer token by token, greedily or sampled, with a key-value cache and a stop flag at every token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from affordance_ros.models.base import StopFlag, check_stop


@dataclass(frozen=True)
class DecodeSettings:
    """temperature 0: greedy. top_k 0 and top_p 1: no limit. The seed fixes a sampled answer on one machine."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 50
    seed: int = 0


@torch.inference_mode()
def decode(
    llm: Any,
    embeddings: torch.Tensor,
    eos_id: int,
    settings: DecodeSettings,
    watch: tuple[StopFlag | None, Callable[[list[int]], None] | None] = (None, None),
) -> list[int]:
    """Return the new ids after `embeddings` (1, L, H), the closing EOS included when it was written.

    watch: the stop flag, asked before every token, and a function that is told the ids so far after every token.
    """
    stop, on_token = watch
    generator = torch.Generator(device=embeddings.device).manual_seed(settings.seed)
    cache = DynamicCache(config=llm.config)
    ids: list[int] = []
    inputs: dict[str, torch.Tensor] = {'inputs_embeds': embeddings}
    while len(ids) < settings.max_new_tokens:
        check_stop(stop)
        logits = llm(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1].float()
        token = int(logits.argmax()) if settings.temperature <= 0 else _sample(logits, settings, generator)
        ids.append(token)
        if on_token is not None:
            on_token(ids)
        if token == eos_id:
            break
        inputs = {'input_ids': torch.tensor([[token]], device=embeddings.device)}
    return ids


def _sample(logits: torch.Tensor, settings: DecodeSettings, generator: torch.Generator) -> int:
    """Draw one token after temperature, top-k and top-p, in the order of transformers."""
    logits = logits / settings.temperature
    values, order = logits.sort(descending=True)
    if settings.top_k > 0:
        values, order = values[: settings.top_k], order[: settings.top_k]
    probabilities = values.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    probabilities = probabilities * (before < settings.top_p)
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])
