# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks for the answer of any model: `load_model('robopoint', ..., refine='sam2', sam2='FILE or FOLDER')`.

`Refined` wraps a loaded model and keeps its contract; the model class knows nothing of it. Every keypoint and every box
of the answer becomes one mask: keypoints in their order, then boxes. Where the answer gives a box and a point for each
thing (as many, with the same labels, every point in its own box), the pair is one prompt and one mask.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import (
    AffordanceModel,
    BatchAnswer,
    BatchModel,
    ModelInfo,
    Progress,
    ProgressCallback,
    StopFlag,
    check_stop,
    single_frame,
)
from affordance_ros.results import Boxes, Frame, Heatmap, Keypoints, Masks, Prediction, Query

REFINEMENTS = ('sam2', 'sam')
PLACES = frozenset({'keypoints', 'boxes', 'heatmap'})
_SHARE = 0.9  # of the progress that the model itself may use


@dataclass(frozen=True)
class RefineOptions:
    """refine: one of REFINEMENTS, None: no refinement. sam2: a `.pt` or a folder of SAM 2. sam: a `sam_vit_*.pth`.

    sam_precision: 'precise' (float32) or 'official' (bfloat16 autocast, SAM 2 only).
    """

    refine: str | None = None
    sam2: str | None = None
    sam: str | None = None
    sam_precision: str = 'precise'

    def __post_init__(self) -> None:
        if self.refine and self.refine not in REFINEMENTS:
            raise AffordanceError(Code.BAD_INPUT, f'refine {self.refine!r} is unknown; known: {", ".join(REFINEMENTS)}')
        if self.refine and not getattr(self, self.refine):
            raise AffordanceError(
                Code.MISSING_WEIGHTS,
                f'refine={self.refine!r} needs {self.refine}=: the path of its checkpoint (docs/models/sam2.md)',
            )

    def check(self, name: str, outputs: frozenset[str]) -> None:
        """Raise BAD_INPUT when a model gives nothing that a mask can be made of."""
        if self.refine and not outputs & PLACES:
            raise AffordanceError(
                Code.BAD_INPUT, f'{name} gives no keypoints, boxes or heatmap that {self.refine} could refine'
            )


def load_segmenter(options: RefineOptions, device: str) -> Any:
    """Return the segmenter that `refine` names, None for none. It loads in seconds, so it goes before the model."""
    if options.refine == 'sam2':
        from affordance_ros.models.parts.sam2 import Sam2

        return Sam2(str(options.sam2), _device(device), options.sam_precision)
    if options.refine == 'sam':
        from affordance_ros.models.parts.sam1 import Sam1

        return Sam1(str(options.sam), _device(device))
    return None


def _device(name: str) -> str:
    """Return one device for the segmenter: it is small, so 'auto' means the first GPU."""
    if name != 'auto':
        return name
    import torch

    return 'cuda' if torch.cuda.is_available() else 'cpu'


