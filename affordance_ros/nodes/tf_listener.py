# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/tf and /tf_static into a PoseBuffer."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.qos import QoSProfile

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.lifecycle import LATCHED
from affordance_ros.nodes.requests import LONGEST_NAME
from affordance_ros.nodes.thread_reading import ReadByThread, never_called, take_all
from affordance_ros.results import FloatArray

POLL_S = 0.01
MOST_FRAMES = 2000  # whoever publishes more than that, or endless names, must not fill the memory of the node


class TfListener:
    """Listens once it is told to and takes what has come when it is `read`; `lookup` waits for what is on its way."""

    def __init__(self, node: Any) -> None:
        self.poses = PoseBuffer()
        self.listening = False
        self._node = node
        self._known: set[str] = set()
        self._warned = False
        self._subscriptions: list[tuple[Any, bool]] = []

    def listen(self) -> None:
        """Subscribe. Raises AffordanceError TF without tf2_msgs."""
        if self.listening:
            return
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            text = 'tf.target_frame needs the package tf2_msgs; run make setup, or apt install ros-jazzy-tf2-msgs'
            raise AffordanceError(Code.TF, text) from error
        latched = QoSProfile(depth=100, durability=LATCHED.durability)
        for topic, qos, static in (('/tf', QoSProfile(depth=100), False), ('/tf_static', latched, True)):
            made = self._node.create_subscription(TFMessage, topic, never_called, qos, callback_group=ReadByThread())
            self._subscriptions.append((made, static))
        self.listening = True

    def read(self) -> None:
        """Take what has arrived."""
        for subscription, static in list(self._subscriptions):
            take_all(subscription, partial(self._take, static=static))

    def lookup(
        self, target: str, source: str, stamp_ns: int, timeout_s: float, stop: Callable[[], bool]
    ) -> tuple[FloatArray | None, AffordanceError | None]:
        """Return target_from_source (4, 4) at a stamp, or None and why it is not known within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.poses.lookup(target, source, stamp_ns), None
            except AffordanceError as error:
                if time.monotonic() >= deadline or stop():
                    return None, error.bare()
                time.sleep(POLL_S)

    def _take(self, message: Any, *, static: bool) -> None:
        for item in message.transforms:
            if not self._bearable(item.header.frame_id, item.child_frame_id):
                continue
            stamp = convert.nanoseconds_of(item.header.stamp)
            self.poses.add(
                item.header.frame_id, item.child_frame_id, stamp, convert.matrix_from_transform(item), static=static
            )

    def _bearable(self, *names: str) -> bool:
        """Whether frames of these names are taken: not too long, not too many."""
        if all(name in self._known for name in names):
            return True
        if max(map(len, names)) <= LONGEST_NAME and len(self._known) + len(names) <= MOST_FRAMES:
            self._known |= set(names)
            return True
        if not self._warned:
            self._warned = True
            text = f'at most {MOST_FRAMES} frames with names of up to {LONGEST_NAME} characters are taken from /tf'
            self._node.get_logger().warning(f'{text}; {names[1][:LONGEST_NAME]!r} and others are left out')
        return False
