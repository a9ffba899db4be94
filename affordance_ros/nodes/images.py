# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays to sensor_msgs images and camera infos; `camera_messages` reads them."""

import array
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CameraInfo, Image

from affordance_ros.results import Intrinsics


def image_message(pixels: npt.NDArray[Any], encoding: str, header: Any) -> Image:
    """Return an Image of an array (H, W) or (H, W, C) whose type fits the encoding."""
    data = np.ascontiguousarray(pixels)
    message = Image(header=header, height=data.shape[0], width=data.shape[1], encoding=encoding, is_bigendian=0)
    message.step = data.strides[0]
    message.data = array.array('B', data.tobytes())  # a list would be checked byte by byte
    return message


def camera_info_message(intrinsics: Intrinsics, header: Any) -> CameraInfo:
    """Return a CameraInfo with K, D, R and P."""
    k = intrinsics
    message = CameraInfo(
        header=header, width=k.width, height=k.height, distortion_model=k.distortion_model or 'plumb_bob'
    )
    message.d = [float(value) for value in k.distortion] or [0.0] * 5
    message.k = [float(value) for value in k.matrix.ravel()]
    message.r = [float(value) for value in np.eye(3).ravel()]
    message.p = [float(value) for value in np.column_stack((k.matrix, np.zeros(3))).ravel()]
    return message
