# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of a replayed answer its line does not hold: heatmaps as 16-bit PNG beside it, masks as run-length codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.evaluation.attachments import Attachment, content_of, located, stored
from affordance_ros.evaluation.labels import decode_mask, encode_mask
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.pipeline import Answer

FULL = 65535  # the grey level of 1.0


def with_large_parts(record: Json, answer: Answer, folder: RunFolder) -> Json:
    """Return the line of an answer with its masks, and the name of the file that its heatmap is written to."""
    prediction = answer.prediction
    heatmap = None if prediction.heatmap is None else Attachment(_png(prediction.heatmap.values), '.png')
    masks = None if prediction.masks is None else [encode_mask(mask) for mask in prediction.masks.masks]
    large = {'heatmap': heatmap, 'masks': masks}
    return stored({**record, 'prediction': {**record['prediction'], **large}}, folder.path)


def heatmap_of(line: Json, folder: RunFolder) -> npt.NDArray[np.float64] | None:
    """Return the heatmap (H, W) in [0, 1] of an answer, None when there is none. Raises BAD_INPUT when it is gone."""
    found = _prediction(line).get('heatmap')
    if found is None:
        return None
    content = content_of(located({'heatmap': found}, folder.path)['heatmap'])
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(image, np.float64) / FULL


def mask_of(line: Json) -> npt.NDArray[np.bool_] | None:
    """Return the union (H, W) of the masks of an answer, None when there is none."""
    codes: Sequence[Mapping[str, Any]] = _prediction(line).get('masks') or ()
    return np.logical_or.reduce([decode_mask(code) for code in codes]) if codes else None


def _prediction(line: Json) -> Json:
    return line['prediction'] or {}


def _png(values: npt.ArrayLike) -> bytes:
    grey = np.rint(np.asarray(values) * FULL).astype(np.uint16)
    return bytes(cv2.imencode('.png', grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
