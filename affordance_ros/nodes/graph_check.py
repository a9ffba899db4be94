# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the live graph for `affordance doctor --ros`: one JSON line per finding, with the way out."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.utilities import remove_ros_args

from affordance_ros.models.memory import free_bytes
from affordance_ros.nodes.camera_check import Finding, check_camera, wirings
from affordance_ros.nodes.diagnostics import ACTIVE
from affordance_ros.nodes.graph_listener import ASK_AGAIN_S, GraphListener
from affordance_ros.nodes.running import prepare_transport

WAIT_S = 10.0
SERVES = {'affordance_ros/srv/QueryAffordance': 'affordance node', 'affordance_ros/srv/GetGraspTargets': 'target node'}
SHOWN = ('model', 'model state', 'model MiB', 'model GPU MiB', 'node MiB', 'image age s', 'depth valid ratio')
JUDGING = ('input.slop_s', 'input.depth_scale', 'input.check_frames', 'depth.registration', 'tf.target_frame')
START = 'start the suite: ros2 launch affordance_ros bringup.launch.py, or affordance up --params FILE'
LOW_BYTES = 500 * 2**20
STARTING_S = 3.0  # how long a node that has just started may take to begin with its first transition
MOVING = ('configuring', 'activating', 'deactivating', 'cleaningup', 'shuttingdown', 'errorprocessing')
SILENT = 'no answer'
WAYS = {
    'configuring': 'it loads its model: wait for it, or give the doctor more time with --wait',
    SILENT: 'see its log; if it hangs, end it and start it again',
}


def findings(graph: GraphListener) -> Iterator[Finding]:
    """Yield (state, name, detail, way out)."""
    found = graph.serving(SERVES)
    domain = os.environ.get('ROS_DOMAIN_ID', '0')
    for kind, names in found.items():
        if not names:
            yield 'missing', SERVES[kind], f'there is none on ROS_DOMAIN_ID {domain} for {graph.wait_s:.0f} s', START
    for name in [name for names in found.values() for name in names]:
        yield from _node(graph, name)
    for name in found['affordance_ros/srv/QueryAffordance']:
        yield from _cameras(graph, name)
    for device, what in (('cpu', 'on this machine'), ('cuda', 'on the first GPU')):
        free = free_bytes(device)
        if free is not None:
            low = free < LOW_BYTES
            way = 'close other programs, or take a smaller model' if low else ''
            yield 'note' if low else 'ok', f'memory {device}', f'{free / 2**30:.1f} GiB free {what}', way


def _node(graph: GraphListener, name: str) -> Iterator[Finding]:
    """State, model process and memory of a node."""
    state = _state(graph, name)
    way = (
        '' if state == 'active' else WAYS.get(state, f'ros2 lifecycle set {name} configure, then activate; see its log')
    )
    yield 'ok' if state == 'active' else 'missing', name, f'state: {state}', way
    status = graph.diagnostics(name, state)
    if status is None:
        yield 'note', f'{name} diagnostics', 'none heard', 'is /diagnostics remapped?'
        return
    values = {entry.key: entry.value for entry in status.values}
    if status.message != ACTIVE:
        yield 'missing', f'{name} says', status.message, 'see the lines about its camera and its model'
    for key in SHOWN:
        if values.get(key):
            yield 'ok', f'{name} {key}', values[key], ''
    if values.get('last refusal'):
        yield 'note', f'{name} last refusal', values['last refusal'], ''
    if values.get('model process deaths', '0') != '0':
        detail = f'its process ended {values["model process deaths"]} time(s) that it should not have'
        yield 'note', f'{name} model', detail, 'see the log of the node; signal 9 means that memory ran out'


def _state(graph: GraphListener, name: str) -> str:
    """Return the state of a node; one that is on its way is waited for."""
    start = time.monotonic()
    while True:
        response = graph.call(GetState, f'{name}/get_state')
        if response is None:
            return SILENT
        label, waited = str(response.current_state.label), time.monotonic() - start
        if label == 'active' or waited > (graph.wait_s if label in MOVING else STARTING_S):
            return label
        graph.until(lambda: False, ASK_AGAIN_S / 2)


def _cameras(graph: GraphListener, name: str) -> Iterator[Finding]:
    """What the cameras of an affordance node publish, whether or not the node is active."""
    status = graph.status.get(name)
    if status is None:
        return  # that was said already
    response = graph.call(GetParameters, f'{name}/get_parameters', names=list(JUDGING))
    values = [parameter_value_to_python(value) for value in response.values] if response else []
    parameters = {key: value for key, value in zip(JUDGING, values, strict=False) if value is not None}
    for wiring in wirings({entry.key: entry.value for entry in status.values}, parameters):
        yield from check_camera(graph, wiring)


def main() -> None:
    """Print the findings; the argument is how many seconds to wait for what is not there."""
    given: list[Any] = remove_ros_args(sys.argv)[1:]
    prepare_transport()
    rclpy.init(args=sys.argv)
    node = rclpy.create_node('affordance_doctor')
    for state, name, detail, way_out in findings(GraphListener(node, float(given[0]) if given else WAIT_S)):
        print(json.dumps({'state': state, 'name': name, 'detail': detail, 'way_out': way_out}), flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
