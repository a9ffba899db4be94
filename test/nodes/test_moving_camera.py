# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A wrist camera moves while a slow model thinks: targets are where the part is, not where the camera has got to."""

import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from action_msgs.msg import GoalStatus  # noqa: E402
from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from synthetic_camera import ON_BAR, K, Shot, point_of  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import msg, srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.geometry.transforms import pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros
QUERY = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'
THINKING_S = 2.0
RADIUS_M, TURN_RAD_S = 0.15, 0.8  # the hand goes round in a circle and turns with it: never still, never back soon
FLANGE_FROM_CAMERA = pose_from((0.02, 0.0, 0.05), (0, 0, np.sqrt(0.5), np.sqrt(0.5)))
BASE_FROM_SHELF = pose_from((0.1, -0.3, 0.2), (0, 0, np.sqrt(0.5), np.sqrt(0.5)))
DOWN = (1, 0, 0, 0)


def base_from_flange(stamp_ns: int) -> np.ndarray:
    """Where the hand is at a time: a metre above the base, looking down."""
    angle = TURN_RAD_S * stamp_ns / 1e9 % (2 * np.pi)
    turned = pose_from((0, 0, 0), (0, 0, np.sin(angle / 2), np.cos(angle / 2)))
    place = (0.4 + RADIUS_M * np.cos(angle), 0.1 + RADIUS_M * np.sin(angle), 1.0)
    return pose_from(place, (0, 0, 0, 1)) @ turned @ pose_from((0, 0, 0), DOWN)


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
        camera = convert.transform_message(FLANGE_FROM_CAMERA, 'flange', 'camera_optical_frame', 0)
        shelf = convert.transform_message(BASE_FROM_SHELF, 'base', 'shelf', 0)
        self._static.publish(TFMessage(transforms=[camera, shelf]))

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
    """The suite with a model that takes two seconds, targets in the base frame."""
    wrist = Wrist(module_suite.client)
    module_suite.start_fake(
        {
            'model.options': json.dumps({'delay_s': THINKING_S}),
            'model.warmup': False,
            'tf.target_frame': 'base',
            'tf.timeout_s': 0.5,
        }
    )
    yield module_suite, wrist
    wrist.close()


def ask(suite):
    return suite.client.call(srv.GetGraspTargets, '/target_node/get_grasp_targets', query=QUERY, timeout_s=10.0).targets


def test_without_the_pose_of_the_camera_it_is_refused(wrist_suite) -> None:
    suite, _ = wrist_suite
    targets = ask(suite)
    assert targets.outcome.code == Code.TF, targets.outcome.message
    assert "'camera_optical_frame' and 'base'" in targets.outcome.message
    assert targets.targets == []


def point_in_base(stamp_ns: int) -> np.ndarray:
    """Return where the asked point was when the image was taken."""
    base_from_camera = base_from_flange(stamp_ns) @ FLANGE_FROM_CAMERA
    return base_from_camera[:3, :3] @ point_of(ON_BAR) + base_from_camera[:3, 3]


def test_cancel_while_it_waits_for_the_pose(wrist_suite) -> None:
    suite, _ = wrist_suite
    assert suite.client.set_parameters('/affordance_node', tf__timeout_s=5.0)[0].successful
    goal = suite.client.send(PredictAffordance, '/affordance_node/predict', query=QUERY)
    waiting = PredictAffordance.Feedback.WAITING
    suite.client.wait_for(lambda: any(item.stage == waiting for item in goal.feedback), what='the pose')
    start = time.monotonic()
    goal.cancel()
    assert goal.result().outcome.code == Code.CANCELED
    assert time.monotonic() - start < 0.5
    assert goal.status == GoalStatus.STATUS_CANCELED
    assert suite.client.set_parameters('/affordance_node', tf__timeout_s=0.5)[0].successful


