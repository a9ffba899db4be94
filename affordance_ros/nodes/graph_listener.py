# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A listener on a live graph that waits for what it wants to know: nothing is missing before its time is up.

Discovery takes a few milliseconds on an idle machine and seconds on a busy one or over WiFi, and there is no event that
says that it is complete. So everything here waits for the thing itself and gives up only after `wait_s`.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.nodes import conversions as convert

KINDS = {f'sensor_msgs/msg/{kind.__name__}': kind for kind in (Image, CompressedImage, CameraInfo)}
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
SETTLED_S = 0.5  # after the first node was found, how long no further one may come
ASK_AGAIN_S = 1.0
SILENT_S = 4.0  # a topic with publishers on which nothing comes for so long is silent
MOST = 90  # messages that are kept of a topic


class GraphListener:
    """Diagnostics by node, poses, and messages by topic with their time of arrival. Everything spins the node."""

    def __init__(self, node: Any, wait_s: float) -> None:
        self.node, self.wait_s = node, wait_s
        self.status: dict[str, Any] = {}
        self.poses = PoseBuffer()
        self.seen: dict[str, list[tuple[float, Any]]] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            return
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(TFMessage, '/tf', lambda m: self._tf(m, static=False), 100)
        node.create_subscription(TFMessage, '/tf_static', lambda m: self._tf(m, static=True), latched)

    def _diagnose(self, array: DiagnosticArray) -> None:
        self.status |= {status.name: status for status in array.status}

    def _tf(self, message: Any, *, static: bool) -> None:
        for item in message.transforms:
            stamp = convert.nanoseconds_of(item.header.stamp)
            pose = convert.matrix_from_transform(item)
            self.poses.add(item.header.frame_id, item.child_frame_id, stamp, pose, static=static)

    def until(self, condition: Callable[[], Any], limit_s: float | None = None) -> Any:
        """Spin until the condition holds or the time is up, and return its last value."""
        end = time.monotonic() + (self.wait_s if limit_s is None else limit_s)
        while not (value := condition()) and time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return value

    def serving(self, kinds: Iterable[str]) -> dict[str, list[str]]:
        """Return the names of the nodes that serve each type of service, waiting until there is one of each."""
        found: dict[str, list[str]] = {}
        changed = time.monotonic()

        def settled() -> bool:
            nonlocal found, changed
            services = self.node.get_service_names_and_types()
            now = {kind: [name.rsplit('/', 1)[0] for name, types in services if kind in types] for kind in kinds}
            if now != found:
                found, changed = now, time.monotonic()
            return all(found.values()) and time.monotonic() - changed > SETTLED_S

        self.until(settled)
        return found

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Return the response of a service that may be asked twice, None when none comes.

        A server that does not know the client yet loses the response, so the request is repeated.
        """
        client = self.node.create_client(kind, name)
        end = time.monotonic() + self.wait_s
        futures: list[Any] = []
        self.until(client.service_is_ready)
        while time.monotonic() < end:
            futures.append(client.call_async(kind.Request(**fields)))
            done = self.until(lambda: next((each for each in futures if each.done()), None), ASK_AGAIN_S)
            if done is not None:
                return done.result()
        return None

    def diagnostics(self, name: str, state: str) -> Any:
        """Return the status of a node in a state, not one of before; the newest when none comes, None without any."""

        def current() -> Any:
            status = self.status.get(name)
            told = {entry.key: entry.value for entry in status.values} if status else {}
            return status if told.get('state') == state else None

        return self.until(current, min(self.wait_s, SILENT_S)) or self.until(lambda: self.status.get(name))

    def listen(self, topics: Iterable[str], seconds: float) -> None:
        """Collect messages of image and camera info topics for a while, longer where nothing has come yet."""
        wanted = [topic for topic in topics if topic not in self.seen]
        for topic in wanted:
            self.seen[topic] = []
        publishers = self.node.get_publishers_info_by_topic
        self.until(lambda: all(publishers(topic) for topic in wanted))
        offered = {topic: KINDS.get(info.topic_type) for topic in wanted for info in publishers(topic)}
        heard = {topic: kind for topic, kind in offered.items() if kind is not None}
        subscriptions = [
            self.node.create_subscription(kind, topic, partial(_keep, self.seen[topic]), BEST_EFFORT)
            for topic, kind in heard.items()
        ]
        self.until(lambda: all(subscription.get_publisher_count() for subscription in subscriptions))
        self.until(lambda: all(self.seen[topic] for topic in heard), SILENT_S)
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def pose(self, target: str, source: str, stamp_ns: int) -> AffordanceError | None:
        """Return why a pose at a stamp is not known, None when it is."""
        refused: list[AffordanceError] = []

        def known() -> bool:
            try:
                self.poses.lookup(target, source, stamp_ns)
            except AffordanceError as error:
                refused.append(error)
                return False
            return True

        return None if self.until(known) else refused[-1]


def _keep(seen: list[tuple[float, Any]], message: Any) -> None:
    seen.append((time.monotonic(), message))
    del seen[:-MOST]
