#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""demo_client: asks `get_grasp_targets` once, records the graph into a bag and tells its progress as JSON lines."""

import argparse
import json
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from affordance_ros import msg, srv
from affordance_ros.bags import BagWriter, Recorded
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.diagnostics import NOT_ACTIVE

CAMERA = QoSProfile(depth=10)
RELIABLE = QoSProfile(depth=10)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
KEEP = 80  # camera messages per topic: 8 s at 10 Hz, longer than one answer takes
MARGIN_NS = 300_000_000  # camera messages this close to the answered image go into the bag
NOT_YET = (Code.NOT_ACTIVE, Code.NO_IMAGE, Code.TF, Code.STALE, Code.NO_DEPTH)
EXIT_NO_GRAPH, EXIT_NO_ANSWER = 4, 3


@dataclass(frozen=True)
class Topic:
    """One topic of the bag. rolling: only what is near the answered image is kept."""

    name: str
    type: Any
    qos: QoSProfile
    rolling: bool = False


TARGETS = Topic('/target_node/grasp_targets', msg.GraspTargetArray, RELIABLE)


def topics() -> list[Topic]:
    """Return what goes into the bag; /tf_static only where its message is installed."""
    chosen = [
        Topic('/image', Image, CAMERA, rolling=True),
        Topic('/depth/image', Image, CAMERA, rolling=True),
        Topic('/camera_info', CameraInfo, CAMERA, rolling=True),
        Topic('/scene_node/truth', String, LATCHED),
        Topic('/affordance_node/affordances', msg.AffordanceArray, RELIABLE),
        TARGETS,
    ]
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        return chosen
    return [*chosen, Topic('/tf_static', TFMessage, LATCHED)]


class DemoClient(Node):
    """The client; `recorded` holds every message as it came over the wire."""

    def __init__(self, service: str, *, record: bool) -> None:
        super().__init__('demo_client')
        self.client = self.create_client(srv.GetGraspTargets, service)
        self.recorded: dict[str, deque[Recorded]] = {}
        self.active: dict[str, bool] = {}
        self.failed: dict[str, AffordanceError] = {}
        self.rolling = [topic.name for topic in topics() if topic.rolling] if record else []
        self.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        for topic in topics() if record else []:
            self.recorded[topic.name] = deque(maxlen=KEEP if topic.rolling else None)
            self.create_subscription(topic.type, topic.name, self._recorder(topic), topic.qos, raw=True)

    def _recorder(self, topic: Topic) -> Any:
        kind = topic.type.__module__.split('.')[0] + '/msg/' + topic.type.__name__
        latched = topic.qos is LATCHED

        def take(data: bytes) -> None:
            now = time.time_ns()
            self.recorded[topic.name].append(Recorded(topic.name, kind, now, bytes(data), latched))

        return take

    def _diagnose(self, array: DiagnosticArray) -> None:
        for status in array.status:
            self.active[status.name] = not status.message.startswith(NOT_ACTIVE)
            self.failed.pop(status.name, None)
            if status.level == DiagnosticStatus.ERROR and not self.active[status.name]:
                self.failed[status.name] = failure(status)

    def heard(self, topic: str) -> bool:
        """Tell whether a recorded topic is connected: the camera has to be seen, the others need a publisher."""
        return bool(self.recorded[topic]) if topic in self.rolling else self.count_publishers(topic) > 0

    def wait(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def ask(self, sentence: str, timeout_s: float) -> Any:
        """Call the service once; None when no response comes."""
        request = srv.GetGraspTargets.Request(query=sentence, timeout_s=float(timeout_s))
        future = self.client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=timeout_s + 5)
        return future.result().targets if future.done() else None

    def keep(self, answer: Any) -> None:
        """Put the response into the recording when its topic was not heard."""
        topic = TARGETS.name
        if not self.recorded[topic]:
            kind = 'affordance_ros/msg/GraspTargetArray'
            self.recorded[topic].append(Recorded(topic, kind, time.time_ns(), bytes(serialize_message(answer))))

    def save(self, folder: Path, stamp_ns: int) -> int:
        """Write the bag: everything, but of the camera only what is near `stamp_ns`. Returns the number of messages."""
        chosen = []
        for name, messages in self.recorded.items():
            near = [m for m in messages if name not in self.rolling or abs(header_stamp(m) - stamp_ns) < MARGIN_NS]
            chosen += near or list(messages)[-1:]
        chosen.sort(key=lambda item: item.received_ns)
        with BagWriter(folder) as writer:
            for item in chosen:
                writer.write_recorded(item)
        return len(chosen)


