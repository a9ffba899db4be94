#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/ros_api.md from the nodes themselves: python tools/ros_api.py (--check: only tell whether it is current).

The nodes are made but not started: their topics, services, actions and parameters are then known to rclpy.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'ros_api.md'
HEAD = ROOT / 'tools' / 'ros_api_head.md'
LAUNCH = """`ros2 launch affordance_ros bringup.launch.py ARGUMENT:=VALUE ...`; without `ros2`:
`affordance up --params FILE`. `demo.launch.py seed:=7` adds a simulated camera,
`replay.launch.py bag:=DIR` plays a bag. `camera` takes topics and depth noise from `config/cameras.yaml`."""


# For whom overlay_node opens its subscriptions.
LISTENED = {
    'targets': '`~/markers` or `~/debug_image`',
    'markers': '`~/markers`',
    'debug': '`~/debug_image`',
}
# What is only opened when it is needed.
LATER = {
    'affordance_node': [
        (
            'subscribes',
            '/tf',
            'tf2_msgs/TFMessage',
            'when `tf.target_frame` is set, or depth comes from a camera of its own',
        ),
        (
            'subscribes',
            '/tf_static',
            'tf2_msgs/TFMessage',
            'when `tf.target_frame` is set, or depth comes from a camera of its own',
        ),
    ],
    'scene_node': [('publishes', '/tf_static', 'tf2_msgs/TFMessage', 'the pose of the camera')],
}


def sentence(kind: Any) -> str:
    """Return the first comment of one of our interfaces, '' for others."""
    module, name = kind.__module__.split('.')[:2], kind.__name__
    if module[0] != 'affordance_ros':
        return ''
    suffix = {'msg': 'msg', 'srv': 'srv', 'action': 'action'}[module[1]]
    first = (ROOT / module[1] / f'{name}.{suffix}').read_text().splitlines()[0].lstrip('# ').strip()
    return first.split('. ')[0].rstrip('.:')


def kind_name(kind: Any) -> str:
    """Return 'package/Name'."""
    return f'{kind.__module__.split(".")[0]}/{kind.__name__}'


def own(node: Any, name: str) -> str:
    """Return a name as a user writes it: '~/x' for the node's own, without the leading slash for relative ones."""
    prefix = f'/{node.get_name()}/'
    if name.startswith(prefix):
        return f'~/{name.removeprefix(prefix)}'
    return name if name in ('/diagnostics', '/tf', '/tf_static') else name.lstrip('/')


