# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the live graph for `affordance doctor --ros`: one JSON line per finding, with the way out."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from affordance_ros.camera_messages import COLOR_ENCODINGS, DEPTH_TYPES
from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.running import prepare_transport

DISCOVERY_S, LISTEN_S, CALL_S = 2.0, 3.0, 3.0
KINDS = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}
KINDS['sensor_msgs/msg/CameraInfo'] = CameraInfo
SERVES = {'affordance_ros/srv/QueryAffordance': 'affordance node', 'affordance_ros/srv/GetGraspTargets': 'target node'}
SHOWN = ('model', 'model state', 'model MiB', 'node MiB', 'image age s', 'depth valid ratio', 'last refusal')
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
Finding = tuple[str, str, str, str]


class GraphCheck:
    """Listens for a while, then judges."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.status: dict[str, Any] = {}
        self.poses = PoseBuffer()
        self.seen: dict[str, list[tuple[float, Any]]] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            return
        latched = QoSProfile(depth=100, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(TFMessage, '/tf', lambda m: self._tf(m, static=False), 100)
        node.create_subscription(TFMessage, '/tf_static', lambda m: self._tf(m, static=True), latched)

    def _diagnose(self, array: DiagnosticArray) -> None:
        self.status |= {status.name: status for status in array.status}

    def _tf(self, message: Any, *, static: bool) -> None:
        for item in message.transforms:
            stamp = convert.nanoseconds_of(item.header.stamp)
            pose = convert.matrix_from_transform(item)
            self.poses.add(item.header.frame_id, item.child_frame_id, stamp, pose, static=static)

    def spin(self, seconds: float) -> None:
        """Listen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self.node, timeout_sec=left)

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Return the response of a service, None when none comes."""
        client = self.node.create_client(kind, name)
        if not client.wait_for_service(CALL_S):
            return None
        self.spin(0.2)
        future = client.call_async(kind.Request(**fields))
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=CALL_S)
        return future.result() if future.done() else None

    def findings(self) -> Iterator[Finding]:
        """Yield (state, name, detail, way out)."""
        self.spin(DISCOVERY_S)
        found = {kind: list(self._serving(kind)) for kind in SERVES}
        for kind, names in found.items():
            if not names:
                way = 'start the suite: ros2 launch affordance_ros bringup.launch.py, or affordance up --params FILE'
                yield 'missing', SERVES[kind], 'there is none on this ROS_DOMAIN_ID', way
        for name in [name for names in found.values() for name in names]:
            yield from self._node(name)
        for name in found['affordance_ros/srv/QueryAffordance']:
            yield from self._cameras(name)

    def _serving(self, kind: str) -> Iterator[str]:
        for service, kinds in self.node.get_service_names_and_types():
            if kind in kinds:
                yield service.rsplit('/', 1)[0]

    def _node(self, name: str) -> Iterator[Finding]:
        response = self.call(GetState, f'{name}/get_state')
        state = response.current_state.label if response else 'does not answer'
        way = '' if state == 'active' else f'ros2 lifecycle set {name} configure, then activate; see its log'
        yield 'ok' if state == 'active' else 'missing', name, f'state: {state}', way
        status = self.status.get(name)
        if status is None:
            yield 'note', f'{name} diagnostics', 'none heard yet', 'is /diagnostics remapped?'
            return
        values = {entry.key: entry.value for entry in status.values}
        if status.message not in ('active', 'not active'):
            yield 'missing', f'{name} says', status.message, 'see the camera lines below'
        for key in SHOWN:
            if values.get(key):
                yield 'note' if key == 'last refusal' else 'ok', f'{name} {key}', values[key], ''
        if values.get('model process deaths', '0') != '0':
            yield 'note', f'{name} model', f'its process died {values["model process deaths"]} times', 'see its log'

    def _cameras(self, name: str) -> Iterator[Finding]:
        namespace, _, own = name.rpartition('/')
        topics = dict(self.node.get_subscriber_names_and_types_by_node(own, namespace or '/'))
        wanted = {topic: KINDS[kinds[0]] for topic, kinds in topics.items() if kinds[0] in KINDS}
        if not wanted:
            yield 'note', f'{name} camera', 'it takes no images now', 'it does while it is active'
            return
        for topic, kind in wanted.items():
            self.seen[topic] = []
            take = self.seen[topic].append
            self.node.create_subscription(kind, topic, lambda m, take=take: take((time.monotonic(), m)), BEST_EFFORT)
        self.spin(LISTEN_S)
        for topic in wanted:
            yield self._topic(topic)
        yield from self._together(wanted)
        yield from self._pose(name, wanted)

    def _topic(self, topic: str) -> Finding:
        seen = self.seen[topic]
        offers = [info.qos_profile.reliability.name for info in self.node.get_publishers_info_by_topic(topic)]
        if not seen:
            who = f'{len(offers)} publisher(s), {", ".join(offers)}' if offers else 'nobody publishes it'
            return 'missing', topic, f'nothing for {LISTEN_S:.0f} s ({who})', 'start the camera, or remap the topic'
        _, last = seen[-1]
        rate = (len(seen) - 1) / max(1e-3, seen[-1][0] - seen[0][0])
        age = (self.node.get_clock().now().nanoseconds - convert.nanoseconds_of(last.header.stamp)) / 1e9
        what = getattr(last, 'encoding', getattr(last, 'format', f'{getattr(last, "width", 0)} wide'))
        size = f'{last.width}x{last.height} ' if hasattr(last, 'width') else ''
        detail = f'{rate:.1f} Hz, {size}{what}, frame {last.header.frame_id!r}, {age:.2f} s old, {", ".join(offers)}'
        if not last.header.frame_id:
            return 'missing', topic, detail, 'the frame_id is empty: set it in the camera driver'
        if isinstance(last, Image) and last.encoding not in {*COLOR_ENCODINGS, *DEPTH_TYPES}:
            return 'missing', topic, detail, f'publish one of {", ".join((*COLOR_ENCODINGS, *DEPTH_TYPES))}'
        if isinstance(last, CameraInfo) and not last.k[0] > 0:
            return 'missing', topic, f'{detail}, K is zero', 'calibrate the camera'
        if abs(age) > 2.0:
            return 'missing', topic, detail, 'stamps and clock differ: check use_sim_time and the time of the machines'
        return 'ok', topic, detail, ''

    def _together(self, wanted: dict[str, Any]) -> Iterator[Finding]:
        for topic in wanted:
            depth = next((other for other in wanted if 'depth' in other and other != topic), None)
            if wanted[topic] is CameraInfo or 'depth' in topic or depth is None:
                continue
            ours, theirs = (
                [convert.nanoseconds_of(m.header.stamp) for _, m in self.seen[name]] for name in (topic, depth)
            )
            if not ours or not theirs:
                continue
            gaps = sorted(min(abs(a - b) for b in theirs) for a in ours)
            gap = gaps[len(gaps) // 2] / 1e6
            good = gap <= 20
            way = '' if good else 'raise input.slop_s, or let the driver synchronise its streams'
            yield 'ok' if good else 'missing', 'colour with depth', f'stamps {gap:.1f} ms apart (median)', way
            frames = {self.seen[name][-1][1].header.frame_id for name in (topic, depth)}
            if len(frames) > 1:
                way = 'publish depth registered to colour (align_depth), or set input.check_frames to false if it is'
                yield 'missing', 'registration', f'frames {", ".join(sorted(frames))}', way

    def _pose(self, name: str, wanted: dict[str, Any]) -> Iterator[Finding]:
        response = self.call(GetParameters, f'{name}/get_parameters', names=['tf.target_frame'])
        target = response.values[0].string_value if response and response.values else ''
        images = [self.seen[topic] for topic, kind in wanted.items() if kind is not CameraInfo and self.seen[topic]]
        if not target or not images:
            yield 'note', 'target frame', target or 'none: targets come in the optical frame', 'set tf.target_frame'
            return
        message = images[0][-2 if len(images[0]) > 1 else -1][1]
        frame, stamp = message.header.frame_id, convert.nanoseconds_of(message.header.stamp)
        try:
            self.poses.lookup(target, frame, stamp)
        except AffordanceError as error:
            yield 'missing', 'target frame', f'{frame} -> {target}: {error}', 'publish the camera pose'
        else:
            yield 'ok', 'target frame', f'{frame} -> {target} is known at the stamp of the image', ''


def main() -> None:
    """Print the findings."""
    prepare_transport()
    rclpy.init(args=sys.argv)
    node = rclpy.create_node('affordance_doctor')
    for state, name, detail, way_out in GraphCheck(node).findings():
        print(json.dumps({'state': state, 'name': name, 'detail': detail, 'way_out': way_out}), flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
