# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/ros_api.md names every parameter with its default, every name that a node opens, and every launch argument."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from affordance_ros.nodes import parameters  # noqa: E402

pytestmark = pytest.mark.ros
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'ros_api.md').read_text()
KINDS = {
    'affordance_node': parameters.AffordanceParameters,
    'target_node': parameters.TargetParameters,
    'overlay_node': parameters.OverlayParameters,
    'scene_node': parameters.SceneParameters,
}


def rows(node: str) -> dict[str, list[str]]:
    """Return the cells of the parameter table by parameter name."""
    lines = [line.strip('| ').split(' | ') for line in PAGE.split('## Parameters')[1].splitlines() if '|' in line]
    return {cells[1].strip('`'): cells for cells in lines if cells[0] == f'`{node}`'}


@pytest.mark.parametrize('node', KINDS)
def test_parameters_are_those_of_the_node(node: str) -> None:
    told = rows(node)
    assert list(told) == [parameters.ros_name(entry.name) for entry in fields(KINDS[node])]
    for entry in fields(KINDS[node]):
        _, _, default, live, meaning = told[parameters.ros_name(entry.name)]
        value = str(entry.default).lower() if isinstance(entry.default, bool) else str(entry.default)
        assert (default.strip('`') if default != 'empty' else '') == value, entry.name
        assert (live.strip() == 'live') == entry.metadata['live'], entry.name
        assert meaning == entry.metadata['doc'], entry.name


@pytest.mark.parametrize('node', KINDS)
def test_every_topic_service_and_action_is_named(node: str) -> None:
    source = ROOT / 'affordance_ros' / 'nodes' / f'{node}.py'
    opened = {
        argument.value
        for call in ast.walk(ast.parse(source.read_text()))
        if isinstance(call, ast.Call)
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }
    names = {name for name in opened if re.fullmatch(r'~/[a-z_/]+|/[a-z_]+|image|prompt|depth/image|camera_info', name)}
    assert names
    for name in names:
        assert f'`{name}`' in PAGE or f'`{name.replace("~", node)}`' in PAGE, name


def test_launch_arguments_are_named() -> None:
    tree = ast.parse((ROOT / 'launch' / 'bringup.launch.py').read_text())
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    arguments = next(node.value for node in assigned if getattr(node.targets[0], 'id', '') == 'ARGUMENTS')
    launch = PAGE.split('## Launch')[1].split('## Parameters')[0]
    for name in ast.literal_eval(arguments):
        assert re.search(rf'\b{name}\b', launch), name
