# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and camera infos out of sensor_msgs, raw or compressed, without ROS."""

from affordance_ros.camera_messages.compressed import color_from_compressed, depth_from_compressed
from affordance_ros.camera_messages.reading import (
    COLOR_ENCODINGS,
    DEPTH_TYPES,
    depth_from_message,
    intrinsics_from_message,
    is_calibrated,
    is_depth,
    is_rectified,
    pixels_of,
    rgb_from_message,
)

__all__ = [
    'COLOR_ENCODINGS',
    'DEPTH_TYPES',
    'color_from_compressed',
    'depth_from_compressed',
    'depth_from_message',
    'intrinsics_from_message',
    'is_rectified',
    'is_calibrated',
    'is_depth',
    'pixels_of',
    'rgb_from_message',
]