def header_stamp(recorded: Recorded) -> int:
    """Return the stamp of a message that starts with a header: it follows the four bytes that CDR puts first."""
    seconds, nanoseconds = struct.unpack_from('<iI', recorded.cdr, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def failure(status: DiagnosticStatus) -> AffordanceError:
    """Return why a node could not be configured, from what it says on /diagnostics."""
    last = next((item.value for item in status.values if item.key == 'last refusal'), '')
    name, _, reason = last.partition(': ')
    code = Code[name] if name in Code.__members__ and reason in status.message else Code.INTERNAL
    return AffordanceError(code, f'{status.name} is {status.message}')


def say(stage: str, **more: Any) -> None:
    """Print one JSON line for the program that started this one."""
    print(json.dumps({'stage': stage, **more}), flush=True)


def fields_of(value: Any) -> Any:
    """Return a message as plain values for JSON."""
    if hasattr(value, 'get_fields_and_field_types'):
        return {name: fields_of(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, str | int | float | bool):
        return value if value == value else None  # NaN
    return [fields_of(item) for item in value]


def wait_for_graph(client: DemoClient, deadline: float, *, nodes: bool) -> bool:
    """Wait until the service is there and, with `nodes`, both nodes say that they are active; False when it is late.

    Raises:
        AffordanceError: the code of the reason for which a needed node could not be configured.
    """
    said = ''
    while time.monotonic() < deadline:
        ready = client.client.service_is_ready()
        needed = ('/affordance_node', '/target_node') if nodes else ()
        for error in (client.failed[name] for name in needed if name in client.failed):
            raise error
        waiting = [name for name in needed if not client.active.get(name)]
        waiting += [name for name in client.recorded if not client.heard(name)]
        if ready and not waiting:
            return True
        text = f'waiting for {", ".join(waiting) or "the service"}'
        if text != said:
            say('wait', text=text)
            said = text
        client.wait(0.1)
    return False


def ask_until_ready(client: DemoClient, sentence: str, timeout_s: float, deadline: float) -> Any:
    """Ask again while the graph is still coming up."""
    while True:
        answer = client.ask(sentence, timeout_s)
        if answer is None or answer.outcome.code not in NOT_YET or time.monotonic() > deadline:
            return answer
        say('wait', text=answer.outcome.message)
        client.wait(0.5)


def run(options: argparse.Namespace) -> int:
    """Ask, record, print the response; return the exit status."""
    client = DemoClient(options.service, record=bool(options.record))
    deadline = time.monotonic() + options.ready_timeout
    try:
        ready = wait_for_graph(client, deadline, nodes=bool(options.record))
    except AffordanceError as error:
        say('failed', code=error.code.name, text=error.message)
        return EXIT_NO_GRAPH
    if not ready:
        text = f'nobody serves {options.service} (waited {options.ready_timeout:.0f} s)'
        text += '; does the graph run on this ROS_DOMAIN_ID? see: affordance doctor --ros'
        say('failed', code='TIMEOUT', text=text)
        return EXIT_NO_GRAPH
    say('ask', text=options.sentence)
    start = time.monotonic()
    answer = ask_until_ready(client, options.sentence, options.timeout, deadline)
    seconds = time.monotonic() - start
    if answer is None:
        say('failed', code='TIMEOUT', text=f'no response within {options.timeout:.0f} s')
        return EXIT_NO_ANSWER
    if options.record:
        client.wait(0.3)
        client.keep(answer)
        count = client.save(Path(options.record), convert.nanoseconds_of(answer.header.stamp))
        say('recorded', messages=count)
    say('answer', seconds=seconds, response=fields_of(answer))
    client.destroy_node()
    return EXIT_NO_ANSWER if answer.outcome.code else 0


def main() -> None:
    """Run the client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sentence', required=True)
    parser.add_argument('--service', default='/target_node/get_grasp_targets')
    parser.add_argument('--record', default='', help='folder of the bag; empty: record nothing')
    parser.add_argument('--timeout', type=float, default=30.0, help='seconds for one answer')
    parser.add_argument('--ready-timeout', type=float, default=60.0, help='seconds until the graph must be up')
    rclpy.init(args=sys.argv)
    options = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])
    try:
        status = run(options)
    finally:
        rclpy.try_shutdown()
    sys.exit(status)


if __name__ == '__main__':
    main()
