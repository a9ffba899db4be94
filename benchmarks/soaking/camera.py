# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The camera of the soak: 1280x720 RGB-D and its pose, with faults named on the topic `fault`. A process of its own."""

import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from affordance_ros.geometry.transforms import pose_from
from affordance_ros.memory import keep_freed_memory
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.nodes.running import ARENAS, prepare_transport
from affordance_ros.results import Intrinsics

K = Intrinsics(900.0, 900.0, 639.5, 359.5, 1280, 720)
BASE_FROM_CAMERA = pose_from((0.4, 0.0, 0.7), (1, 0, 0, 0))  # looks straight down at the table
FAULTS = (
    'no_depth',
    'no_image',
    'malformed',
    'bad_encoding',
    'units',
    'no_tf',
    'past',
    'future',
    'wrong_size',
    'silent',
)


def depth_mm() -> np.ndarray:
    """Return a bar of 30 mm on a table, in millimetres."""
    depth = np.full((K.height, K.width), 700, np.uint16)
    half_u, half_v = 0.015 * K.fx / 0.64, 0.09 * K.fy / 0.64
    v, u = np.mgrid[: K.height, : K.width]
    depth[(abs(u - K.cx) <= half_u) & (abs(v - K.cy) <= half_v)] = 640
    return depth


class Camera:
    """Publishes one bundle per call."""

    def __init__(self, node) -> None:
        from tf2_msgs.msg import TFMessage

        self._tf_message = TFMessage
        self._node, self.fault = node, 'none'
        qos = QoSProfile(depth=5)
        self._color = node.create_publisher(Image, 'image', qos)
        self._depth = node.create_publisher(Image, 'depth/image', qos)
        self._info = node.create_publisher(CameraInfo, 'camera_info', qos)
        self._tf = node.create_publisher(TFMessage, '/tf', 100)
        node.create_subscription(String, 'fault', self._set, 10)
        header = Header(frame_id='camera_optical_frame')
        self._rgb = image_message(np.full((K.height, K.width, 3), 90, np.uint8), 'rgb8', header)
        self._mm = image_message(depth_mm(), '16UC1', header)
        self._k = camera_info_message(K, header)

    def _set(self, message: String) -> None:
        self.fault = message.data

    def shoot(self) -> None:
        """Publish."""
        fault = self.fault
        now = self._node.get_clock().now().nanoseconds
        stamp = convert.time_message(now + {'past': -20, 'future': 20}.get(fault, 0) * 10**9)
        for message in (self._rgb, self._mm, self._k):
            message.header.stamp = stamp
        self._rgb.encoding = 'yuv422' if fault == 'bad_encoding' else 'rgb8'
        self._rgb.step = 17 if fault == 'malformed' else 3 * K.width
        self._mm.encoding = '32FC1' if fault == 'units' else '16UC1'
        self._k.width = 640 if fault == 'wrong_size' else K.width
        if fault == 'silent':
            return
        if fault != 'no_tf':
            pose = convert.transform_message(BASE_FROM_CAMERA, 'base', 'camera_optical_frame', now)
            self._tf.publish(self._tf_message(transforms=[pose]))
        self._info.publish(self._k)
        if fault != 'no_image':
            self._color.publish(self._rgb)
        if fault != 'no_depth':
            self._depth.publish(self._mm)


def main() -> None:
    """Publish until killed."""
    period = 1 / float(sys.argv[1])
    prepare_transport()
    keep_freed_memory(ARENAS)
    rclpy.init()
    node = rclpy.create_node('soak_camera')
    camera, due = Camera(node), time.monotonic()
    while rclpy.ok():
        camera.shoot()
        due = max(due + period, time.monotonic() - period)
        while (left := due - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)


if __name__ == '__main__':
    main()
