# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing an answer with hands in it: every hand token is decoded to positions, which the next tokens then read.

The state that predicts a hand token (one row before it) is decoded, and the positions are added to the embedding of
the token itself. A token never changes once it is written, so a key-value cache is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from affordance_ros.models.handsonvlm_heads import Latent, encode_positions
from affordance_ros.models.handsonvlm_network import HandsNetwork
from affordance_ros.models.parts.decoding import Prompt, PromptCache, Session


class HandSession(Session):
    """A session in which hand tokens take positions. hands: (2, xy) of each so far, in fractions of the model's frame.

    hand_probabilities: what the model itself gave each hand token before it was pushed.
    """

    def __init__(
        self, network: HandsNetwork, embeddings: torch.Tensor, latent: Latent, shared: PromptCache | None = None
    ) -> None:
        super().__init__(network.llm.model, network.llm.lm_head, Prompt(embeddings), shared)
        self._network, self._latent = network, latent
        self.hands: list[torch.Tensor] = []
        self.hand_probabilities: list[float] = []

    def push(self, ids: Sequence[int]) -> None:
        """Append tokens; before a hand token everything that waits is run."""
        text: list[int] = []
        for token in ids:
            if token != self._network.hand_id:
                text.append(token)
                continue
            super().push(text)
            text = []
            self._push_hand()
        super().push(text)

    @torch.inference_mode()
    def _push_hand(self) -> None:
        network = self._network
        self.hand_probabilities.append(float(self.logits.softmax(-1)[network.hand_id]))
        latent = self._latent(len(self.hands), self.generator)
        positions = network.head(self.hidden.to(network.device), latent)
        self.hands.append(positions)
        rows = self.embed([network.hand_id])
        self.push_embeddings(rows + encode_positions(positions, network.size, network.dtype))

    @property
    def positions(self) -> torch.Tensor:
        """float64 (2 hands, n, xy) of all hand tokens so far."""
        if not self.hands:
            return torch.zeros(2, 0, 2, dtype=torch.float64)
        return torch.stack(self.hands, dim=1).double().cpu()


@dataclass
class ForcedAnswer:
    """Guide of a known answer: every token is forced, so only hand tokens cost a forward pass.

    `ids` ends with the closing token; it is handed out up to each hand token, so that each can be decoded.
    """

    ids: Sequence[int]
    hand_id: int
    written: int = 0

    def forced(self) -> list[int]:
        """Return the tokens up to the next hand token, or up to the end."""
        left = list(self.ids[self.written :])
        if self.hand_id in left:
            return left[: left.index(self.hand_id) + 1]
        return left

    def allowed(self) -> torch.Tensor | None:
        """Return None: nothing is chosen."""
        return None

    def advance(self, ids: Sequence[int]) -> None:
        """Count what was written."""
        self.written += len(ids)
