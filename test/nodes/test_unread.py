# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that are read without copying their pixels are the images that rclpy reads."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from affordance_ros.nodes.images import image_message  # noqa: E402
from affordance_ros.nodes.thread_reading import Unread  # noqa: E402

FIELDS = ('header', 'height', 'width', 'encoding', 'is_bigendian', 'step')


@pytest.mark.parametrize('frame_id', ['', 'c', 'ca', 'cam', 'camera', 'camera_optical_frame'])
@pytest.mark.parametrize(
    ('encoding', 'dtype', 'shape'),
    [
        ('rgb8', np.uint8, (3, 5, 3)),
        ('16UC1', np.uint16, (4, 7)),
        ('32FC1', np.float32, (2, 3)),
        ('mono8', np.uint8, (1, 1)),
    ],
)
def test_every_length_of_names_is_read_as_rclpy_reads_it(frame_id, encoding, dtype, shape) -> None:
    pixels = np.arange(1, np.prod(shape) + 1).astype(dtype).reshape(shape)
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = 12, 34
    data = serialize_message(image_message(pixels, encoding, header))
    unread, whole = Unread(Image, data), deserialize_message(data, Image)
    assert unread.stamp_ns == 12_000_000_034
    message = unread.message()
    assert [getattr(message, name) for name in FIELDS] == [getattr(whole, name) for name in FIELDS]
    assert bytes(message.data) == bytes(whole.data) == pixels.tobytes()
    assert deserialize_message(serialize_message(message), Image) == whole  # the bytes that only fill up are any


def test_an_image_without_pixels_is_read() -> None:
    message = Unread(Image, serialize_message(Image(encoding='rgb8', width=4, height=4))).message()
    assert (message.encoding, len(message.data)) == ('rgb8', 0)


@pytest.mark.parametrize('kept', [20, 40, 60])
def test_a_message_that_is_cut_off_is_left_to_rclpy(kept) -> None:
    header = Header(frame_id='camera')
    data = serialize_message(image_message(np.ones((8, 8), np.uint8), 'mono8', header))[:kept]
    with pytest.raises(Exception, match='deserialize|serializ'):
        Unread(Image, data).message()
