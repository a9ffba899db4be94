# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `zero_shot.py` of Affordance-R1 makes of answers to UMD and AGD20K.

The program has no way round an answer that it cannot read, or that names nothing: it stops there. Its figures are given
over the other questions, with the count of those that it stops at and the first exception.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from affordance_ros.errors import Code
from affordance_ros.evaluation.mask_benchmark import (
    ALL,
    UNREADABLE,
    answered,
    is_officially_read,
    is_unreadable,
    named,
    official_reading,
)
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.heatmap import Map
from affordance_ros.metrics.masks_official import official_map_overlap, official_zero_shot_score

_NAMES = {'giou': 'giou', 'ciou': 'ciou', 'p50': 'p_at_50', 'p50_95': 'p_at_50_95'}


def official_end(line: Json, run: Json) -> str | None:
    """Return the name of the exception that the program ends with at this answer, '' when it goes on.

    None: the answer says nothing about the program, as its question could not be asked, or its boxes have their corners
    in the wrong order, with which the program asks SAM 2.
    """
    if line['text'] is None or (line['outcome'] != Code.OK.name and not is_unreadable(line)):
        return None
    if not is_officially_read(run):
        return 'UnboundLocalError' if is_unreadable(line) or not line['things'] else ''
    try:
        read = official_reading(line['text'], tuple(line['size']))
    except UNREADABLE as error:
        return type(error).__name__
    if not read.boxes:
        return 'UnboundLocalError'  # it prints the last mask, and there is none
    return None if is_unreadable(line) else ''


def official_zero_shot(lines: Sequence[Json], run: Json, truth_of: Callable[[Json], Map]) -> Json:
    """Return the four figures over the answers that the program gets past, and counts.

    truth_of: gives the map (H, W) of 0 to 255 of a line, as the program has it.
    """
    ends = [official_end(line, run) for line in lines]
    stops = [end for end in ends if end]
    found = []
    for line, end in zip(lines, ends, strict=True):
        mask = answered(line)
        if end == '' and mask is not None:
            try:
                found.append(official_map_overlap(mask, truth_of(line)))
            except ValueError as error:
                stops.append(type(error).__name__)
    return {
        'official_unreadable': sum(is_unreadable(line) and bool(end) for line, end in zip(lines, ends, strict=True)),
        'official_left_out': len(lines) - len(found),
        **({'official_stops_with': stops[0], 'official_stops_at': len(stops)} if stops else {}),
        **named(official_zero_shot_score(found), 'official_'),
    }


def write_zero_shot_file(scores: Json, out: Path) -> tuple[Path, ...]:
    """Write the figures under the name and keys that the program uses for both data sets."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'stats_data_agd.json'
    figures = {theirs: scores[ALL][f'official_{ours}'] for ours, theirs in _NAMES.items()}
    known = {name: value if value == value else None for name, value in figures.items()}  # noqa: PLR0124 - NaN
    path.write_text(json.dumps(known, indent=4) + '\n')
    return (path,)
