# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What image_transport's plugins `compressed` and `compressedDepth` put into a CompressedImage. No ROS in here.

compressedDepth: 12 bytes (an int32 and two float32, a and b), then a PNG of 16 bit. For 32FC1 the PNG holds inverse
depth: metres = a / (value - b), 0 where there is none. RVL, the other codec of the plugin, is refused by name.
"""

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code

HEADER = struct.Struct('<iff')
PNG = b'\x89PNG'
MOST_PIXELS = 64_000_000  # a bigger header is no camera image: it would only fill the memory


def color_from_compressed(data: Any, form: str) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB (H, W, 3) of JPEG or PNG bytes. form: the field `format`. Raises BAD_ENCODING or BAD_INPUT."""
    if 'compressedDepth' in form:
        raise AffordanceError(Code.BAD_ENCODING, f'the colour topic carries depth ({form!r}); remap image/compressed')
    pixels = _decoded(np.frombuffer(data, np.uint8), form, cv2.IMREAD_COLOR)
    # cv2 gives BGR whatever was sent, unless the publisher put RGB bytes into the JPEG without saying so.
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def depth_from_compressed(data: Any, form: str) -> tuple[npt.NDArray[Any], str]:
    """Return depth (H, W) and its encoding: uint16 '16UC1' or float32 '32FC1' (NaN: none).

    Raises BAD_ENCODING for JPEG (it changes the numbers) and RVL, BAD_INPUT for bytes that are no image.
    """
    if 'jpeg' in form or 'jpg' in form:
        text = f'depth arrives as JPEG ({form!r}), which changes the numbers'
        raise AffordanceError(Code.BAD_ENCODING, f'{text}; set compressedDepth with PNG at the publisher')
    if 'rvl' in form.lower():
        text = f'depth arrives as RVL ({form!r}), which is not read'
        raise AffordanceError(Code.BAD_ENCODING, f'{text}; set the parameter compressedDepth.format to png')
    raw = np.frombuffer(data, np.uint8)
    has_header = bytes(raw[HEADER.size : HEADER.size + 4]) == PNG
    pixels = _decoded(raw[HEADER.size :] if has_header else raw, form, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        text = f'compressed depth ({form!r}) is {pixels.dtype} with shape {pixels.shape}'
        raise AffordanceError(Code.BAD_ENCODING, f'{text}; publish compressedDepth of 16UC1 or 32FC1')
    if not form.startswith('32FC1'):
        return pixels, '16UC1'
    if not has_header:
        raise AffordanceError(Code.BAD_ENCODING, f'compressed depth ({form!r}) lacks the header that gives its scale')
    _, a, b = HEADER.unpack(bytes(raw[: HEADER.size]))
    known = pixels > 0
    metres = np.full(pixels.shape, np.nan, np.float32)
    metres[known] = a / (pixels[known].astype(np.float32) - b)
    return metres, '32FC1'


def _decoded(data: npt.NDArray[np.uint8], form: str, flags: int) -> npt.NDArray[Any]:
    width, height = _png_size(data)
    if width * height > MOST_PIXELS:
        raise AffordanceError(Code.BAD_INPUT, f'a compressed image says {width}x{height}; that is no camera image')
    try:
        pixels = cv2.imdecode(data, flags) if len(data) else None
    except cv2.error:
        pixels = None
    if pixels is None:
        text = f'a compressed image ({form!r}, {len(data)} bytes) cannot be decoded'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; is the publisher intact?')
    return np.asarray(pixels)


def _png_size(data: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Return what a PNG says about its size, (0, 0) for other bytes."""
    head = bytes(data[:24])
    if len(head) < 24 or not head.startswith(PNG):
        return 0, 0
    width, height = struct.unpack('>II', head[16:24])
    return int(width), int(height)
