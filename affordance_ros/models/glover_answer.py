# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one question to GLOVER came to, before it is reduced to a `Prediction`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import UnparsableAnswer
from affordance_ros.models.glover_network import Maps
from affordance_ros.models.glover_prompts import SEG_TOKEN
from affordance_ros.results import Heatmap


@dataclass(frozen=True)
class GloverAnswer:
    """Everything that one question came to, n maps in the order of their `[SEG]`; the first is the one that counts.

    sequence: ids of prompt and answer, -200 for the image. embeddings: (n, C). logits: float32 (n, H, W).
    """

    text: str
    sequence: tuple[int, ...]
    embeddings: torch.Tensor
    maps: Maps
    logits: npt.NDArray[np.float32]
    confidence: float
    seconds: Mapping[str, float] = field(default_factory=dict)

    def heatmap(self, index: int = 0) -> Heatmap:
        """Return one of the maps; the empty map (all zero) where there is none at all.

        Raises:
            UnparsableAnswer: when the map holds NaN, as float16 gives where it overflows.
        """
        if len(self.logits) == 0 and index == 0:
            return Heatmap(np.zeros(self.logits.shape[1:], np.float32))
        values = torch.sigmoid(torch.from_numpy(self.logits[index])).numpy()
        if not np.isfinite(values).all():
            raise UnparsableAnswer(self.text, 'the map of the model is not finite; use dtype bfloat16 or float32')
        return Heatmap(values)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the caller should know: that there is no map (NO_ANSWER_TOKEN), or that there are several."""
        if len(self.logits) == 0:
            shown = self.text if len(self.text) <= 80 else self.text[:80] + '...'
            return (
                f'NO_ANSWER_TOKEN: the answer {shown!r} has no {SEG_TOKEN}, so there is no map; '
                "ask with object= and action=, or end the sentence with 'Please output segmentation mask.'",
            )
        if len(self.logits) > 1:
            return (f'the answer has {len(self.logits)} {SEG_TOKEN}; the map of the first one is used',)
        return ()
