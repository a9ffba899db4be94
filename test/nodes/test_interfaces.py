# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every interface is commented, survives the wire with every field set, and has the constants that the code means."""

import importlib
import random
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for kind in ('msg', 'srv', 'action') for path in (ROOT / kind).iterdir())
SEQUENCE = re.compile(r'^sequence<(.+?)(?:, \d+)?>$')
ARRAY = re.compile(r'^(.+)\[(\d+)\]$')


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_field_has_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith('# '), 'the first line says what it is'
    for line in lines:
        if line and line[0].isalpha() and '=' not in line.split('#')[0]:
            assert '#' in line, line


def fill(kind: str, rng: random.Random) -> Any:
    """Return a random value of a ROS type name."""
    if found := SEQUENCE.match(kind):
        return [fill(found.group(1), rng) for _ in range(2)]
    if found := ARRAY.match(kind):
        return [fill(found.group(1), rng) for _ in range(int(found.group(2)))]
    if kind == 'boolean':
        return bool(rng.getrandbits(1))
    if kind == 'string':
        return f'text {rng.getrandbits(30)} äß'
    if kind in ('float', 'double'):
        return rng.randint(-1000, 1000) / 8  # exact in 32 bits
    if found := re.match(r'^(u?)int(\d+)$', kind):
        bits = int(found.group(2))
        return rng.getrandbits(bits) if found.group(1) else rng.getrandbits(bits - 1)
    if kind == 'octet':
        return bytes([rng.getrandbits(8)])
    package, name = kind.split('/')
    return filled(getattr(importlib.import_module(f'{package}.msg'), name), rng)


def filled(kind: Any, rng: random.Random) -> Any:
    """Return a message with every field set."""
    message = kind()
    for name, type_name in kind.get_fields_and_field_types().items():
        setattr(message, name, fill(type_name, rng))
    return message


def parts_of(path: Path) -> list[Any]:
    """Return the message classes of an interface file."""
    pytest.importorskip('rclpy')
    module = pytest.importorskip(
        f'affordance_ros.{path.parent.name}', reason='the interfaces are not built: make setup'
    )
    kind = getattr(module, path.stem)
    names = {'msg': (), 'srv': ('Request', 'Response'), 'action': ('Goal', 'Result', 'Feedback')}[path.parent.name]
    return [getattr(kind, name) for name in names] or [kind]


@pytest.mark.ros
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_field_survives_the_wire(path: Path) -> None:
    parts = parts_of(path)
    from rclpy.serialization import deserialize_message, serialize_message

    rng = random.Random(7)
    for kind in parts:
        before = filled(kind, rng)
        after = deserialize_message(serialize_message(before), kind)
        assert after == before
        assert before != kind() or not kind.get_fields_and_field_types()


@pytest.mark.ros
def test_constants_are_what_the_code_takes_them_for() -> None:
    pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')
    from affordance_ros.action import PlanGrasps, PredictAffordance

    from affordance_ros import msg
    from affordance_ros.errors import Code
    from affordance_ros.models.base import STAGES
    from affordance_ros.nodes import conversions as convert

    for code in Code:
        assert getattr(msg.Outcome, code.name) == code.value
    assert {getattr(msg.Contact, f'METHOD_{name.upper()}'): name for name in convert.METHODS} == {
        value: name for name, value in convert.METHODS.items()
    }
    assert set(convert.STAGES) == set(STAGES)
    for feedback in (PredictAffordance.Feedback, PlanGrasps.Feedback):
        assert all(getattr(feedback, name.upper()) == value for name, value in convert.STAGES.items())
        assert (feedback.WAITING, feedback.QUEUED) == (PlanGrasps.Feedback.WAITING, PlanGrasps.Feedback.QUEUED)
