# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing the answer of a language model: greedily, sampled or guided, with a key-value cache shared by questions.

`Session` runs one text through a decoder, `PromptCache` remembers the last prompt so that the next question on the same
image pays only for its own words, and `write` chooses the tokens. A stop flag is asked before every token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from transformers import DynamicCache

from affordance_ros.models.base import StopFlag, check_stop
from affordance_ros.models.parts.sampling import Chooser, DecodeSettings

__all__ = ['DecodeSettings', 'Guide', 'Prompt', 'PromptCache', 'Session', 'Watch', 'Written', 'write']


@dataclass(frozen=True)
class Prompt:
    """What a decoder reads first.

    embeddings: (1, L, H). penalized: tokens that the repetition penalty counts as written already (the prompt's, where
    the official code generates from ids). positions: rotary positions, last axis L (None: 0 to L-1). next_position: of
    the first new token (None: L). extra(n, m): further arguments of the decoder for rows n to m, such as visual
    features that are added inside it, or None when it cannot start at n; rows behind the prompt are those of tokens.
    """

    embeddings: torch.Tensor
    penalized: Sequence[int] = ()
    positions: torch.Tensor | None = None
    next_position: int | None = None
    extra: Callable[[int, int], Mapping[str, Any] | None] | None = None

    def __len__(self) -> int:
        return int(self.embeddings.shape[1])


class PromptCache:
    """Keys and values of the last text, for the next one that starts with the same rows.

    Rows are compared by value, so nothing has to be declared: the image comes before the question in every prompt of
    ours, and ten questions on one frame run the image through the decoder once. Cutting a text in two changes the
    result by rounding only. One text at a time may use a cache.
    """

    def __init__(self) -> None:
        self._prompt: Prompt | None = None
        self._cache: DynamicCache | None = None
        self.reused_rows = 0

    def open(self, prompt: Prompt) -> tuple[DynamicCache, int]:
        """Return (cache, number of rows of `prompt` that it holds already); at least one row is left to run."""
        rows = self._shared_rows(prompt)
        if self._cache is None or rows == 0:
            self._cache = DynamicCache()
            rows = 0
        _crop(self._cache, rows)
        self._prompt, self.reused_rows = prompt, rows
        return self._cache, rows

    def clear(self) -> None:
        """Forget the last text and free its memory."""
        self._prompt = self._cache = None

    def _shared_rows(self, prompt: Prompt) -> int:
        last = self._prompt
        if last is None or self._cache is None or last.embeddings.shape[2] != prompt.embeddings.shape[2]:
            return 0
        rows = min(len(last), len(prompt) - 1, self._cache.get_seq_length())
        same = (last.embeddings[0, :rows] == prompt.embeddings[0, :rows]).all(-1)
        if (last.positions is None) != (prompt.positions is None):
            return 0
        if last.positions is not None and prompt.positions is not None:
            both = (last.positions[..., :rows], prompt.positions[..., :rows])
            same &= (both[0] == both[1]).reshape(-1, rows).all(0)
        rows = int(same.cumprod(0).sum())
        return rows if prompt.extra is None or prompt.extra(rows, len(prompt)) is not None else 0


def _crop(cache: DynamicCache, rows: int) -> None:
    """Keep the first rows; done by hand because the argument of `DynamicCache.crop` changed between releases."""
    layers: list[Any] = cache.layers
    for layer in layers:
        if layer.keys is not None and layer.keys.numel():
            layer.keys, layer.values = layer.keys[..., :rows, :], layer.values[..., :rows, :]


