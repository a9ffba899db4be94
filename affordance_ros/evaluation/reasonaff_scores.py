# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ReasonAff scored, right and as evaluation_aff_r1.py and calculate_iou.py of Affordance-R1 do it."""

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affordance_ros.errors import Code
from affordance_ros.evaluation.labels import decode_mask
from affordance_ros.evaluation.mask_benchmark import (
    ALL,
    UNREADABLE,
    answered,
    blank,
    fitting_overlap,
    is_officially_read,
    is_unreadable,
    named,
    official_reading,
    right_figures,
)
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.masks import Overlap
from affordance_ros.metrics.masks_official import official_overlap, official_reasonaff_score
from affordance_ros.models.affordance_r1_official import OfficialAnswer


def score_reasonaff(lines: Sequence[Json], run: Json) -> Json:
    """Return the figures of all questions."""
    overlaps = [fitting_overlap(line, decode_mask(line['truth']['mask'])) for line in lines]
    return {ALL: {**right_figures(lines, overlaps), **_official(lines, run)}}


def _official(lines: Sequence[Json], run: Json) -> Json:
    records = [official_record(line, run) for line in lines]
    known = [record for record in records if record is not None]
    counts = {
        'official_unreadable': sum(
            is_unreadable(line) and record is not None for line, record in zip(lines, records, strict=True)
        ),
        'official_left_out': len(lines) - len(known),
    }
    if any(line['truth']['bboxes'] is None for line in lines):  # literal_eval(None), which nothing catches
        return {**counts, 'official_stops_with': 'ValueError'}
    overlaps = [Overlap(record['intersection'], record['union']) for record in known]
    return {**counts, **named(official_reasonaff_score(overlaps), 'official_')}


def official_record(line: Json, run: Json) -> Json | None:
    """Return the record that the official program writes of a question, None for one that it leaves out.

    Left out are also answers whose boxes have their corners in the wrong order: the official program hands them to
    SAM 2, which is not asked here.
    """
    truth = line['truth']
    size, mask = (truth['width'], truth['height']), decode_mask(truth['mask'])
    if line['text'] is None or (line['outcome'] != Code.OK.name and not is_unreadable(line)):
        return None
    try:
        read = official_reading(line['text'], size) if is_officially_read(run) else OfficialAnswer((), ())
    except UNREADABLE:
        # The union is the sum of the values of the mask, which is more than its pixels when they are 255.
        counts = {'intersection': 0, 'union': truth['value_sum'], 'bbox_iou': 0.0}
        return {'image_id': truth['id'], 'think': '', **counts}
    answer = answered(line)
    if answer is None and read.boxes:
        return None
    pixels = official_overlap(blank(size) if answer is None else answer, mask)
    return None if pixels is None else _record(truth, read, pixels)


def _record(truth: Json, read: OfficialAnswer, pixels: Overlap) -> Json:
    return {
        'image_id': truth['id'],
        'think': read.think,
        'rething': read.rethink,  # as it is spelled there
        'bboxes': [list(box) for box in read.boxes],
        'points': [list(point) for point in read.points],
        'intersection': pixels.intersection,
        'union': pixels.union,
        'bbox_iou': 0.0,  # the true boxes are text there, so that their comparison fails and is caught
        'bboxes_gt': _true_boxes(truth['bboxes']),
    }


def _true_boxes(text: Any) -> list[list[Any]] | None:
    try:
        pairs = ast.literal_eval(text)
        return [[*first, *second] for first, second in pairs]
    except (ValueError, TypeError, SyntaxError):
        return None


def write_reasonaff_file(lines: Sequence[Json], run: Json, out: Path) -> tuple[Path, ...]:
    """Write the answer file that calculate_iou.py reads."""
    out.mkdir(parents=True, exist_ok=True)
    records = [record for record in (official_record(line, run) for line in lines) if record is not None]
    path = out / 'output_0.json'
    path.write_text(json.dumps(records, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    return (path,)