class Refined:
    """A model whose answers get masks from a segmenter (`parts.segmenting.Segmenter`)."""

    def __init__(self, model: AffordanceModel, segmenter: Any) -> None:
        self.model = model
        self.segmenter = segmenter
        self.outputs = model.outputs | {'masks'}

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer as the model does, then add `masks`; an answer without any place gets an empty result."""
        report = progress or (lambda _: None)

        def inner(step: Progress) -> None:
            report(replace(step, fraction=_SHARE * step.fraction))

        return self._refined(frame, self.model.predict(frame, query, progress=inner, stop=stop), report, stop)

    def _refined(
        self, frame: Frame | Sequence[Frame], prediction: Prediction, report: ProgressCallback, stop: StopFlag | None
    ) -> Prediction:
        start = time.perf_counter()
        check_stop(stop)
        report(Progress('refine', _SHARE, prediction.text))
        rgb = single_frame(frame).rgb
        masks = self._masks(rgb, prediction, stop)
        report(Progress('refine', 1.0, prediction.text))
        spent = time.perf_counter() - start
        seconds = {**prediction.seconds, 'refine': spent}
        if 'total' in seconds:
            seconds['total'] += spent
        return replace(prediction, masks=masks, seconds=seconds)

    def describe(self) -> ModelInfo:
        """Tell what is loaded, the segmenter included."""
        from affordance_ros.models.parts.device import count_memory

        info = self.model.describe()
        parameters, memory = count_memory(self.segmenter.parts)
        settings: Mapping[str, str] = {
            **info.settings, 'refine': self.segmenter.name, self.segmenter.name: self.segmenter.source,
        }  # fmt: skip
        return replace(
            info,
            parameters=info.parameters + parameters,
            memory_bytes=info.memory_bytes + memory,
            settings=settings,
            unchecked=(*info.unchecked, 'how well the masks fit real objects'),
        )

    def _masks(self, rgb: npt.NDArray[np.uint8], prediction: Prediction, stop: StopFlag | None) -> Masks | None:
        points, boxes = prediction.keypoints, prediction.boxes
        if points is None and boxes is None:
            if prediction.heatmap is None:
                return None
            points = _peak(prediction.heatmap)
        points, boxes = points or Keypoints(np.zeros((0, 2))), boxes or Boxes(np.zeros((0, 4)))
        if _paired(points, boxes):
            return self._segment(rgb, (boxes.boxes, points.points), (boxes.scores, boxes.labels), stop)
        return _joined(
            self._segment(rgb, (None, points.points), (points.scores, points.labels), stop),
            self._segment(rgb, (boxes.boxes, None), (boxes.scores, boxes.labels), stop),
        )

    def _segment(
        self, rgb: npt.NDArray[np.uint8], prompts: tuple[Any, Any], kept: tuple[Any, Any], stop: StopFlag | None
    ) -> Masks:
        """Return the masks of prompts (boxes, points) with the scores and labels of the answer where it has any."""
        from affordance_ros.models.parts.segmenting import MaskPrompts

        found = self.segmenter.segment(rgb, MaskPrompts(*prompts), stop)
        scores, labels = kept
        own = np.asarray(scores)
        return Masks(found.masks, np.where(np.isfinite(own), own, np.asarray(found.scores)), labels)


class RefinedBatches(Refined):
    """The same around a model that answers several questions at once."""

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer as the model does, then add `masks` to every answer that could be read."""
        answers = cast(BatchModel, self.model).predict_batch(questions, stop=stop)
        return [
            answer
            if isinstance(answer.result, AffordanceError)
            else replace(answer, result=self._refined(frame, answer.result, lambda _: None, stop))
            for (frame, _), answer in zip(questions, answers, strict=True)
        ]


def refined(model: AffordanceModel, segmenter: Any) -> Refined:
    """Return a model whose answers get masks; it answers batches where the model does."""
    return (RefinedBatches if isinstance(model, BatchModel) else Refined)(model, segmenter)


def _peak(heatmap: Heatmap) -> Keypoints:
    """Return the highest pixel of a heatmap, or nothing where it is empty."""
    values = np.asarray(heatmap.values)
    v, u = np.unravel_index(int(values.argmax()), values.shape)
    if values[v, u] <= 0:
        return Keypoints(np.zeros((0, 2)))
    return Keypoints(np.array([[u, v]]), np.array([values[v, u]]))


def _paired(points: Keypoints, boxes: Boxes) -> bool:
    """Tell whether the answer names each thing by a box and a point."""
    if len(points) != len(boxes) or not len(points) or points.labels != boxes.labels:
        return False
    at, around = np.asarray(points.points), np.asarray(boxes.boxes)
    return bool(((at >= around[:, :2]) & (at <= around[:, 2:])).all())


def _joined(first: Masks, second: Masks) -> Masks:
    if not len(second):
        return first
    if not len(first):
        return second
    return Masks(
        np.concatenate([first.masks, second.masks]),
        np.concatenate([np.asarray(first.scores), np.asarray(second.scores)]),
        first.labels + second.labels,
    )
