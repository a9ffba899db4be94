# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many questions of choice or of yes and no were answered right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChoiceScore:
    """correct: of every question, False for an unreadable one. unreadable: how many could not be read."""

    correct: tuple[bool, ...]
    unreadable: int

    @property
    def accuracy(self) -> float:
        """Share of ALL questions answered right, NaN without any."""
        return float(np.mean(self.correct)) if self.correct else float('nan')


def choice_score(answers: Sequence[str | bool | None], truths: Sequence[str | bool]) -> ChoiceScore:
    """Compare each answer with its truth, exactly; None is an unreadable answer and counts as wrong."""
    correct = tuple(answer == truth for answer, truth in zip(answers, truths, strict=True))
    return ChoiceScore(correct, sum(answer is None for answer in answers))
