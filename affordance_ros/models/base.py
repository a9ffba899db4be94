# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every affordance model promises: load in the constructor, answer in `predict`, tell what it is in `describe`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.results import Frame, Prediction, Query

STAGES = ('preprocess', 'encode', 'generate', 'parse', 'refine')
QUANTIZATIONS = ('int8', 'int4')
ATTENTIONS = ('sdpa', 'eager', 'flash_attention_2')


@dataclass(frozen=True)
class Progress:
    """Where a running prediction is: stage (one of STAGES), fraction of the whole in [0, 1], text written so far."""

    stage: str
    fraction: float
    text: str = ''


ProgressCallback = Callable[[Progress], None]
StopFlag = Callable[[], bool]


@dataclass(frozen=True)
class LoadOptions:
    """What every model is loaded with; the configuration of a model adds its own fields.

    device: 'cpu', 'cuda', 'cuda:1' or 'auto' (spread over all GPUs). quantization: None, 'int8' or 'int4' (weights of
    the language model only). attention: the kernel of transformers, one of ATTENTIONS.
    """

    checkpoint: str | None = None
    device: str = 'cpu'
    dtype: str = 'float32'
    quantization: str | None = None
    attention: str = 'sdpa'

    def __post_init__(self) -> None:
        for name, value, known in (
            ('quantization', self.quantization or None, (None, *QUANTIZATIONS)),
            ('attention', self.attention, ATTENTIONS),
        ):
            if value not in known:
                raise AffordanceError(Code.BAD_INPUT, f'{name} {value!r} is unknown; known: {known}')


@dataclass(frozen=True)
class ModelInfo:
    """What is loaded, for logs, services and `affordance doctor`. memory_bytes counts parameters and buffers."""

    name: str
    parameters: int
    dtype: str
    device: str
    memory_bytes: int
    code_licence: str
    weights_licence: str
    repository: str
    checkpoint: str = ''
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


class AffordanceModel(Protocol):
    """The contract that `test/test_model_contract.py` holds every registered model to.

    outputs: names of the `Prediction` fields that an answer fills. `predict` never changes the frame, calls `stop`
    at least once per generated token and raises `AffordanceError(Code.CANCELED)` when it turns true.
    """

    outputs: frozenset[str]

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer `query` about one frame (or a clip, oldest first), in pixels of the original image."""
        ...

    def describe(self) -> ModelInfo:
        """Tell what is loaded."""
        ...


@dataclass(frozen=True)
class BatchAnswer:
    """One answer of a batch, or its refusal. text: what the model wrote, also where the prediction has the reading."""

    text: str
    result: Prediction | AffordanceError

    @classmethod
    def of(cls, text: str, read: Callable[[], Prediction]) -> 'BatchAnswer':
        """Return what `read` makes of a text; that it cannot be read is the answer too."""
        try:
            return cls(text, read())
        except UnparsableAnswer as error:
            return cls(text, error)


@runtime_checkable
class BatchModel(Protocol):
    """What a model may promise beside: answers to several questions at once, sooner than one by one."""

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer every question, in order, as `predict` does.

        An answer that cannot be read is a refusal in its place; anything else that `predict` raises is raised.
        """
        ...


def single_frame(frame: Frame | Sequence[Frame]) -> Frame:
    """Return the one frame that an image model looks at: the newest one of a clip."""
    if isinstance(frame, Frame):
        return frame
    if not frame:
        raise AffordanceError(Code.NO_IMAGE, 'the clip holds no frame; give at least one')
    return frame[-1]


def check_stop(stop: StopFlag | None) -> None:
    """Raise `CANCELED` when the caller wants no answer any more."""
    if stop is not None and stop():
        raise AffordanceError(Code.CANCELED, 'the request was canceled while the model was running')
