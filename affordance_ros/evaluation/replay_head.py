# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The head of a replay's page: what was asked of what with what, and what became of the frames and the questions."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from affordance_ros.evaluation.records import Json
from affordance_ros.page import pairs, table

REPEATED = (
    'Two runs on one machine give the same answers.jsonl byte by byte. Another machine, number type, torch release or '
    'number of threads may round differently, which can change single words of an answer.'
)
REPEATED_LIVE = (
    'One frame at a time, the answers are those of the offline replay up to the 32-bit numbers of the messages. '
    'In real time, which frames are answered depends on the load of the machine.'
)


def head(run: Json, metrics: Mapping[str, Any]) -> str:
    """Return the facts about the bag, its frames, the model and this machine, two by two."""
    cards = [('Bag', _bag(run)), ('Frames and questions', _frames(metrics)), ('Model', _model(run)), ('Run', _run(run))]
    cells = ''.join(f'<div class="card"><b>{name}</b>{pairs(lines)}</div>' for name, lines in cards)
    style = 'display:grid;grid-template-columns:repeat(auto-fit,minmax(430px,1fr));gap:0 14px'
    return f'<div style="{style}">{cells}</div>'


def parameters(run: Json) -> str:
    """Return every parameter of the pipeline and of the model, folded."""
    lines = flat({name: run.get(name, {}) for name in ('pipeline', 'model', 'frames', 'prompts')})
    note = REPEATED if run.get('mode', 'offline') == 'offline' else REPEATED_LIVE
    body = f'<details><summary>{len(lines)} parameters</summary>{pairs(lines)}</details>'
    return f'{body}<p class="dim">{html.escape(note)}</p>'


def flat(run: Mapping[str, Any], prefix: str = '') -> dict[str, str]:
    """Return nested values by dotted names, without empty ones."""
    lines: dict[str, str] = {}
    for name, value in run.items():
        if isinstance(value, Mapping):
            lines |= flat(value, f'{prefix}{name}.')
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            lines |= flat({str(index): item for index, item in enumerate(value)}, f'{prefix}{name}.')
        elif value not in ('', None, []):
            lines[prefix + name] = _text(value)
    return lines


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.6g}'
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)


def _bag(run: Json) -> dict[str, str]:
    topics = {f'{name} topic': topic for name, topic in run.get('topics', {}).items() if topic}
    known = {'name': run['bag'], 'fingerprint': run['bag_fingerprint'], **topics}
    return known | ({'target frame': run['target_frame']} if run.get('target_frame') else {})


def _frames(metrics: Mapping[str, Any]) -> dict[str, str]:
    frames, outcomes = metrics.get('frames', {}), metrics.get('outcomes', {})
    names = {'in_bag': 'in the bag', 'with_depth': 'paired with depth', 'asked': 'asked about'}
    lines = {text: str(frames[name]) for name, text in names.items() if name in frames}
    lost = {'dropped': 'dropped while the graph was busy', 'unreadable': 'unreadable'}
    lines |= {text: str(frames[name]) for name, text in lost.items() if frames.get(name) or name == 'dropped'}
    refused = {code: count for code, count in outcomes.items() if code != 'OK'}
    lines['questions'] = str(metrics.get('questions', 0))
    lines['answered'] = str(outcomes.get('OK', 0))
    by_code = ', '.join(f'{count} {code}' for code, count in refused.items())
    lines['abstained'] = f'{sum(refused.values())}{f" ({by_code})" if by_code else ""}'
    return lines


def _model(run: Json) -> dict[str, str]:
    model = run['model']
    lines = {'name': model['name'], 'checkpoint': model.get('checkpoint', '')}
    lines['checkpoint fingerprint'] = run.get('checkpoint_fingerprint', '')
    lines['runs on'] = f'{model.get("device", "")}, {model.get("dtype", "")}'
    if model.get('parameters'):
        lines['size'] = f'{model["parameters"] / 1e6:.1f} million parameters'
    lines['options'] = ', '.join(f'{name}={value}' for name, value in run.get('options', {}).items())
    return {name: value for name, value in lines.items() if value}


def _run(run: Json) -> dict[str, str]:
    versions = ', '.join(f'{name} {version}' for name, version in run.get('versions', {}).items())
    gripper = run.get('pipeline', {}).get('gripper', {}).get('name', '')
    lines = {'mode': run.get('mode', 'offline'), 'seed': str(run.get('seed', 0)), 'gripper': gripper}
    frames = run.get('frames', {}).get('kind', 'all')
    return {**lines, 'frames chosen': frames, 'versions': versions}


def scores(found: Mapping[str, Any]) -> str:
    """Return what the labels say about the answers."""
    counts = {name: str(value) for name, value in found.items() if not isinstance(value, Mapping)}
    rows = [
        (html.escape(name), *(value_of(spread[key]) for key in ('count', 'mean', 'median', 'p90')))
        for name, spread in found.items()
        if isinstance(spread, Mapping) and 'median' in spread
    ]
    body = pairs(counts) + (table(('measure', 'answers', 'mean', 'median', 'p90'), rows) if rows else '')
    return body + (table(('all masks', ''), _rows(found['masks'])) if 'masks' in found else '')


def _rows(found: Mapping[str, float]) -> Sequence[tuple[str, str]]:
    return [(html.escape(name), value_of(value)) for name, value in found.items()]


def value_of(value: float | None) -> str:
    """Return a number with three digits, a dash where there is none."""
    return f'{value:.3g}' if value is not None and value == value else '&ndash;'
