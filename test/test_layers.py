# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layers hold: every import of the package, also inside functions and relative, is one its layer may make."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'affordance_ros'
BOTTOM = {'errors', 'results'}
CORE = BOTTOM | {'geometry', 'grasping', 'models', 'pipeline'}
OFFLINE = CORE | {
    'metrics',
    'datasets',
    'scenes',
    'training',
    'bags',
    'outlines',
    'visualization',
    'view_3d',
    'answer_json',
    'frame_files',
    'drawing',
    'report',
    'page',
    'camera_messages',
    'evaluation',
}
# layer -> what of ours it may import besides itself. `report` is a view of results, like `visualization`.
ALLOWED = {
    '__init__': set(),
    'errors': set(),
    'results': {'errors'},
    'geometry': BOTTOM,
    'grasping': BOTTOM | {'geometry'},
    'models': BOTTOM,
    'metrics': BOTTOM,
    'scenes': BOTTOM,
    'datasets': BOTTOM | {'scenes'},
    'training': BOTTOM | {'models', 'datasets', 'metrics', 'scenes'},
    'pipeline': CORE - {'pipeline'},
    'drawing': BOTTOM,
    'outlines': BOTTOM | {'grasping'},
    'visualization': CORE | {'drawing', 'outlines'},
    'view_3d': CORE | {'drawing', 'outlines', 'visualization'},
    'answer_json': CORE,
    'frame_files': CORE,
    'page': {'drawing'},
    'report': CORE | {'answer_json', 'page', 'drawing', 'visualization', 'view_3d'},
    'camera_messages': BOTTOM | {'geometry'},
    'bags': CORE | {'camera_messages'},
    'clip_buffer': {'errors'},
    'memory': set(),
    'bringup': {'errors'},
    'evaluation': OFFLINE - {'evaluation', 'training'} | {'clip_buffer'},
    'demo': OFFLINE | {'report'},
    'cli': OFFLINE | {'memory', 'bringup', 'report', 'demo'},
    'nodes': CORE | {'memory', 'camera_messages', 'scenes', 'bags', 'outlines', 'visualization', 'clip_buffer'},
}
ROS = ('rclpy', 'launch', 'launch_ros', 'tf2_ros', 'cv_bridge', 'rcl_interfaces', 'std_srvs', 'ament_index_python')
ONLY_IN = {'torch': {'models', 'training'}, 'transformers': {'models', 'training'}, 'peft': {'models', 'training'}}


def imported_names(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the full dotted name of everything that the source of `module` imports."""
    parents = module.split('.') if is_package else module.split('.')[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            prefix = '.'.join([*base, *([node.module] if node.module else [])])
            yield from (f'{prefix}.{alias.name}' for alias in node.names)


def is_ros(name: str) -> bool:
    """Tell whether a top-level module exists only where ROS is."""
    return name in ROS or name.endswith('_msgs') or name == 'builtin_interfaces'


def complaints(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return one sentence per import that the layer of `module` must not make."""
    parts = module.split('.')
    layer = parts[1] if len(parts) > 1 else '__init__'
    found = []
    for name in imported_names(source, module, is_package=is_package):
        top, *rest = name.split('.')
        generated = rest[:1] in (['msg'], ['srv'], ['action'])
        if top == 'affordance_ros' and rest and not generated and rest[0] not in ALLOWED.get(layer, set()) | {layer}:
            found.append(f'{layer} must not import {name}')
        if (generated or is_ros(top)) and layer != 'nodes':
            found.append(f'{layer} must not import {name}: ROS is for nodes')
        if layer not in ONLY_IN.get(top, {layer}):
            found.append(f'{layer} must not import {top}')
    return found


@pytest.mark.parametrize('path', sorted(PACKAGE.rglob('*.py')), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layers(path: Path) -> None:
    parts = ['affordance_ros', *path.relative_to(PACKAGE).with_suffix('').parts]
    is_package = parts[-1] == '__init__'
    module = '.'.join(parts[:-1] if is_package else parts)
    assert complaints(path.read_text(), module, is_package=is_package) == []


def test_every_layer_is_in_the_table() -> None:
    files = {path.stem for path in PACKAGE.glob('*.py')}
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob('*/*.py')}
    assert files | folders <= set(ALLOWED)


@pytest.mark.parametrize(
    ('module', 'source', 'forbidden'),
    [
        ('affordance_ros.geometry.depth', 'from affordance_ros.grasping import ranking', 'grasping'),
        ('affordance_ros.geometry.depth', 'from ..pipeline import run', 'pipeline'),
        ('affordance_ros.geometry.depth', 'from .. import models', 'models'),
        ('affordance_ros.geometry.depth', 'def lift():\n    import torch', 'torch'),
        ('affordance_ros.results', 'from affordance_ros import geometry', 'geometry'),
        ('affordance_ros.models.robopoint', 'from sensor_msgs.msg import Image', 'sensor_msgs'),
        ('affordance_ros.pipeline', 'from affordance_ros.msg import Contact', 'msg'),
        ('affordance_ros.cli', 'from affordance_ros.nodes import scene_node', 'nodes'),
    ],
)
def test_a_forbidden_import_is_named(module: str, source: str, forbidden: str) -> None:
    found = complaints(source, module)
    assert len(found) == 1
    assert forbidden in found[0]


def test_what_the_layers_allow_passes() -> None:
    source = 'import numpy as np\nfrom affordance_ros.results import Frame\nfrom affordance_ros.geometry import camera'
    assert complaints(source, 'affordance_ros.grasping.ranking') == []
    assert complaints('from . import camera', 'affordance_ros.geometry', is_package=True) == []
