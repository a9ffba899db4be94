# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images to arrays and back: every encoding, row padding, byte order, and what is refused."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from affordance_ros.camera_messages import (  # noqa: E402
    depth_from_message,
    intrinsics_from_message,
    is_rectified,
    rgb_from_message,
)
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.nodes.images import camera_info_message, image_message  # noqa: E402
from affordance_ros.results import Intrinsics  # noqa: E402

pytestmark = pytest.mark.ros
RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
ALPHA = np.full((2, 3, 1), 7, np.uint8)
METRES = np.array([[0.5, 1.0, 1.234], [0.25, 2.0, 0.0]], np.float32)


@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('rgb8', RGB),
        ('bgr8', RGB[..., ::-1]),
        ('8UC3', RGB[..., ::-1]),
        ('rgba8', np.concatenate((RGB, ALPHA), axis=2)),
        ('bgra8', np.concatenate((RGB[..., ::-1], ALPHA), axis=2)),
    ],
)
def test_colour_encodings(encoding: str, pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(rgb_from_message(image_message(pixels, encoding, Header())), RGB)


def test_grey_becomes_three_equal_channels() -> None:
    rgb = rgb_from_message(image_message(RGB[..., 0], 'mono8', Header()))
    np.testing.assert_array_equal(rgb, np.repeat(RGB[..., :1], 3, axis=2))


def test_padded_rows() -> None:
    message = Image(height=2, width=3, encoding='rgb8', step=12)
    padded = np.zeros((2, 12), np.uint8)
    padded[:, :9] = RGB.reshape(2, 9)
    message.data = padded.tobytes()
    np.testing.assert_array_equal(rgb_from_message(message), RGB)


@pytest.mark.parametrize('big', [False, True])
def test_depth_in_millimetres_and_metres(big: bool) -> None:  # noqa: FBT001
    order = '>' if big else '<'
    for encoding, raw in (
        ('16UC1', np.rint(METRES * 1000).astype(f'{order}u2')),
        ('32FC1', METRES.astype(f'{order}f4')),
    ):
        message = Image(height=2, width=3, encoding=encoding, is_bigendian=int(big), step=3 * raw.itemsize)
        message.data = raw.tobytes()
        depth = depth_from_message(message)
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, np.where(METRES > 0, METRES, np.nan), atol=0.0006)


def test_invalid_depth_is_nan_never_zero() -> None:
    raw = np.array([[np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0]], np.float32)
    depth = depth_from_message(image_message(raw, '32FC1', Header()))
    np.testing.assert_array_equal(np.isfinite(depth), [[False] * 5 + [True]])
    assert not np.isfinite(depth_from_message(image_message(np.zeros((2, 2), np.uint16), '16UC1', Header()))).any()


@pytest.mark.parametrize(
    ('message', 'code'),
    [
        (Image(height=1, width=1, encoding='yuv422', step=2, data=[0, 0]), Code.BAD_ENCODING),
        (Image(height=1, width=1, encoding='', step=3, data=[0, 0, 0]), Code.BAD_ENCODING),
        (Image(height=2, width=2, encoding='rgb8', step=6, data=[0] * 11), Code.BAD_INPUT),
        (Image(height=2, width=2, encoding='rgb8', step=5, data=[0] * 12), Code.BAD_INPUT),
        (Image(height=0, width=0, encoding='rgb8'), Code.BAD_INPUT),
    ],
)
def test_malformed_images_are_refused(message: Image, code: Code) -> None:
    with pytest.raises(AffordanceError) as refused:
        rgb_from_message(message)
    assert refused.value.code == code


@pytest.mark.parametrize('encoding', ['8UC1', '64FC1', 'rgb8'])
def test_other_depth_encodings_are_refused(encoding: str) -> None:
    message = Image(height=1, width=1, encoding=encoding, step=8, data=[0] * 8)
    with pytest.raises(AffordanceError, match='16UC1') as refused:
        depth_from_message(message)
    assert refused.value.code == Code.BAD_ENCODING


def test_millimetres_in_a_float_image_are_refused() -> None:
    message = image_message(np.full((4, 4), 700.0, np.float32), '32FC1', Header())
    with pytest.raises(AffordanceError) as refused:
        depth_from_message(message)
    assert refused.value.code == Code.UNITS
    np.testing.assert_allclose(depth_from_message(message, scale=0.001), 0.7)


def test_intrinsics_go_there_and_back() -> None:
    k = Intrinsics(600.5, 601.5, 319.5, 239.5, 640, 480, (0.1, -0.2, 0.01, 0.02, 0.3), 'plumb_bob')
    assert intrinsics_from_message(camera_info_message(k, Header())) == k


def test_a_rectified_topic_takes_p_and_no_distortion() -> None:
    message = camera_info_message(
        Intrinsics(600.0, 610.0, 320.0, 240.0, 640, 480, (0.1, -0.2, 0, 0, 0), 'plumb_bob'), Header()
    )
    message.p = [500.0, 0.0, 310.0, 0.0, 0.0, 505.0, 235.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert intrinsics_from_message(message, rectified=True) == Intrinsics(500.0, 505.0, 310.0, 235.0, 640, 480)
    assert intrinsics_from_message(message).fx == 600.0
    message.p = [0.0] * 12  # a driver that never set it
    assert intrinsics_from_message(message, rectified=True).distortion == (0.1, -0.2, 0, 0, 0)
    assert is_rectified('/camera/color/image_rect_color')
    assert is_rectified('/camera/image_rect/compressed')
    assert not is_rectified('/camera/color/image_raw')


def test_an_uncalibrated_camera_is_refused() -> None:
    with pytest.raises(AffordanceError, match='calibrat') as refused:
        intrinsics_from_message(CameraInfo(width=640, height=480))
    assert refused.value.code == Code.BAD_INPUT


def test_a_region_of_interest_and_binning_change_the_camera() -> None:
    k = Intrinsics(600.0, 610.0, 320.0, 240.0, 640, 480)
    message = camera_info_message(k, Header())
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 100, 40, 400, 300
    message.binning_x = message.binning_y = 2
    assert intrinsics_from_message(message) == Intrinsics(300.0, 305.0, 110.0, 100.0, 200, 150)
