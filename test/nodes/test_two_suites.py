# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two robots on one graph stay apart; topics can be remapped, QoS overridden, and a mismatch is told."""

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from synthetic_camera import TOP_M, Shot, SyntheticCamera  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
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


def test_two_robots_with_the_same_frames_side_by_side(suite) -> None:
    client = suite.client
    remap = ('/tf:=tf', '/tf_static:=tf_static')
    cameras = [SyntheticCamera(client, f'/robot{number}') for number in (1, 2)]
    try:
        for number in (1, 2):
            publish_camera_pose(client.node, f'/robot{number}', height_m=float(number))
            for name in ('affordance_node', 'target_node'):
                parameters = FAKE | {'tf.target_frame': 'base', 'tf.timeout_s': 5.0} if name[0] == 'a' else {}
                suite.start(name, parameters, namespace=f'/robot{number}', remap=remap)
        client.wait_active(*(f'/robot{n}/{name}' for n in (1, 2) for name in ('affordance_node', 'target_node')))
        heard = [client.listen(msg.GraspTargetArray, f'/robot{n}/target_node/grasp_targets') for n in (1, 2)]
        goals = [client.send(PlanGrasps, f'/robot{n}/target_node/plan_grasps', query='at 320,240') for n in (1, 2)]
        targets = [goal.result().targets for goal in goals]  # both are on their way at the same time
        assert [item.outcome.code for item in targets] == [Code.OK, Code.OK], targets[0].outcome.message
        assert [item.header.frame_id for item in targets] == ['base', 'base']
        heights = [item.targets[0].contact.point.z for item in targets]
        assert heights == pytest.approx([1 - TOP_M, 2 - TOP_M], abs=0.003)  # each robot's own /tf
        client.wait_for(lambda: all(heard), what='the answers on both topics')
        assert [{item.request_id for item in own} for own in heard] == [{item.request_id} for item in targets]
    finally:
        for camera in cameras:
            camera.close()


def publish_camera_pose(node, namespace: str, height_m: float) -> None:
    """Publish on the robot's own /tf_static that its camera looks down on its base from a height."""
    pose = TransformStamped(child_frame_id='camera_optical_frame')
    pose.header.frame_id = 'base'
    pose.transform.translation.z, pose.transform.rotation.x, pose.transform.rotation.w = height_m, 1.0, 0.0
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_publisher(TFMessage, f'{namespace}/tf_static', latched).publish(TFMessage(transforms=[pose]))


def test_everything_but_diagnostics_and_tf_has_a_relative_name(suite) -> None:
    for name in ('affordance_node', 'target_node', 'overlay_node'):
        parameters = FAKE | {'tf.target_frame': 'base'} if name == 'affordance_node' else {}
        suite.start(name, parameters, namespace='/robot1')
    names = [f'/robot1/{name}' for name in ('affordance_node', 'target_node', 'overlay_node')]
    suite.client.wait_active(*names)
    node = suite.client.node
    ours = set()
    for name in names:
        own = name.rpartition('/')[2]
        for topics in (node.get_publisher_names_and_types_by_node, node.get_subscriber_names_and_types_by_node):
            ours |= {topic for topic, _ in topics(own, '/robot1')}
        ours |= {service for service, _ in node.get_service_names_and_types_by_node(own, '/robot1')}
    outside = {name for name in ours if not name.startswith('/robot1/')}
    assert len(ours) > 30
    assert outside == {'/diagnostics', '/tf', '/tf_static', '/rosout', '/parameter_events'}


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