def test_static_poses_may_come_late_and_the_target_is_of_the_stamp(wrist_suite) -> None:
    suite, wrist = wrist_suite
    wrist.fix_camera()
    for _ in range(2):
        targets = ask(suite)
        now = suite.client.node.get_clock().now().nanoseconds
        assert targets.outcome.code == Code.OK, targets.outcome.message
        assert targets.header.frame_id == 'base'
        best = targets.targets[0]
        found = np.array([best.contact.point.x, best.contact.point.y, best.contact.point.z])
        stamp = convert.nanoseconds_of(targets.header.stamp)
        assert np.linalg.norm(found - point_in_base(stamp)) < 0.002
        assert np.linalg.norm(found - point_in_base(now)) > 0.05  # what a look-up of the latest pose would have given
        assert targets.image_age.sec + targets.image_age.nanosec * 1e-9 >= THINKING_S
        grasp = convert.matrix_from_pose(best.grasp)
        np.testing.assert_allclose(grasp[:3, 2], (best.approach.x, best.approach.y, best.approach.z), atol=1e-6)
        assert best.approach.z < -0.8  # downwards in the base frame


def test_a_request_may_name_another_frame_and_verify_looks_there(wrist_suite) -> None:
    suite, wrist = wrist_suite
    wrist.fix_camera()
    call, get = suite.client.call, '/target_node/get_grasp_targets'
    targets = call(srv.GetGraspTargets, get, query=QUERY, target_frame='shelf', timeout_s=10.0).targets
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert targets.header.frame_id == 'shelf'
    best = targets.targets[0]
    base = point_in_base(convert.nanoseconds_of(targets.header.stamp))
    shelf = BASE_FROM_SHELF[:3, :3].T @ (base - BASE_FROM_SHELF[:3, 3])
    point = best.contact.point
    assert np.linalg.norm(np.array([point.x, point.y, point.z]) - shelf) < 0.002
    # The hand has moved on and sees the same picture, so at that place of the shelf there is something else now.
    gone = call(srv.VerifyContact, '/target_node/verify', header=targets.header, target=best, timeout_s=5.0)
    assert gone.outcome.code in (Code.MOVED, Code.OUT_OF_IMAGE), gone.outcome.message


def test_what_the_camera_shows_while_the_model_thinks_changes_nothing(wrist_suite) -> None:
    suite, wrist = wrist_suite
    wrist.fix_camera()
    evidence = suite.client.listen(msg.Evidence, '/affordance_node/evidence')
    suite.client.wait_for(lambda: suite.client.node.count_publishers('/affordance_node/evidence'), what='evidence')
    goal = suite.client.send(PlanGrasps, '/target_node/plan_grasps', query=QUERY, timeout_s=10.0)
    thinking = PlanGrasps.Feedback.GENERATE
    suite.client.wait_for(lambda: any(item.stage == thinking for item in goal.feedback), what='generation')
    suite.camera.shot = Shot(scale=1.5, intrinsics=replace(K, fx=300.0, fy=300.0))  # zoomed out, everything farther
    targets = goal.result().targets
    suite.camera.shot = Shot()
    assert targets.outcome.code == Code.OK, targets.outcome.message
    stamp = convert.nanoseconds_of(targets.header.stamp)
    point = targets.targets[0].contact.point
    assert np.linalg.norm(np.array([point.x, point.y, point.z]) - point_in_base(stamp)) < 0.002
    suite.client.wait_for(lambda: evidence, what='the evidence')
    last = evidence[-1]
    stamps = {convert.nanoseconds_of(h.stamp) for h in (last.depth.header, last.camera_info.header, last.answer.header)}
    assert stamps | {convert.nanoseconds_of(last.camera_pose.header.stamp)} == {stamp}
    assert last.camera_info.k[0] == K.fx
    assert point_of(ON_BAR)[2] == pytest.approx(float(np.frombuffer(last.depth.data, np.float32).min()), abs=0.001)


def test_an_image_older_than_the_poses_is_refused(wrist_suite) -> None:
    suite, _ = wrist_suite
    assert suite.client.set_parameters('/affordance_node', input__max_age_s=500.0)[0].successful
    suite.camera.shot = Shot(age_s=300.0)
    told: list = []

    def refused() -> bool:  # the last image of now may still be the newest one that has arrived
        told.append(ask(suite).outcome)
        return told[-1].code == Code.TF

    suite.client.wait_for(refused, what='the refusal')
    assert "'flange' is known from" in told[-1].message
