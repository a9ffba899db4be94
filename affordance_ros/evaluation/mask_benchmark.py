# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ReasonAff, UMD and AGD20K share: what is kept of an answer, its mask, the figures and rows of masks.

All masks of an answer together are one mask, as in the official programs of Affordance-R1. Masks are on disk in COCO's
uncompressed run-length code.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark_kind import PublishedTable, Row, times
from affordance_ros.evaluation.labels import decode_mask, encode_mask
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.masks import Mask, MaskScore, Overlap, mask_score, overlap, union_of
from affordance_ros.models.affordance_r1_official import SIDE, OfficialAnswer, official_parse
from affordance_ros.results import FloatArray, Prediction

ALL = 'all'
FIGURES = ('giou', 'ciou', 'p50', 'p50_95')
_PERCENT = 100.0
_HALF = 0.5
# What official_parse raises where the official programs do.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError)


def mask_record(prediction: Prediction) -> Json:
    """Return the mask of an answer, how many things it is of, and their boxes, points and scores.

    A model with a heat map and no masks answers with the pixels above a half.

    Raises:
        AffordanceError: BAD_INPUT for a model that gives neither.
    """
    masks, heatmap = prediction.masks, prediction.heatmap
    if masks is None and heatmap is None:
        raise AffordanceError(
            Code.BAD_INPUT,
            f'{prediction.model} gives no masks: add --option sam2=PATH (affordance_r1), or --option refine=sam2 '
            '--option sam2=PATH (any other model), see docs/models/sam2.md',
        )
    if masks is not None:
        mask, count, scores = union_of(masks.masks), len(masks), _numbers(masks.scores)
    else:
        mask = np.asarray(heatmap.values) > _HALF if heatmap is not None else np.zeros((0, 0), np.bool_)
        count, scores = int(mask.any()), []
    return {
        'mask': encode_mask(mask),
        'things': count,
        'scores': scores,
        'boxes_xyxy_px': None if prediction.boxes is None else prediction.boxes.boxes.tolist(),
        'keypoints_uv_px': None if prediction.keypoints is None else prediction.keypoints.points.tolist(),
    }


def _numbers(scores: FloatArray | None) -> list[float | None]:
    values = np.array([] if scores is None else scores, np.float64)
    return [float(value) if np.isfinite(value) else None for value in values]


def answered(line: Json) -> Mask | None:
    """Return the mask of an answer, None for one that could not be read or asked for."""
    return decode_mask(line['mask']) if line['outcome'] == Code.OK.name else None


def is_unreadable(line: Json) -> bool:
    """Whether the model wrote something that holds no answer."""
    return bool(line['outcome'] == Code.UNPARSABLE_ANSWER.name)


def fitting_overlap(line: Json, truth: Mask) -> Overlap | None:
    """Return how an answer covers the truth; None where the truth marks nothing or is of another size than the image.

    A question without an answer, for whatever reason, is one whose answer covers nothing.
    """
    size = line.get('size')
    if not truth.any() or (size is not None and (size[1], size[0]) != truth.shape):
        return None
    return overlap(answered(line), truth)


def right_figures(lines: Sequence[Json], overlaps: Sequence[Overlap | None]) -> Json:
    """Return counts and figures; `without_truth` questions are in no figure."""
    known = [each for each in overlaps if each is not None]
    return {
        'questions': len(lines),
        'outcomes': dict(Counter(line['outcome'] for line in lines)),
        'unreadable': sum(is_unreadable(line) for line in lines),
        'without_truth': len(overlaps) - len(known),
        **named(mask_score(known)),
    }


def named(score: MaskScore, prefix: str = '') -> Json:
    """Return the figures of a score by name."""
    return {f'{prefix}{name}': getattr(score, name) for name in FIGURES}


def mask_rows(scores: Json, published: PublishedTable) -> list[Row]:
    """Return four rows for each group, in per cent."""
    return [
        Row(
            group,
            score['questions'],
            score['unreadable'],
            name,
            times(score[name], _PERCENT),
            times(score.get(f'official_{name}'), _PERCENT),
            {model: row[name] for model, row in published.rows.items() if group == ALL and name in row},
            score['official_left_out'],
        )
        for group, score in scores.items()
        for name in FIGURES
    ]


def published_row(*values: float) -> dict[str, float]:
    """Return published figures by name."""
    return dict(zip(FIGURES, values, strict=True))


def is_officially_read(run: Json) -> bool:
    """Whether the official figures go by the text of the answers: only Affordance-R1 writes what its programs read."""
    return bool(run['model']['name'] == 'affordance_r1')


def official_reading(text: str, size: tuple[int, int]) -> OfficialAnswer:
    """Return boxes and points in pixels of an image (width, height). Raises one of `UNREADABLE` as officially."""
    return official_parse(text, size[0] / SIDE, size[1] / SIDE)


def blank(size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the mask of an answer that names nothing in an image (width, height)."""
    return np.zeros((size[1], size[0]), np.bool_)
