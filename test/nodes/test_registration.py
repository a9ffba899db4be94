# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth from a camera of its own, beside the colour camera, gives the same contact, or a refusal that says why not."""

import threading

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from synthetic_camera import BAR_M, ON_BAR, TABLE_M, TOP_M, Shot, point_of  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.geometry.transforms import pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.nodes.images import camera_info_message, image_message  # noqa: E402
from affordance_ros.results import Intrinsics  # noqa: E402

pytestmark = pytest.mark.ros
SMALL = Intrinsics(430.0, 430.0, 211.5, 119.5, 424, 240)  # another lens and size than the colour camera's 640x480
ASIDE_M = 0.05
COLOR_FROM_DEPTH = pose_from((-ASIDE_M, 0.01, 0.0), (0, 0, 0, 1))


def depth_seen(color_from_depth: np.ndarray) -> np.ndarray:
    """Return what a depth camera beside the colour camera sees of the bar and the table, in millimetres."""
    v, u = np.mgrid[: SMALL.height, : SMALL.width]
    x = (u - SMALL.cx) / SMALL.fx * TOP_M + color_from_depth[0, 3]
    y = (v - SMALL.cy) / SMALL.fy * TOP_M + color_from_depth[1, 3]
    on_bar = (abs(x) <= BAR_M / 2) & (abs(y) <= 0.09)
    return np.where(on_bar, round(1000 * TOP_M), round(1000 * TABLE_M)).astype(np.uint16)


class DepthCamera:
    """Publishes depth, its camera info and its pose beside the colour camera, with the stamps of the colour images."""

    def __init__(self, client, camera) -> None:
        self._node = client.node
        qos = QoSProfile(depth=5)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._depth = self._node.create_publisher(Image, '/depth/image', qos)
        self._info = self._node.create_publisher(CameraInfo, '/depth/camera_info', qos)
        self._static = self._node.create_publisher(TFMessage, '/tf_static', latched)
        self.pixels, self.with_info, self.info = depth_seen(COLOR_FROM_DEPTH), threading.Event(), SMALL
        self.frame = 'depth_optical_frame'
        camera.shot = Shot(depth=False, hook=self._publish)

    def say_where(self) -> None:
        pose = convert.transform_message(COLOR_FROM_DEPTH, 'camera_optical_frame', 'depth_optical_frame', 0)
        self._static.publish(TFMessage(transforms=[pose]))

    def _publish(self, stamp_ns: int) -> None:
        header = Header(stamp=convert.time_message(stamp_ns), frame_id=self.frame)
        if self.with_info.is_set():
            self._info.publish(camera_info_message(self.info, header))
        self._depth.publish(image_message(self.pixels, '16UC1', header))


@pytest.fixture(scope='module')
def aside(module_suite):
    """The suite, a colour camera, and a depth camera beside it that says nothing about itself yet."""
    camera = module_suite.start_camera()
    depth = DepthCamera(module_suite.client, camera)
    module_suite.start('affordance_node', {'model.name': 'fake', 'input.max_age_s': 5.0})
    module_suite.start('target_node')
    module_suite.client.wait_active('/affordance_node', '/target_node')
    return module_suite, depth


def ask(suite):
    query = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'
    return suite.client.call(srv.GetGraspTargets, '/target_node/get_grasp_targets', query=query, timeout_s=15.0).targets


def asked_until(suite, code: Code):
    """Ask until the answer has a code: what was published before may still be on its way."""
    told: list = []

    def came() -> bool:
        told.append(ask(suite))
        return told[-1].outcome.code == code

    suite.client.wait_for(came, 30.0, f'the outcome {code.name}')
    return told[-1]


def test_what_is_missing_is_told_one_after_the_other(aside) -> None:
    suite, depth = aside
    missing = asked_until(suite, Code.UNALIGNED).outcome.message
    assert 'depth/camera_info' in missing
    assert "'depth_optical_frame'" in missing
    depth.with_info.set()
    named = asked_until(suite, Code.TF).outcome.message
    assert 'no transform joins' in named
    assert named.count("'camera_optical_frame'") == named.count("'depth_optical_frame'") == 2


def test_the_contact_is_as_good_as_with_registered_depth(aside) -> None:
    suite, depth = aside
    depth.with_info.set()
    depth.say_where()
    targets = asked_until(suite, Code.OK)
    assert targets.header.frame_id == 'camera_optical_frame'
    best = targets.targets[0]
    found = np.array([best.contact.point.x, best.contact.point.y, best.contact.point.z])
    assert np.linalg.norm(found - point_of(ON_BAR)) < 0.002
    assert best.width_m == pytest.approx(BAR_M, abs=0.005)
    assert {'decode', 'register'} <= {stage.stage for stage in targets.stages}


def test_verify_looks_at_registered_depth_too(aside) -> None:
    suite, depth = aside
    depth.with_info.set()
    depth.say_where()
    targets = asked_until(suite, Code.OK)
    fields = {'header': targets.header, 'target': targets.targets[0], 'timeout_s': 10.0}
    there = suite.client.call(srv.VerifyContact, '/target_node/verify', **fields)
    assert there.outcome.code == Code.OK, there.outcome.message
    assert there.shift_m < 0.002


def test_a_camera_info_of_another_size_is_refused(aside) -> None:
    suite, depth = aside
    depth.with_info.set()
    depth.say_where()
    depth.info = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
    assert 'depth/camera_info is for 640x480' in asked_until(suite, Code.BAD_INPUT).outcome.message
    depth.info = SMALL
    asked_until(suite, Code.OK)


def test_depth_of_the_same_lens_but_another_size_needs_no_pose(aside) -> None:
    suite, depth = aside
    depth.with_info.set()
    depth.pixels, depth.frame = depth_seen(np.eye(4)), 'camera_optical_frame'
    try:
        found = asked_until(suite, Code.OK).targets[0].contact.point
        assert np.linalg.norm(np.array([found.x, found.y, found.z]) - point_of(ON_BAR)) < 0.002
    finally:
        depth.pixels, depth.frame = depth_seen(COLOR_FROM_DEPTH), 'depth_optical_frame'
