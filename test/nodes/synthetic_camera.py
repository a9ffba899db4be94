# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An RGB-D camera that looks straight down at a bar on a table: every point of it is known exactly."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.results import Intrinsics

K = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
TABLE_M, TOP_M, BAR_M = 0.70, 0.64, 0.030  # depth of table and of the bar's top; width of the bar along u
ON_BAR = (320.0, 240.0)


def depth_image() -> np.ndarray:
    """Return the depth in metres: the bar is 30 mm wide along u and 180 mm long along v."""
    depth = np.full((K.height, K.width), TABLE_M, np.float32)
    half_u, half_v = BAR_M / 2 * K.fx / TOP_M, 0.09 * K.fy / TOP_M
    v, u = np.mgrid[: K.height, : K.width]
    depth[(abs(u - K.cx) <= half_u) & (abs(v - K.cy) <= half_v)] = TOP_M
    return depth


def point_of(pixel: tuple[float, float]) -> np.ndarray:
    """Return the true point (3,) in the optical frame that a pixel of the bar or the table shows."""
    z = float(depth_image()[round(pixel[1]), round(pixel[0])])
    return np.array([(pixel[0] - K.cx) / K.fx * z, (pixel[1] - K.cy) / K.fy * z, z])


@dataclass
class Shot:
    """What the camera publishes; tests change it while the camera runs."""

    color: bool = True
    depth: bool = True
    info: bool = True
    color_encoding: str = 'rgb8'
    depth_encoding: str = '16UC1'
    frame: str = 'camera_optical_frame'
    depth_frame: str = 'camera_optical_frame'
    cut: int = 0  # bytes that the colour image lacks
    depth_delay_ns: int = 0
    age_s: float = 0.0
    scale: float = 1.0
    intrinsics: Intrinsics = K
    clock: Any = None  # returns the stamp in nanoseconds; None: the clock of the node
    hook: Any = None  # called with the stamp before each shot
    sent: int = 0


class SyntheticCamera:
    """Publishes from a thread of its own until it is closed."""

    def __init__(self, client: Any, namespace: str = '', rate: float = 15.0) -> None:
        self.shot = Shot()
        self._node, self._rate = client.node, rate
        prefix = f'{namespace}/' if namespace else '/'
        qos = QoSProfile(depth=5)
        self._color = self._node.create_publisher(Image, f'{prefix}image', qos)
        self._depth = self._node.create_publisher(Image, f'{prefix}depth/image', qos)
        self._info = self._node.create_publisher(CameraInfo, f'{prefix}camera_info', qos)
        self.pixels = np.full((K.height, K.width, 3), 90, np.uint8)
        self.metres = depth_image()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop publishing."""
        self._end.set()
        self._thread.join(5.0)
        for publisher in (self._color, self._depth, self._info):
            self._node.destroy_publisher(publisher)

    def _run(self) -> None:
        while not self._end.wait(1 / self._rate):
            shot = self.shot
            now = shot.clock() if shot.clock else self._node.get_clock().now().nanoseconds
            self.publish(now - int(shot.age_s * 1e9))

    def publish(self, stamp_ns: int) -> None:
        """Publish one bundle with a stamp."""
        shot = self.shot
        if shot.hook:
            shot.hook(stamp_ns)
        header = Header(stamp=convert.time_message(stamp_ns), frame_id=shot.frame)
        if shot.info:
            self._info.publish(camera_info_message(shot.intrinsics, header))
        if shot.color:
            message = image_message(self.pixels, 'rgb8', header)
            message.encoding = shot.color_encoding
            message.data = message.data[: len(message.data) - shot.cut]
            self._color.publish(message)
        if shot.depth:
            later = convert.time_message(stamp_ns + shot.depth_delay_ns)
            self._depth.publish(self._depth_message(Header(stamp=later, frame_id=shot.depth_frame)))
        shot.sent += 1

    def _depth_message(self, header: Header) -> Image:
        metres = self.metres * self.shot.scale
        encoding = self.shot.depth_encoding
        pixels = metres.astype(np.float32) if encoding == '32FC1' else np.rint(metres * 1000).astype(np.uint16)
        return image_message(pixels, encoding, header)  # any other name: 16UC1 bytes under a wrong label


def wait_for_subscribers(client: Any, topic: str, count: int = 1, timeout_s: float = 20.0) -> None:
    """Wait until a topic is subscribed to."""
    client.wait_for(
        lambda: client.node.count_subscribers(topic) >= count, timeout_s, f'{count} subscriber(s) of {topic}'
    )
    time.sleep(0.1)
