# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With several cameras an answer is drawn on the image of its own."""

import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import Image  # noqa: E402
from synthetic_camera import SyntheticCamera  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.camera_messages import rgb_from_message  # noqa: E402

pytestmark = pytest.mark.ros


def test_the_picture_is_that_of_the_camera_that_was_asked(suite) -> None:
    client, fake = suite.client, {'model.name': 'fake', 'model.warmup': False}
    cameras = {name: SyntheticCamera(client, f'/{name}') for name in ('wrist', 'front')}
    cameras['front'].pixels[:] = (10, 20, 200)
    try:
        suite.start('affordance_node', fake | {'input.cameras': 'wrist, front'})
        suite.start('target_node')
        suite.start('overlay_node', {'input.cameras': 'wrist, front'})
        client.wait_active('/affordance_node', '/target_node', '/overlay_node')
        images = client.listen(Image, '/overlay_node/debug_image')
        for topic in ('/wrist/image', '/front/image'):
            client.wait_for(lambda topic=topic: client.node.count_subscribers(topic) == 2, what='the subscriptions')
        get = '/target_node/get_grasp_targets'

        def blue() -> bool:
            client.call(srv.GetGraspTargets, get, query='point at 320,240', camera='front', timeout_s=10.0)
            return bool(images) and tuple(rgb_from_message(images[-1])[300, 600]) == (10, 20, 200)

        client.wait_for(blue, what='a drawing on the image of the front camera')
    finally:
        for camera in cameras.values():
            camera.close()
