# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who answers the questions of a replay: the model itself, in this process. `live.py` asks running nodes instead."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from affordance_ros.clip_buffer import ClipBuffer
from affordance_ros.evaluation.selection import Chosen
from affordance_ros.models.base import AffordanceModel, ModelInfo
from affordance_ros.models.registry import MODELS
from affordance_ros.pipeline import Answer, PipelineSettings, run
from affordance_ros.results import Frame, Query


@dataclass(frozen=True)
class Asked:
    """An answer and its wall times by stage. image_age_s: of the image when the answer was published, NaN offline.

    total_s: from the question to the answer, NaN: as long as `ask` took.
    """

    answer: Answer
    seconds: Mapping[str, float] = field(default_factory=dict)
    image_age_s: float = math.nan
    total_s: float = math.nan


class Asker(Protocol):
    """Answers questions about the frames of a bag, in their order."""

    def describe(self) -> ModelInfo:
        """Tell which model answers."""
        ...

    def see(self, frame: Frame) -> None:
        """Look at a frame of the bag, asked about or not."""
        ...

    def ask(self, chosen: Chosen, query: Query) -> Asked:
        """Answer a question about a frame. Raises AffordanceError for what is refused."""
        ...


class ModelAsker:
    """The pipeline of the nodes in this process. A model for clips gets the frames before as well."""

    def __init__(self, model: AffordanceModel, pipeline: PipelineSettings) -> None:
        self._model, self._pipeline = model, pipeline
        entry = MODELS.get(model.describe().name)
        self._clips = ClipBuffer() if entry is not None and entry.clip else None

    def describe(self) -> ModelInfo:
        """Tell which model answers."""
        return self._model.describe()

    def see(self, frame: Frame) -> None:
        """Keep the frame for the clips after it."""
        if self._clips is not None:
            self._clips.add(frame.stamp_ns, frame)

    def ask(self, chosen: Chosen, query: Query) -> Asked:
        """Answer a question. Raises AffordanceError, NO_CLIP too."""
        answer = run(self._model, self._shown(chosen.frame), query, self._pipeline)
        return Asked(answer, answer.seconds)

    def _shown(self, frame: Frame) -> Frame | Sequence[Frame]:
        if self._clips is None:
            return frame
        found: list[Frame] = self._clips.clip(frame.stamp_ns, 0.0, ending=(frame.stamp_ns, frame))
        return found
