# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `zero_shot.py` of Affordance-R1 makes of answers to UMD and AGD20K.

The program has no way round an answer that it cannot read, or that names nothing: it stops there. Its figures are given
over the other questions, with the count of those that it stops at and the first exception.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from affordance_ros.errors import Code
from affordance_ros.evaluation.mask_benchmark import (
    UNREADABLE,
    answered,
    is_officially_read,
    is_unreadable,
    named,
    official_reading,
)
from affordance_ros.evaluation.records import Json
from affordance_ros.metrics.heatmap import Map
from affordance_ros.metrics.masks import Overlap
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


@dataclass(frozen=True)
class OfficialCount:
    """What the program makes of an answer. found: IoU and pixels, None where it has none. stops: its exception, or ''.

    unreadable: it stops at this answer as it cannot read it.
    """

    found: tuple[float, Overlap] | None
    stops: str
    unreadable: bool


def official_count(line: Json, run: Json, truth_of: Callable[[Json], Map]) -> OfficialCount:
    """Return what the program makes of an answer. truth_of: the map (H, W) of 0 to 255, as the program has it."""
    end, mask = official_end(line, run), answered(line)
    if end != '' or mask is None:
        return OfficialCount(None, end or '', bool(end) and is_unreadable(line))
    try:
        return OfficialCount(official_map_overlap(mask, truth_of(line)), '', unreadable=False)
    except ValueError as error:
        return OfficialCount(None, type(error).__name__, unreadable=False)


def official_zero_shot(counts: Sequence[OfficialCount]) -> Json:
    """Return the four figures over the answers that the program gets past, and counts."""
    stops = [count.stops for count in counts if count.stops]
    found = [count.found for count in counts if count.found is not None]
    return {
        'official_unreadable': sum(count.unreadable for count in counts),
        'official_left_out': len(counts) - len(found),
        **({'official_stops_with': stops[0], 'official_stops_at': len(stops)} if stops else {}),
        **named(official_zero_shot_score(found), 'official_'),
    }


def write_zero_shot_file(counts: Sequence[OfficialCount], out: Path) -> tuple[Path, ...]:
    """Write the figures under the name and keys that the program uses for both data sets."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'stats_data_agd.json'
    official = official_zero_shot(counts)
    figures = {theirs: official[f'official_{ours}'] for ours, theirs in _NAMES.items()}
    known = {name: value if value == value else None for name, value in figures.items()}  # noqa: PLR0124 - NaN
    path.write_text(json.dumps(known, indent=4) + '\n')
    return (path,)
