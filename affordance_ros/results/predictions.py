# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model answers: places in the image, words, or both."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import Code
from affordance_ros.results.checks import NAN, FloatArray, array_of, check, labels_of, scores_of
from affordance_ros.results.frames import Query


@dataclass(frozen=True)
class Heatmap:
    """values: float (H, W) in [0, 1] at the size of the original image."""

    values: FloatArray

    def __post_init__(self) -> None:
        values = array_of(self.values, (None, None), 'values')
        ok = values.size > 0 and bool(np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1)
        check(ok=ok, rule='heatmap values must be finite in [0, 1]', got=values.shape)
        object.__setattr__(self, 'values', values)


@dataclass(frozen=True)
class Keypoints:
    """points: (N, 2) pixels (u, v), best first. scores: (N,) or NaN. N may be 0: nothing was found."""

    points: FloatArray
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = array_of(self.points, (None, 2), 'points')
        check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'scores', scores_of(self.scores, len(points)))
        object.__setattr__(self, 'labels', labels_of(self.labels, len(points)))

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Boxes:
    """boxes: (N, 4) pixels xyxy with x1 >= x0 and y1 >= y0. scores: (N,) or NaN."""

    boxes: FloatArray
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        boxes = array_of(self.boxes, (None, 4), 'boxes')
        ok = bool(np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all())
        check(ok=ok, rule='boxes must be finite xyxy with x1 >= x0 and y1 >= y0', got=boxes.tolist())
        object.__setattr__(self, 'boxes', boxes)
        object.__setattr__(self, 'scores', scores_of(self.scores, len(boxes)))
        object.__setattr__(self, 'labels', labels_of(self.labels, len(boxes)))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Masks:
    """masks: bool (N, H, W) at the size of the original image. scores: (N,) or NaN."""

    masks: npt.NDArray[np.bool_]
    scores: FloatArray | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ok = self.masks.dtype == np.bool_ and self.masks.ndim == 3
        check(ok=ok, rule='masks must be bool (N, H, W)', got=f'{self.masks.dtype} {self.masks.shape}')
        object.__setattr__(self, 'scores', scores_of(self.scores, len(self.masks)))
        object.__setattr__(self, 'labels', labels_of(self.labels, len(self.masks)))

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True)
class Trace:
    """points: (N, 2) pixels in the order of motion."""

    points: FloatArray
    label: str = ''

    def __post_init__(self) -> None:
        object.__setattr__(self, 'points', array_of(self.points, (None, 2), 'points'))


@dataclass(frozen=True)
class HandTrajectory:
    """Future path of one hand in pixels. points: (N, 2). times_s: (N,) after the frame. side: 'left' or 'right'.

    Points may lie outside the image. spread_px: (N,) root mean square distance of the samples to their mean, or NaN.
    present: whether the hand is in the image, None: not judged. caveats: what is not known about the path.
    """

    points: FloatArray
    times_s: FloatArray
    side: str
    spread_px: FloatArray | None = None
    present: bool | None = None
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = array_of(self.points, (None, 2), 'points')
        check(ok=self.side in ('left', 'right'), rule="side must be 'left' or 'right'", got=self.side)
        check(ok=bool(np.isfinite(points).all()), rule='points must be finite', got=points.tolist())
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'times_s', array_of(self.times_s, (len(points),), 'times_s'))
        object.__setattr__(self, 'spread_px', scores_of(self.spread_px, len(points)))

    def __len__(self) -> int:
        return len(self.points)

    def inside(self, width: int, height: int) -> npt.NDArray[np.bool_]:
        """Return (N,): which points lie in an image of this size."""
        points = np.asarray(self.points)
        return np.asarray(((points >= 0) & (points < (width, height))).all(axis=1))


@dataclass(frozen=True)
class Prediction:
    """What a model answered: None where it gives no such thing, empty where it found nothing.

    confidence: mean probability of the tokens of the answer in [0, 1], NaN where the model writes no text.
    """

    model: str
    query: Query
    text: str = ''
    reasoning: str = ''
    heatmap: Heatmap | None = None
    keypoints: Keypoints | None = None
    boxes: Boxes | None = None
    masks: Masks | None = None
    traces: tuple[Trace, ...] | None = None
    hands: tuple[HandTrajectory, ...] | None = None
    repairs: tuple[str, ...] = ()
    confidence: float = NAN
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'seconds', dict(self.seconds))

    @property
    def in_words(self) -> bool:
        """Whether the answer is words and names no place by its nature: a choice, a decision, a plan."""
        places = (self.heatmap, self.keypoints, self.boxes, self.masks, self.traces, self.hands)
        return bool(self.text) and all(field is None for field in places)

    @property
    def names_a_place(self) -> bool:
        """Whether there is a point, box, mask, path or a map that is not zero everywhere."""
        listed = (self.keypoints, self.boxes, self.masks, self.traces, self.hands)
        return any(listed) or (self.heatmap is not None and bool(np.any(self.heatmap.values)))

    @property
    def why_empty(self) -> tuple[Code, str]:
        """Code and sentence for an answer without any place: of a repair that begins with a code, or a general one."""
        for repair in self.repairs:
            name, colon, sentence = repair.partition(': ')
            if colon and name in Code.__members__:
                return Code[name], sentence
        sentence = f'{self.model} found nothing for {self.query.sentence!r}; rephrase it or move the camera'
        return Code.EMPTY_MODEL_OUTPUT, sentence
