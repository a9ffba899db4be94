# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading sensor_msgs images and camera infos, of rclpy and of bags alike: any object with their fields will do.

numpy and OpenCV alone: cv_bridge breaks with NumPy's ABI.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.camera_messages.compressed import color_from_compressed, depth_from_compressed
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import metres_from_raw
from affordance_ros.results import Intrinsics

COLOR_ENCODINGS = {
    'rgb8': (3, (0, 1, 2)),
    'bgr8': (3, (2, 1, 0)),
    'rgba8': (4, (0, 1, 2)),
    'bgra8': (4, (2, 1, 0)),
    'mono8': (1, (0, 0, 0)),
    '8UC3': (3, (2, 1, 0)),
}
DEPTH_TYPES = {'16UC1': np.uint16, 'mono16': np.uint16, '32FC1': np.float32}


def pixels_of(message: Any, dtype: Any, channels: int) -> npt.NDArray[Any]:
    """Return (H, W, channels), honouring step and byte order; a view of the message where that is possible."""
    item = np.dtype(dtype).newbyteorder('>' if message.is_bigendian else '<')
    needed = message.width * channels * item.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if message.step < needed or len(data) < message.step * message.height or not message.width or not message.height:
        text = f'the image says {message.width}x{message.height} {message.encoding}, step {message.step}'
        raise AffordanceError(Code.BAD_INPUT, f'{text}, but holds {len(data)} bytes')
    rows = data[: message.step * message.height].reshape(message.height, message.step)[:, :needed]
    return np.asarray(np.ascontiguousarray(rows).view(item).reshape(message.height, message.width, channels))


def rgb_from_message(message: Any) -> npt.NDArray[np.uint8]:
    """Return uint8 (H, W, 3) of an Image or CompressedImage. Raises BAD_ENCODING or BAD_INPUT."""
    if not hasattr(message, 'encoding'):
        return color_from_compressed(message.data, message.format)
    if message.encoding not in COLOR_ENCODINGS:
        known = ', '.join(COLOR_ENCODINGS)
        raise AffordanceError(
            Code.BAD_ENCODING, f'image encoding {message.encoding!r} is not supported; publish one of {known}'
        )
    channels, order = COLOR_ENCODINGS[message.encoding]
    pixels = pixels_of(message, np.uint8, channels)
    if order == (0, 1, 2) and channels == 3:
        return pixels
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for to, source in enumerate(order):  # several times faster than indexing with a list
        rgb[..., to] = pixels[..., source]
    return rgb


def depth_from_message(message: Any, scale: float = 0.0) -> npt.NDArray[np.float32]:
    """Return float32 metres (H, W), NaN where invalid, of an Image or CompressedImage. Raises BAD_ENCODING or UNITS."""
    if not hasattr(message, 'encoding'):
        pixels, encoding = depth_from_compressed(message.data, message.format)
        return metres_from_raw(pixels, encoding, scale)
    if message.encoding not in DEPTH_TYPES:
        raise AffordanceError(
            Code.BAD_ENCODING,
            f'depth encoding {message.encoding!r} is not supported; publish 16UC1 (millimetres) or 32FC1 (metres)',
        )
    dtype = DEPTH_TYPES[message.encoding]
    pixels = pixels_of(message, dtype, 1)[..., 0]
    return metres_from_raw(pixels.astype(dtype, copy=False), message.encoding, scale)


def is_depth(message: Any) -> bool:
    """Tell whether an Image or CompressedImage holds depth."""
    return message.encoding in DEPTH_TYPES if hasattr(message, 'encoding') else 'compressedDepth' in message.format


def is_rectified(topic: str) -> bool:
    """Tell whether a topic is rectified by its name, as ROS's image_proc and the drivers name it: image_rect..."""
    return any(part.startswith('image_rect') for part in topic.split('/'))


def intrinsics_from_message(message: Any, *, rectified: bool = False) -> Intrinsics:
    """Return K with its distortion for the image that the camera sends: the region of interest, binned.

    rectified: the image has no distortion left, so P counts (REP 104). Where P was never set it is taken for raw.
    Shift and scale are those of ROS's image_geometry. Raises BAD_INPUT when the camera is not calibrated.
    """
    if not is_calibrated(message):
        raise AffordanceError(
            Code.BAD_INPUT, 'camera_info holds no calibration (K is zero); calibrate the camera or fix its driver'
        )
    roi, across, down = message.roi, max(1, int(message.binning_x)), max(1, int(message.binning_y))
    rectified = rectified and message.p[0] > 0 and message.p[5] > 0
    distortion = () if rectified else tuple(float(value) for value in message.d)
    fx, fy, cx, cy = (message.p[index] for index in (0, 5, 2, 6)) if rectified else (message.k[i] for i in (0, 4, 2, 5))
    return Intrinsics(
        fx=float(fx) / across,
        fy=float(fy) / down,
        cx=(float(cx) - roi.x_offset) / across,
        cy=(float(cy) - roi.y_offset) / down,
        width=int(roi.width or message.width) // across,
        height=int(roi.height or message.height) // down,
        distortion=distortion if any(distortion) else (),
        distortion_model=str(message.distortion_model) if any(distortion) else '',
    )


def is_calibrated(message: Any) -> bool:
    """Tell whether a CameraInfo has a camera matrix and a size."""
    return bool(message.k[0] > 0 and message.k[4] > 0 and message.width > 0 and message.height > 0)
