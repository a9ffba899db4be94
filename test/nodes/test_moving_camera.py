# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A wrist camera moves while a slow model thinks: targets are where the part is, not where the camera has got to."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from synthetic_camera import ON_BAR, Shot, point_of  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.geometry.transforms import inverse, pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros
SPEED_M_S = 0.05
FLANGE_FROM_CAMERA = pose_from((0.02, 0.0, 0.05), (0, 0, np.sqrt(0.5), np.sqrt(0.5)))
DOWN = (1, 0, 0, 0)


def base_from_flange(stamp_ns: int) -> np.ndarray:
    """The hand goes to and fro along x, half a metre above the base."""
    seconds = stamp_ns / 1e9
    return pose_from((0.4 + SPEED_M_S * abs(seconds % 8 - 4), 0.1, 1.0), DOWN)


class Wrist:
    """Publishes the pose of the hand at 50 Hz on /tf and that of the camera on /tf_static."""

    def __init__(self, client) -> None:
        self._node = client.node
        self._tf = self._node.create_publisher(TFMessage, '/tf', 100)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._static = self._node.create_publisher(TFMessage, '/tf_static', latched)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fix_camera(self) -> None:
        pose = convert.transform_message(FLANGE_FROM_CAMERA, 'flange', 'camera_optical_frame', 0)
        self._static.publish(TFMessage(transforms=[pose]))

    def close(self) -> None:
        self._end.set()
        self._thread.join(5.0)
        for publisher in (self._tf, self._static):
            self._node.destroy_publisher(publisher)

    def _run(self) -> None:
        while not self._end.wait(0.02):
            now = self._node.get_clock().now().nanoseconds
            pose = convert.transform_message(base_from_flange(now), 'base', 'flange', now)
            self._tf.publish(TFMessage(transforms=[pose]))


@pytest.fixture(scope='module')
def wrist_suite(module_suite):
    """The suite with a model that takes a second, targets in the base frame."""
    wrist = Wrist(module_suite.client)
    module_suite.start_fake(
        {'model.options': '{"delay_s": 1.0}', 'model.warmup': False, 'tf.target_frame': 'base', 'tf.timeout_s': 0.5}
    )
    yield module_suite, wrist
    wrist.close()


def ask(suite):
    query = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'
    return suite.client.call(srv.GetGraspTargets, '/target_node/get_grasp_targets', query=query, timeout_s=10.0).targets


def test_without_the_pose_of_the_camera_it_is_refused(wrist_suite) -> None:
    suite, _ = wrist_suite
    targets = ask(suite)
    assert targets.outcome.code == Code.TF, targets.outcome.message
    assert "'camera_optical_frame' and 'base'" in targets.outcome.message
    assert targets.targets == []


def test_static_poses_may_come_late_and_the_target_is_of_the_stamp(wrist_suite) -> None:
    suite, wrist = wrist_suite
    wrist.fix_camera()
    for _ in range(3):
        targets = ask(suite)
        assert targets.outcome.code == Code.OK, targets.outcome.message
        assert targets.header.frame_id == 'base'
        best = targets.targets[0]
        found = np.array([best.contact.point.x, best.contact.point.y, best.contact.point.z])
        stamp = convert.nanoseconds_of(targets.header.stamp)
        base_from_camera = base_from_flange(stamp) @ FLANGE_FROM_CAMERA
        true = base_from_camera[:3, :3] @ point_of(ON_BAR) + base_from_camera[:3, 3]
        assert np.linalg.norm(found - true) < 0.002
        latest = base_from_flange(suite.client.node.get_clock().now().nanoseconds) @ inverse(base_from_flange(stamp))
        moved = np.linalg.norm((latest @ np.append(true, 1))[:3] - true)
        grasp = convert.matrix_from_pose(best.grasp)
        np.testing.assert_allclose(grasp[:3, 2], (best.approach.x, best.approach.y, best.approach.z), atol=1e-6)
        assert best.approach.z < -0.8  # downwards in the base frame
        if moved > 0.02:  # with "latest" it would be centimetres off; near the turn of the hand it moves less
            return
    pytest.fail('the hand hardly moved while the model ran: the test shows nothing')


def test_an_image_older_than_the_poses_is_refused(wrist_suite) -> None:
    suite, _ = wrist_suite
    assert suite.client.set_parameters('/affordance_node', input__max_age_s=500.0)[0].successful
    suite.camera.shot = Shot(age_s=300.0)
    assert suite.client.change('/affordance_node', 4)
    assert suite.client.change('/affordance_node', 3)
    time.sleep(0.3)
    targets = ask(suite)
    assert targets.outcome.code == Code.TF
    assert "'flange' is known from" in targets.outcome.message
