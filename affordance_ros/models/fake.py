# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model without weights: the answer follows from the sentence alone. For tests, demos and bringing nodes up."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import (
    LoadOptions,
    ModelInfo,
    Progress,
    ProgressCallback,
    StopFlag,
    check_stop,
    single_frame,
)
from affordance_ros.results import FloatArray, Frame, Keypoints, Prediction, Query

_NUMBER = r'(-?\d+(?:\.\d+)?)'
_AT_PIXEL = re.compile(rf'\bat\s+{_NUMBER}\s*,\s*{_NUMBER}')
_STEP_S = 0.02


@dataclass(frozen=True)
class FakeConfig(LoadOptions):
    """delay_s: how long answers take; load_s: loading. fail: the code that `predict` raises. die: the process ends."""

    delay_s: float = 0.0
    load_s: float = 0.0
    fail: str = ''
    die: bool = False

    def __post_init__(self) -> None:
        if self.fail and self.fail not in Code.__members__:
            raise AffordanceError(
                Code.BAD_INPUT, f'fail={self.fail!r} is no code; known: {", ".join(Code.__members__)}'
            )


class Fake:
    """Points at every 'at U,V' of the sentence, else at the centre of the image; 'nothing' in the sentence: nowhere."""

    Config: ClassVar[type[FakeConfig]] = FakeConfig
    outputs = frozenset({'keypoints', 'text'})

    def __init__(self, config: FakeConfig) -> None:
        self._config = config
        time.sleep(config.load_s)

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer from the sentence alone, after `delay_s`, writing the text bit by bit."""
        start = time.perf_counter()
        image = single_frame(frame)
        report = progress or (lambda _: None)
        report(Progress('preprocess', 0.0))
        check_stop(stop)
        if self._config.die:
            os._exit(13)
        if self._config.fail:
            raise AffordanceError(Code[self._config.fail], f'the fake model was told to fail with {self._config.fail}')
        points, repairs = _points(query.sentence, image.width, image.height)
        text = str([(float(u), float(v)) for u, v in points])
        self._write(text, report, stop)
        report(Progress('parse', 1.0, text))
        seconds = {'total': time.perf_counter() - start}
        return Prediction(
            model='fake', query=query, text=text, keypoints=Keypoints(points), repairs=repairs, seconds=seconds
        )

    def _write(self, text: str, report: ProgressCallback, stop: StopFlag | None) -> None:
        end = time.monotonic() + self._config.delay_s
        while (left := end - time.monotonic()) > 0:
            done = 1 - left / self._config.delay_s
            report(Progress('generate', done, text[: int(done * len(text))]))
            check_stop(stop)
            time.sleep(min(_STEP_S, left))
        report(Progress('generate', 1.0, text))
        check_stop(stop)

    def describe(self) -> ModelInfo:
        """Tell that nothing is loaded."""
        return ModelInfo(
            name='fake',
            parameters=0,
            dtype=self._config.dtype,
            device=self._config.device,
            memory_bytes=0,
            code_licence='Apache-2.0',
            weights_licence='none',
            repository='this package',
            checked=('answers follow from the sentence alone',),
            unchecked=('it does not look at the image',),
            settings={'delay_s': str(self._config.delay_s), 'fail': self._config.fail},
        )


def _points(sentence: str, width: int, height: int) -> tuple[FloatArray, tuple[str, ...]]:
    if 'nothing' in sentence:
        return np.zeros((0, 2)), ()
    named = [(float(u), float(v)) for u, v in _AT_PIXEL.findall(sentence)]
    if not named:
        return np.array([[(width - 1) / 2, (height - 1) / 2]]), ()
    inside = [(u, v) for u, v in named if 0 <= u <= width - 1 and 0 <= v <= height - 1]
    dropped = len(named) - len(inside)
    return np.array(inside).reshape(-1, 2), ((f'{dropped} point(s) outside the image dropped',) if dropped else ())
