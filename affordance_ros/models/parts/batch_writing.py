# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing several answers at once: prompts padded on the left, one pass for a token of every text.

The weights are read once for all texts of a batch, which is what a token costs on a GPU. A text that is finished leaves
the batch. Padding changes the results by rounding only; every text draws with the seed that it draws with alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from affordance_ros.models.base import StopFlag, check_stop
from affordance_ros.models.parts.decoding import DecodeSettings, Guide, Prompt, Written
from affordance_ros.models.parts.sampling import Chooser

_VISUAL, _DEEP = 'visual_pos_masks', 'deepstack_visual_embeds'


@dataclass(frozen=True)
class Writer:
    """What writes. decoder and head: as of `decoding.Session`. eos_ids: tokens that end an answer."""

    decoder: Any
    head: Any
    eos_ids: Sequence[int]
    settings: DecodeSettings


@dataclass
class _Text:
    """One answer of the batch. forced: tokens that a grammar has put next. position: rotary one of the next token."""

    choose: Chooser
    guide: Guide | None
    position: int
    forced: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    passes: int = 1

    def add(self, logits: torch.Tensor, eos_ids: Sequence[int]) -> None:
        """Append the next token."""
        if self.guide is not None and not self.forced:
            self.forced = list(self.guide.forced())
            self.guide.advance(self.forced)
        if self.forced:
            self.ids.append(self.forced.pop(0))
            return
        token, probability = self.choose(logits, self.ids, self.guide.allowed() if self.guide else None)
        self.ids.append(token)
        if token not in eos_ids:
            self.probabilities.append(probability)
        if self.guide is not None:
            self.guide.advance([token])

    def is_done(self, writer: Writer) -> bool:
        """Whether it came to its end, or is as long as it may be."""
        return self.ids[-1] in writer.eos_ids or len(self.ids) >= writer.settings.max_new_tokens


@torch.inference_mode()
def write_batch(
    writer: Writer, prompts: Sequence[Prompt], guides: Sequence[Guide | None], stop: StopFlag | None = None
) -> list[Written]:
    """Return what `decoding.write` returns for each prompt. Raises CANCELED when the stop flag turns true."""
    texts = [_text(writer, prompt, guide) for prompt, guide in zip(prompts, guides, strict=True)]
    state = _State(writer, prompts)
    running = texts
    while True:
        check_stop(stop)
        for text, logits in zip(running, state.logits, strict=True):
            text.add(logits, writer.eos_ids)
        left = [index for index, text in enumerate(running) if not text.is_done(writer)]
        if not left:
            return [Written(text.ids, text.probabilities, text.passes) for text in texts]
        if len(left) < len(running):
            state.keep(left)
        running = [running[index] for index in left]
        state.push(running)


def _text(writer: Writer, prompt: Prompt, guide: Guide | None) -> _Text:
    device = prompt.embeddings.device
    generator = torch.Generator(device=device).manual_seed(writer.settings.seed)
    position = len(prompt) if prompt.next_position is None else prompt.next_position
    return _Text(Chooser(writer.settings, generator, prompt.penalized), guide, position)


class _State:
    """The texts that are still written: keys and values, which rows are padding, logits (B, V) of the next token."""

    def __init__(self, writer: Writer, prompts: Sequence[Prompt]) -> None:
        self._writer, self._cache = writer, DynamicCache()
        self._device = prompts[0].embeddings.device
        lengths = [len(prompt) for prompt in prompts]
        self._mask = torch.stack([_padded(torch.ones(length), max(lengths)) for length in lengths]).long()
        self._mask = self._mask.to(self._device)
        rows = torch.stack([_padded(prompt.embeddings[0].T, max(lengths)).T for prompt in prompts])
        positions = torch.stack([_padded(_positions(prompt), max(lengths)) for prompt in prompts], dim=1)
        self._many = prompts[0].positions is not None
        self.logits = self._run(rows, positions, _extra(prompts, max(lengths)))

    def keep(self, left: Sequence[int]) -> None:
        """Let go of all texts but these."""
        chosen = torch.tensor(left, device=self._device)
        self._mask = self._mask[chosen]
        layers: list[Any] = self._cache.layers
        for layer in layers:
            here = chosen.to(layer.keys.device)
            layer.keys, layer.values = layer.keys[here], layer.values[here]

    def push(self, texts: Sequence[_Text]) -> None:
        """Run the last token of every text."""
        table = self._writer.decoder.get_input_embeddings()
        tokens = torch.tensor([[text.ids[-1]] for text in texts], device=table.weight.device)
        positions = torch.tensor([[[text.position] for text in texts]], device=self._device)
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(texts), 1))], dim=1)
        self.logits = self._run(table(tokens).to(self._device), positions, {})
        for text in texts:
            text.position += 1
            text.passes += 1

    def _run(self, rows: torch.Tensor, positions: torch.Tensor, extra: dict[str, Any]) -> torch.Tensor:
        """Return float32 (B, V). positions: (1 or 3, B, L)."""
        states = self._writer.decoder(
            inputs_embeds=rows,
            attention_mask=self._mask,
            position_ids=positions.expand(3, -1, -1) if self._many else positions[0],
            past_key_values=self._cache,
            use_cache=True,
            **extra,
        ).last_hidden_state
        logits: torch.Tensor = self._writer.head(states[:, -1:])[:, -1]
        return logits.to(self._device).float()


def _positions(prompt: Prompt) -> torch.Tensor:
    """Return (1 or 3, L)."""
    if prompt.positions is None:
        return torch.arange(len(prompt), device=prompt.embeddings.device)[None]
    return prompt.positions.reshape(prompt.positions.shape[0], -1)


def _padded(values: torch.Tensor, length: int) -> torch.Tensor:
    """Return values (..., n) with zeros in front, (..., length)."""
    return torch.nn.functional.pad(values, (length - values.shape[-1], 0))


def _extra(prompts: Sequence[Prompt], length: int) -> dict[str, Any]:
    """Return the features that some decoders add to the rows of images, in the order of the texts."""
    of_prompts = [{} if prompt.extra is None else dict(prompt.extra(0, len(prompt)) or {}) for prompt in prompts]
    known = [each for each in of_prompts if each]
    if not known:
        return {}
    device = prompts[0].embeddings.device
    blank = torch.zeros(length, dtype=torch.bool, device=device)
    masks = [_padded(each[_VISUAL][0], length) if each else blank for each in of_prompts]
    layers = zip(*(each[_DEEP] for each in known), strict=True)
    return {_VISUAL: torch.stack(masks), _DEEP: [torch.cat(layer) for layer in layers]}
