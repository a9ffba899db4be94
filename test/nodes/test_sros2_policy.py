# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS 2 policy lets every node do what it does on a live graph, and nobody anything that does not exist."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import Image  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

pytestmark = pytest.mark.ros
POLICY = Path(__file__).parents[2] / 'config' / 'sros2' / 'affordance.policy.xml'
NODES = ('affordance_node', 'target_node', 'overlay_node', 'scene_node')
# Opened only with other parameters: compressed cameras, a simulated clock.
OTHERWISE = {'/image/compressed', '/depth/image/compressedDepth', '/clock'}
# What a planner must not be able to do.
POWERS = ('change_state', 'load_model', 'set_prompt', 'enable', 'set_parameters', 'set_parameters_atomically')
Allowed = dict[str, set[str]]


def policy() -> dict[str, Allowed]:
    """Return by node what it may do: names by 'publish', 'subscribe', 'request', 'reply', 'call' and 'execute'."""
    found: dict[str, Allowed] = {}
    for profile in ET.parse(POLICY).getroot().iter('profile'):
        allowed = found.setdefault(profile.attrib['node'], {})
        for group in profile:
            for verb, answer in group.attrib.items():
                assert answer == 'ALLOW'
                allowed.setdefault(verb, set()).update(str(entry.text) for entry in group)
    return found


def opened(node, name: str) -> Allowed:
    """Return what a node of the graph does, in the words of a policy."""
    verbs = {
        'publish': node.get_publisher_names_and_types_by_node,
        'subscribe': node.get_subscriber_names_and_types_by_node,
        'reply': node.get_service_names_and_types_by_node,
        'request': node.get_client_names_and_types_by_node,
    }
    found: Allowed = {'execute': set(), 'call': set()}
    for verb, ask in verbs.items():
        names = {entry for entry, _ in ask(name, '/')}
        actions = {entry.split('/_action/')[0] for entry in names if '/_action/' in entry}
        found[verb] = {entry for entry in names if '/_action/' not in entry}
        found['execute' if verb in ('publish', 'reply') else 'call'] |= actions
    return found


@pytest.fixture(scope='module')
def graph(module_suite) -> dict[str, Allowed]:
    """What every node of a suite with all its inputs does."""
    client = module_suite.client
    module_suite.start('scene_node')
    module_suite.start('affordance_node', {'model.name': 'fake', 'tf.target_frame': 'table'})
    module_suite.start('target_node')
    module_suite.start('overlay_node')
    client.wait_active(*(f'/{name}' for name in NODES))
    client.listen(Image, '/overlay_node/debug_image')
    client.listen(MarkerArray, '/overlay_node/markers')

    def complete() -> bool:
        overlay, affordance = (opened(client.node, name)['subscribe'] for name in ('overlay_node', 'affordance_node'))
        return {'/image', '/target_node/trajectory'} <= overlay and {'/depth/camera_info', '/tf'} <= affordance

    client.wait_for(complete, what='all subscriptions')
    return {name: opened(client.node, name) for name in NODES}


@pytest.mark.parametrize('name', NODES)
def test_a_node_may_do_what_it_does_and_no_more(graph, name: str) -> None:
    allowed, does = policy()[name], graph[name]
    for verb in does:
        missing = does[verb] - allowed.get(verb, set())
        assert not missing, f'{name} may not {verb} {sorted(missing)}'
        idle = allowed.get(verb, set()) - does[verb] - OTHERWISE
        assert not idle, f'{name} may {verb} {sorted(idle)} and never does'


@pytest.mark.parametrize('name', ['planner', 'operator'])
def test_whoever_asks_may_ask_for_what_there_is(graph, name: str) -> None:
    allowed = policy()[name]
    for verb, answering in (('request', 'reply'), ('call', 'execute'), ('subscribe', 'publish')):
        there = {entry for does in graph.values() for entry in does[answering]} | OTHERWISE
        assert allowed.get(verb, set()) <= there


def test_a_planner_has_no_power_over_the_nodes() -> None:
    may = policy()
    assert not [entry for entry in may['planner']['request'] if entry.endswith(POWERS)]
    assert {f'/affordance_node/{power}' for power in POWERS} <= may['operator']['request']
