# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The answers of a run for spreadsheets (CSV) and for CI servers (JUnit XML)."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from affordance_ros.evaluation.gates import Verdict
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.summary import best_contact

COLUMNS = (
    'stamp_ns', 'frame_index', 'prompt', 'query', 'outcome', 'message', 'targets', 'score', 'width_m',
    'x_m', 'y_m', 'z_m', 'pixel_u', 'pixel_v', 'confidence', 'seconds', 'text',
)  # fmt: skip


def write_csv(path: Path, answers: Iterable[Json], times: Iterable[Json]) -> None:
    """Write one row per answer; points are in the camera's optical frame."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(line, took) for line, took in zip(answers, times, strict=True))


def _row(line: Json, took: Json) -> list[object]:
    contact, prediction = best_contact(line) or {}, line['prediction'] or {}
    best = line['targets'][0] if line['targets'] else {}
    place = (*contact.get('point_m', ('', '', '')), *contact.get('pixel_uv_px', ('', '')))
    return [
        line['stamp_ns'], line['frame_index'], line['prompt'], line['query'], line['outcome'], line['message'],
        len(line['targets']), best.get('score', ''), best.get('width_m', ''), *place,
        prediction.get('confidence', ''), round(took['seconds'].get('total', 0.0), 6), prediction.get('text', ''),
    ]  # fmt: skip


def write_junit(path: Path, name: str, verdicts: Sequence[Verdict]) -> None:
    """Write one test case per gate; without gates one that says that the run came to its end."""
    suite = ElementTree.Element(
        'testsuite',
        name=name,
        tests=str(max(len(verdicts), 1)),
        failures=str(sum(not item.passed for item in verdicts)),
    )
    for item in verdicts:
        case = ElementTree.SubElement(suite, 'testcase', classname=name, name=item.name)
        if not item.passed:
            ElementTree.SubElement(case, 'failure', message=item.sentence)
    if not verdicts:
        ElementTree.SubElement(suite, 'testcase', classname=name, name='completed')
    ElementTree.indent(suite)
    ElementTree.ElementTree(suite).write(path, encoding='utf-8', xml_declaration=True)
