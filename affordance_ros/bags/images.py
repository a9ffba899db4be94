# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and camera infos as rosbags reads them, raw or compressed, to arrays."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import metres_from_raw
from affordance_ros.results import Intrinsics

COLORS = {
    'rgb8': (3, (0, 1, 2)),
    'bgr8': (3, (2, 1, 0)),
    'rgba8': (4, (0, 1, 2)),
    'bgra8': (4, (2, 1, 0)),
    'mono8': (1, (0, 0, 0)),
}
DEPTHS = {'16UC1': np.uint16, 'mono16': np.uint16, '32FC1': np.float32}
_COMPRESSED_DEPTH_HEADER = 12  # image_transport's compressedDepth puts three numbers before the PNG


def is_depth(message: Any) -> bool:
    """Tell whether an Image or CompressedImage holds depth."""
    if hasattr(message, 'encoding'):
        return message.encoding in DEPTHS
    return 'compressedDepth' in message.format


def color_pixels(message: Any) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB (H, W, 3). Raises BAD_ENCODING or BAD_INPUT."""
    if not hasattr(message, 'encoding'):
        decoded = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise AffordanceError(Code.BAD_ENCODING, f'the compressed image ({message.format}) cannot be decoded')
        return np.ascontiguousarray(decoded[..., ::-1])
    if message.encoding not in COLORS:
        text = f'image encoding {message.encoding!r} is not supported; record one of {", ".join(COLORS)}'
        raise AffordanceError(Code.BAD_ENCODING, text)
    channels, order = COLORS[message.encoding]
    return np.ascontiguousarray(_pixels(message, np.dtype(np.uint8), channels)[..., list(order)])


def depth_metres(message: Any, scale: float = 0.0) -> npt.NDArray[np.float32]:
    """Return float32 metres (H, W), NaN where invalid. Raises BAD_ENCODING, BAD_INPUT or UNITS."""
    if not hasattr(message, 'encoding'):
        data = np.asarray(message.data, np.uint8)[_COMPRESSED_DEPTH_HEADER:]
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if decoded is None or decoded.dtype != np.uint16:
            raise AffordanceError(Code.BAD_ENCODING, f'compressed depth ({message.format}) is read as 16-bit PNG only')
        return metres_from_raw(decoded, '16UC1', scale)
    if message.encoding not in DEPTHS:
        raise AffordanceError(
            Code.BAD_ENCODING, f'depth encoding {message.encoding!r} is not supported; record 16UC1 or 32FC1'
        )
    kind = np.dtype(DEPTHS[message.encoding])
    return metres_from_raw(_pixels(message, kind, 1)[..., 0].astype(kind), message.encoding, scale)


def camera_info_intrinsics(message: Any) -> Intrinsics | None:
    """Return K with its distortion, None when the camera is not calibrated."""
    k = message.k
    if not (k[0] > 0 and k[4] > 0 and message.width and message.height):
        return None
    distortion = tuple(float(value) for value in message.d)
    return Intrinsics(
        fx=float(k[0]),
        fy=float(k[4]),
        cx=float(k[2]),
        cy=float(k[5]),
        width=int(message.width),
        height=int(message.height),
        distortion=distortion if any(distortion) else (),
        distortion_model=str(message.distortion_model) if any(distortion) else '',
    )


def _pixels(message: Any, kind: np.dtype[Any], channels: int) -> npt.NDArray[Any]:
    """Return (H, W, channels), honouring step and byte order."""
    item = kind.newbyteorder('>' if message.is_bigendian else '<')
    needed = message.width * channels * item.itemsize
    data = np.asarray(message.data, np.uint8)
    if not needed or not message.height or message.step < needed or len(data) < message.step * message.height:
        said = f'{message.width}x{message.height} {message.encoding} with step {message.step}'
        raise AffordanceError(Code.BAD_INPUT, f'an image of the bag says {said}, but holds {len(data)} bytes')
    rows = data[: message.step * message.height].reshape(message.height, message.step)[:, :needed]
    return np.ascontiguousarray(rows).view(item).reshape(message.height, message.width, channels)