def rows(node: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yield (what, name, type, meaning) of everything that a node opens."""
    hidden = ('/rosout', '/parameter_events', 'transition_event')
    for publisher in node.publishers:
        if not publisher.topic_name.endswith(hidden):
            yield (
                'publishes',
                own(node, publisher.topic_name),
                kind_name(publisher.msg_type),
                sentence(publisher.msg_type),
            )
    for subscription in node.subscriptions:
        if not subscription.topic_name.endswith(hidden):
            kind = subscription.msg_type
            yield 'subscribes', own(node, subscription.topic_name), kind_name(kind), sentence(kind)
    for camera in getattr(getattr(node, 'source', None), 'cameras', {}).values():
        for topic, kind in camera.topics.values():
            yield 'subscribes', topic, kind_name(kind), 'while active'
        for topic, kind in camera.further.values():
            yield 'subscribes', topic, kind_name(kind), 'while active; of a depth camera of its own'
    for listener, topics in getattr(node, 'topics', dict)().items():
        for kind, topic, _, _ in topics:
            yield 'subscribes', topic, kind_name(kind), f'while someone listens to {LISTENED[listener]}'
    yield from LATER.get(node.get_name(), [])
    for service in node.services:
        if kind_name(service.srv_type).startswith(('affordance_ros/', 'std_srvs/')):
            yield 'service', own(node, service.srv_name), kind_name(service.srv_type), sentence(service.srv_type)
    from rclpy.action import get_action_server_names_and_types_by_node

    for name, (kind,) in get_action_server_names_and_types_by_node(node, node.get_name(), node.get_namespace()):
        action = getattr(importlib.import_module('affordance_ros.action'), kind.rsplit('/', 1)[-1])
        yield 'action', own(node, name), kind_name(action), sentence(action)


def cell(value: Any) -> str:
    """Return a default for a table."""
    if isinstance(value, bool):
        return f'`{str(value).lower()}`'
    return f'`{value}`' if value != '' else 'empty'


def allowed(entry: Any) -> str:
    """Return the range or the choices of a parameter."""
    meta = entry.metadata
    if meta['choices']:
        return ', '.join(meta['choices'])
    return f'{meta["low"]:g} to {meta["high"]:g}' if meta['low'] is not None else ''


def first_comment(path: Path) -> str:
    """Return the first sentence of a YAML file's comment."""
    return path.read_text().splitlines()[0].lstrip('# ').split('. ')[0].split(': ')[0].rstrip('.,')


def page() -> str:
    """Return the page."""
    import rclpy

    from affordance_ros.bringup import ARGUMENTS
    from affordance_ros.errors import Code
    from affordance_ros.nodes import parameters
    from affordance_ros.nodes.affordance_node import AffordanceNode
    from affordance_ros.nodes.overlay_node import OverlayNode
    from affordance_ros.nodes.scene_node import SceneNode
    from affordance_ros.nodes.target_node import TargetNode

    rclpy.init(args=['--ros-args', '-p', 'autostart:=false'])
    lines = [HEAD.read_text()]
    nodes = [AffordanceNode(), TargetNode(), OverlayNode(), SceneNode()]
    for node in nodes:
        lines += [f'## {node.get_name()}', '', '| | name | type | meaning |', '| --- | --- | --- | --- |']
        lines += [f'| {what} | `{name}` | {kind} | {text} |' for what, name, kind, text in rows(node)]
        lines.append('')
    lines += [
        '## Parameters',
        '',
        '*live*: may change at any time. *unconfigured*: may change while the node is unconfigured, and configuring '
        'reads it. Everything else is read only; a change that is not possible is refused with a sentence.',
        '',
    ]
    lines += ['| node | parameter | default | allowed | change | meaning |', '| --- | --- | --- | --- | --- | --- |']
    for node in nodes:
        for entry in fields(node.settings):
            live = 'live' if entry.metadata['live'] else 'unconfigured' if entry.metadata['configure'] else ''
            name = parameters.ros_name(entry.name)
            start = f'| `{node.get_name()}` | `{name}` | {cell(entry.default)} | {allowed(entry)}'
            lines.append(f'{start} | {live} | {entry.metadata["doc"]} |')
    lines += ['', '## Launch', '', LAUNCH, '']
    lines += ['| argument | default | meaning |', '| --- | --- | --- |']
    lines += [f'| `{name}` | {cell(default)} | {text} |' for name, (default, text) in ARGUMENTS.items()]
    lines += ['', '| file | for |', '| --- | --- |']
    lines += [f'| `config/{path.name}` | {first_comment(path)} |' for path in sorted((ROOT / 'config').glob('*.yaml'))]
    lines += ['', '## Outcome codes', '', ', '.join(f'{code.value} `{code.name}`' for code in Code) + '.', '']
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown()
    return '\n'.join(lines)


def main() -> None:
    """Write the page and the file of all parameters, or with --check exit with 1 when they are not current."""
    import parameter_file

    from affordance_ros.cli.domains import claim_domain

    os.environ['ROS_DOMAIN_ID'] = str(claim_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    parameter_file.main()
    text = page()
    if '--check' in sys.argv:
        if PAGE.read_text() != text:
            sys.exit('docs/ros_api.md is not what the code says; run: python tools/ros_api.py')
        return
    PAGE.write_text(text)


if __name__ == '__main__':
    main()
