# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thresholds that decide whether a run is good enough, and the comparison of two runs.

A gate names a number of the run ('answered_ratio', 'seconds.total.p90', 'scores.point_error_mm.median') and its
`min` or `max`. Every number of `metrics.json` can be one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from affordance_ros.errors import AffordanceError, Code

# Where more is better; everything else is an error, a time or a count of refusals.
BETTER_HIGH = (
    'answered_ratio', 'depth_ratio', 'confidence', 'agreement', 'outcomes.OK', 'accuracy', 'iou', 'success', 'holds',
    'heatmap_sim', 'heatmap_nss', '.sim', '.nss', '.sim_part', '_bleu', 'per_second', 'per_second_together',
)  # fmt: skip
BETTER_LOW = ('ece', 'brier')  # also of what is better when it is high
# What a run was asked, not how well it answered.
NEITHER = (
    'count', 'questions', 'labelled', 'pairs', 'segments', 'in_bag', 'with_depth', 'asked', 'bias', 'hands',
    'processes', 'mean_points', 'official_left_out', 'official_used',
)  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """name: dotted path of a number. least, most: bounds, NaN: none."""

    name: str
    least: float = math.nan
    most: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """How one gate ended. value: NaN when the run has no such number, which fails."""

    name: str
    value: float
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Change:
    """One number of two runs. better: None when it did not change beyond the margin."""

    name: str
    first: float
    second: float
    better: bool | None


def read_gates(path: Path) -> tuple[Gate, ...]:
    """Read a YAML mapping of names to {min: ..., max: ...}. Raises BAD_INPUT."""
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no file of gates at {path}')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} is no valid YAML: {error}') from error
    if not isinstance(content, dict) or not content:
        raise AffordanceError(Code.BAD_INPUT, f'{path} must map names to {{min: ..., max: ...}}')
    return tuple(_gate(str(name), bounds, path) for name, bounds in content.items())


def _gate(name: str, bounds: Any, path: Path) -> Gate:
    fits = isinstance(bounds, dict) and bounds and set(bounds) <= {'min', 'max'}
    if not fits or not all(isinstance(value, int | float) for value in bounds.values()):
        raise AffordanceError(Code.BAD_INPUT, f'{path}: {name} must be {{min: number, max: number}}, got {bounds}')
    return Gate(name, float(bounds.get('min', math.nan)), float(bounds.get('max', math.nan)))


def judge(gates: Sequence[Gate], metrics: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Hold the numbers of a run against the gates."""
    numbers = flatten(metrics)
    return tuple(_judge(gate, numbers.get(gate.name, math.nan)) for gate in gates)


def _judge(gate: Gate, value: float) -> Verdict:
    if math.isnan(value):
        return Verdict(gate.name, value, passed=False, sentence=f'{gate.name}: the run has no such number')
    for bound, fails, word in ((gate.least, value < gate.least, 'at least'), (gate.most, value > gate.most, 'at most')):
        if not math.isnan(bound) and fails:
            return Verdict(gate.name, value, passed=False, sentence=f'{gate.name} is {value:g}, not {word} {bound:g}')
    return Verdict(gate.name, value, passed=True, sentence=f'{gate.name} is {value:g}')


def compare(first: Mapping[str, Any], second: Mapping[str, Any], margin: float) -> tuple[Change, ...]:
    """Return every number that both runs have. margin: share of the first value by which it may differ."""
    before, after = flatten(first), flatten(second)
    return tuple(_change(name, before[name], after[name], margin) for name in before if name in after)


def _change(name: str, first: float, second: float, margin: float) -> Change:
    if name.rpartition('.')[2] in NEITHER:
        return Change(name, first, second, None)
    if math.isnan(first) or math.isnan(second) or abs(second - first) <= margin * max(abs(first), 1e-9):
        return Change(name, first, second, None)
    better_low = name.rpartition('.')[2] in BETTER_LOW
    # In scores, p50 is the share of masks with an IoU above a half; elsewhere it is the median of a time.
    share = name.startswith('scores.') and name.endswith(('p50', 'p50_95'))
    known_high = share or any(name.endswith(word) or f'{word}.' in name for word in BETTER_HIGH)
    higher_is_better = known_high and not better_low
    return Change(name, first, second, (second > first) == higher_is_better)


def flatten(metrics: Mapping[str, Any], prefix: str = '') -> dict[str, float]:
    """Return the numbers of nested mappings by dotted names; null is NaN."""
    flat: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f'{prefix}{name}.')
        elif value is None:
            flat[prefix + name] = math.nan
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[prefix + name] = float(value)
    return flat
