# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who answers the questions of a benchmark: a model in this process today, a server later (`--engine`).

An engine gets a batch of questions and gives as many replies. Whatever is behind it, a reply is an answer, or the
refusal of a model with its code; an accident of the machine is neither: it is raised, and the run is resumed later.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.base import AffordanceModel, BatchModel, ModelInfo, Progress
from affordance_ros.results import Frame, Prediction, Query

ACCIDENTS = frozenset({
    Code.OOM, Code.WORKER_DIED, Code.NOT_ACTIVE, Code.BUSY, Code.TIMEOUT, Code.CANCELED, Code.REPLACED, Code.INTERNAL,
    Code.UNKNOWN_MODEL, Code.MISSING_WEIGHTS, Code.BAD_CHECKPOINT,
})  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One image, or a clip or a set of images as the model takes them, and what is asked."""

    frames: Sequence[Frame]
    query: Query

    @property
    def asked(self) -> Frame | Sequence[Frame]:
        """What `predict` is given."""
        return self.frames[0] if len(self.frames) == 1 else self.frames


@dataclass(frozen=True)
class Reply:
    """An answer or a refusal. text: what the model wrote, None when it did not come to that."""

    answer: Prediction | AffordanceError
    text: str | None
    seconds: float


class Engine(Protocol):
    """Answers questions."""

    @property
    def batches(self) -> bool:
        """Whether several questions at once are answered sooner than one by one."""
        ...

    def describe(self) -> ModelInfo:
        """Tell which model answers."""
        ...

    def answer(self, questions: Sequence[Question]) -> list[Reply]:
        """Return a reply to each question, in order. Raises AffordanceError for accidents, one of `ACCIDENTS`."""
        ...


@dataclass(frozen=True)
class EngineRequest:
    """What an engine is opened with: the options of the command line."""

    model: str
    checkpoint: str = ''
    device: str = 'cpu'
    dtype: str = 'float32'
    options: Mapping[str, Any] = field(default_factory=dict)


class LocalEngine:
    """A model in this process; asks it about a whole batch at once where it can (`BatchModel`), else one by one."""

    def __init__(self, model: AffordanceModel) -> None:
        self._model = model

    @property
    def batches(self) -> bool:
        """Whether the model answers several questions at once."""
        return isinstance(self._model, BatchModel)

    def describe(self) -> ModelInfo:
        """Tell which model answers."""
        return self._model.describe()

    def answer(self, questions: Sequence[Question]) -> list[Reply]:
        """Return a reply to each question, in order."""
        if self.batches and len(questions) > 1:
            return self._together(questions)
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Reply:
        written: list[str] = []

        def keep_text(progress: Progress) -> None:
            if progress.stage == 'parse':
                written.append(progress.text)

        start = time.perf_counter()
        try:
            prediction = self._model.predict(question.asked, question.query, progress=keep_text)
        except AffordanceError as error:
            return _refused(error, time.perf_counter() - start)
        # What the model wrote, also where the prediction's text is the reading of it.
        return Reply(prediction, written[-1] if written else prediction.text, time.perf_counter() - start)

    def _together(self, questions: Sequence[Question]) -> list[Reply]:
        start = time.perf_counter()
        model = cast(BatchModel, self._model)
        try:
            answers = model.predict_batch([(question.asked, question.query) for question in questions])
        except AffordanceError as error:
            if error.code == Code.OOM:
                message = f'{error.message}; {len(questions)} questions at once are too many, take a smaller --batch'
                raise AffordanceError(Code.OOM, message) from error
            if error.code in ACCIDENTS:
                raise
            return [self._one(question) for question in questions]  # to find the one that is refused
        seconds = (time.perf_counter() - start) / len(questions)
        return [
            _refused(answer.result, seconds)
            if isinstance(answer.result, AffordanceError)
            else Reply(answer.result, answer.text, seconds)
            for answer in answers
        ]


def _refused(error: AffordanceError, seconds: float) -> Reply:
    if error.code in ACCIDENTS:
        raise error
    return Reply(error, error.text if isinstance(error, UnparsableAnswer) else None, seconds)


def _open_local(request: EngineRequest) -> Engine:
    return LocalEngine(
        load_model(request.model, request.checkpoint, request.device, request.dtype, **dict(request.options))
    )


ENGINES: Mapping[str, Callable[[EngineRequest], Engine]] = {'local': _open_local}


def open_engine(name: str, request: EngineRequest) -> Engine:
    """Return an engine that is ready to answer. Raises BAD_INPUT for an unknown one, and what loading raises."""
    if name not in ENGINES:
        raise AffordanceError(Code.BAD_INPUT, f'there is no engine {name!r}; known: {", ".join(ENGINES)}')
    return ENGINES[name](request)