class Session:
    """One running text. What is pushed waits until `logits` or `hidden` is asked for; then one pass runs it all.

    decoder: module that takes inputs_embeds, position_ids and past_key_values and gives last_hidden_state, with
    `get_input_embeddings`. head: module from hidden states to logits. passes: forward passes so far. generator: where
    `write` draws its tokens from, for a session that has to draw more in between.
    """

    def __init__(self, decoder: Any, head: Any, prompt: Prompt, shared: PromptCache | None = None) -> None:
        self._decoder, self._head = decoder, head
        self.device = prompt.embeddings.device  # results are brought back here from a decoder spread over GPUs
        self.penalized = tuple(prompt.penalized)
        self._shared = shared or PromptCache()
        self._cache, reused = self._shared.open(prompt)
        self._waiting = [prompt.embeddings[:, reused:]]
        self._positions = None if prompt.positions is None else prompt.positions[..., reused:]
        self._extra = None if prompt.extra is None else partial(prompt.extra, reused)
        self._length = len(prompt)
        self._shift = (len(prompt) if prompt.next_position is None else prompt.next_position) - len(prompt)
        self._hidden: torch.Tensor | None = None
        self.passes = 0
        self.generator: torch.Generator | None = None

    def embed(self, ids: Sequence[int]) -> torch.Tensor:
        """Return (1, n, H): the embeddings of token ids."""
        table = self._decoder.get_input_embeddings()
        rows: torch.Tensor = table(torch.tensor([list(ids)], device=table.weight.device))
        return rows

    def push(self, ids: Sequence[int]) -> None:
        """Append tokens."""
        if ids:
            self.push_embeddings(self.embed(ids))

    def push_embeddings(self, rows: torch.Tensor) -> None:
        """Append rows (1, n, H) that are no tokens."""
        if self._positions is not None:
            at = self._length + self._shift + torch.arange(rows.shape[1], device=self._positions.device)
            self._positions = torch.cat([self._positions, at.expand(*self._positions.shape[:-1], -1)], dim=-1)
        elif self._shift:
            raise ValueError('a prompt with next_position needs positions')
        self._length += rows.shape[1]
        self._waiting.append(rows)

    @property
    def hidden(self) -> torch.Tensor:
        """Last hidden state (H,), after the final norm, of the last position."""
        self._run()
        return self._last()[0, -1]

    @property
    def new_hidden(self) -> torch.Tensor:
        """Last hidden states (n, H) of the positions that the latest pass ran."""
        self._run()
        return self._last()[0]

    @property
    @torch.inference_mode()
    def logits(self) -> torch.Tensor:
        """float32 (V,) for the next token."""
        self._run()
        row: torch.Tensor = self._head(self._last()[:, -1:])[0, -1]
        return row.to(self.device).float()

    def _last(self) -> torch.Tensor:
        if self._hidden is None:
            raise ValueError('nothing was run yet')
        return self._hidden

    @torch.inference_mode()
    def _run(self) -> None:
        if not self._waiting:
            return
        rows = self._waiting[0] if len(self._waiting) == 1 else torch.cat(self._waiting, dim=1)
        more = {} if self._extra is None else dict(self._extra(self._length) or {})  # until the prompt has run
        if self._positions is not None:
            more['position_ids'] = self._positions
        try:
            states = self._decoder(
                inputs_embeds=rows, past_key_values=self._cache, use_cache=True, **more
            ).last_hidden_state
            self._hidden = states.to(self.device)
        except BaseException:
            self._shared.clear()  # a pass that broke off leaves layers of different length
            raise
        if self._positions is not None:
            self._positions = self._positions[..., :0]
        self._waiting, self._extra = [], None
        self.passes += 1


class Watch(NamedTuple):
    """stop: asked before every token. on_token: told the ids so far after every token."""

    stop: StopFlag | None = None
    on_token: Callable[[list[int]], None] | None = None


class Guide(Protocol):
    """A grammar that follows the text: which tokens may come next, and which must."""

    def forced(self) -> list[int]:
        """Return the tokens that have no alternative, maybe none; they cost no forward pass of their own."""
        ...

    def allowed(self) -> torch.Tensor | None:
        """Return bool (V,) of the tokens that may come next, or None when all may."""
        ...

    def advance(self, ids: Sequence[int]) -> None:
        """Take up tokens that were written, the forced ones too."""
        ...


@dataclass(frozen=True)
class Written:
    """ids: what was written, the closing token included.

    probabilities: of the ids that were chosen (not forced), without the closing one. passes: forward passes that it
    took, the prompt's included.
    """

    ids: list[int]
    probabilities: list[float]
    passes: int

    @property
    def confidence(self) -> float:
        """Mean probability of the chosen tokens of the answer, NaN when there is none."""
        return sum(self.probabilities) / len(self.probabilities) if self.probabilities else float('nan')


def write(
    session: Session,
    eos_ids: Sequence[int],
    settings: DecodeSettings,
    watch: Watch = Watch(),  # noqa: B008  (immutable)
    guide: Guide | None = None,
) -> Written:
    """Write until one of `eos_ids`, or until `max_new_tokens`.

    Raises `AffordanceError(Code.CANCELED)` when the stop flag turns true.
    """
    session.generator = torch.Generator(device=session.device).manual_seed(settings.seed)
    choose = Chooser(settings, session.generator, session.penalized)
    ids: list[int] = []
    probabilities: list[float] = []
    while len(ids) < settings.max_new_tokens:
        check_stop(watch.stop)
        new = guide.forced()[: settings.max_new_tokens - len(ids)] if guide else []
        if not new:
            token, probability = choose(session.logits, ids, guide.allowed() if guide else None)
            new = [token]
            if token not in eos_ids:
                probabilities.append(probability)
        ids += new
        if guide:
            guide.advance(new)
        if watch.on_token is not None:
            watch.on_token(ids)
        if new[-1] in eos_ids:
            break
        session.push(new)
    return Written(ids, probabilities, session.passes)
