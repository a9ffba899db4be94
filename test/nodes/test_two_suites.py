# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two robots on one graph stay apart; topics can be remapped, QoS overridden, and a mismatch is told."""

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PredictAffordance  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from synthetic_camera import Shot, SyntheticCamera  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
FAKE = {'model.name': 'fake', 'run.wait_image_s': 2.0}


def test_two_suites_do_not_hear_each_other(suite) -> None:
    client = suite.client
    cameras = [SyntheticCamera(client, f'/robot{number}') for number in (1, 2)]
    try:
        for number in (1, 2):
            suite.start('affordance_node', FAKE, namespace=f'/robot{number}')
            suite.start('target_node', namespace=f'/robot{number}')
        client.wait_active(*(f'/robot{n}/{name}' for n in (1, 2) for name in ('affordance_node', 'target_node')))
        cameras[1].shot = Shot(depth=False, color=False)
        assert client.change('/robot2/affordance_node', 4)
        assert client.change('/robot2/affordance_node', 3)
        codes = [
            client.call(srv.GetGraspTargets, f'/robot{n}/target_node/get_grasp_targets', query='at 320,240').targets
            for n in (1, 2)
        ]
        assert [item.outcome.code for item in codes] == [Code.OK, Code.NO_IMAGE]
        assert '/robot2/image' in codes[1].outcome.message
    finally:
        for camera in cameras:
            camera.close()


def test_topics_can_be_remapped(suite) -> None:
    camera = SyntheticCamera(suite.client, '/wrist')
    try:
        remap = ('image:=/wrist/image', 'depth/image:=/wrist/depth/image', 'camera_info:=/wrist/camera_info')
        suite.start('affordance_node', FAKE, remap=remap)
        suite.client.wait_active('/affordance_node')
        result = suite.client.send(PredictAffordance, '/affordance_node/predict', query='at 320,240').result()
        assert result.outcome.code == Code.OK, result.outcome.message
    finally:
        camera.close()


def test_a_missing_camera_names_the_images_there_are(suite) -> None:
    camera = SyntheticCamera(suite.client, '/wrist')
    try:
        suite.start('affordance_node', FAKE)
        suite.client.wait_active('/affordance_node')
        result = suite.client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
        assert result.outcome.code == Code.NO_IMAGE
        assert '/wrist/image' in result.outcome.message
    finally:
        camera.close()


def test_quality_of_service_is_overridden_and_a_mismatch_is_told(suite) -> None:
    node = suite.client.node
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, '/image', best_effort)
    process = suite.start(
        'affordance_node', FAKE | {'qos_overrides': {'/image': {'subscription': {'reliability': 'reliable'}}}}
    )
    suite.client.wait_active('/affordance_node')
    suite.client.wait_for(lambda: 'incompatible' in process.text, 10.0, 'a warning about the QoS')
    result = suite.client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
    assert result.outcome.code == Code.NO_IMAGE
    assert 'BEST_EFFORT' in result.outcome.message
    node.destroy_publisher(publisher)
