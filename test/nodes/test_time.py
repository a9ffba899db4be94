# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated time: late joiners, a clock at zero, bags that loop, pause and jump, ages in the time of the bag."""

import threading

import pytest

pytest.importorskip('rclpy')

pytest.importorskip('tf2_msgs')

from affordance_ros.action import PlanGrasps  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from synthetic_camera import TOP_M, Shot  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.geometry.transforms import pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros


class SimulatedClock:
    """Publishes /clock at 50 Hz; `now` may be set."""

    def __init__(self, client) -> None:
        self.now, self.paused = 0, False
        self._node = client.node
        self._publisher = self._node.create_publisher(Clock, '/clock', 10)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join(5.0)
        self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        while not self._end.wait(0.02):
            self.now += 0 if self.paused else 20_000_000
            self._publisher.publish(Clock(clock=convert.time_message(self.now)))


class Mast:
    """Publishes the pose of the camera over the base at the time of the clock: `height` may be set."""

    def __init__(self, client) -> None:
        self.height = 1.0
        self._publisher = client.node.create_publisher(TFMessage, '/tf', 100)

    def publish(self, stamp_ns: int) -> None:
        base_from_camera = pose_from((0.0, 0.0, self.height), (1, 0, 0, 0))
        pose = convert.transform_message(base_from_camera, 'base', 'camera_optical_frame', stamp_ns)
        self._publisher.publish(TFMessage(transforms=[pose]))


@pytest.fixture(scope='module')
def bag(module_suite):
    """The suite on a clock of its own; it joins when the clock and the camera already run."""
    clock, mast = SimulatedClock(module_suite.client), Mast(module_suite.client)
    clock.now = 40_000_000_000
    module_suite.start_camera()
    module_suite.camera.shot = Shot(clock=lambda: clock.now, hook=mast.publish)
    module_suite.client.wait_for(lambda: module_suite.camera.shot.sent > 5, what='images before the nodes')
    simulated = {'use_sim_time': True}
    options = {'model.options': '{"delay_s": 0.3}', 'run.wait_image_s': 5.0, 'input.max_age_s': 3.0}
    poses = {'tf.target_frame': 'base', 'tf.timeout_s': 1.0}
    module_suite.start_fake(simulated | options | poses, simulated)
    yield module_suite, clock, mast
    clock.close()


def ask(suite):
    return suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=8.0
    ).targets


def asked_ok(suite):
    """Ask until there are targets: just after a jump the last image of before may be refused as STALE."""
    told: list = []

    def answered() -> bool:
        told.append(ask(suite))
        return told[-1].outcome.code == Code.OK

    suite.client.wait_for(answered, what='targets')
    return told[-1]


def jump(suite, clock, seconds: float) -> None:
    """Set the clock and wait until images of its new time have been sent."""
    clock.now = int(seconds * 1e9)
    sent = suite.camera.shot.sent
    suite.client.wait_for(lambda: suite.camera.shot.sent > sent + 4, what='images of the new time')


def test_a_suite_that_joins_late_serves(bag) -> None:
    suite, clock, _ = bag
    targets = ask(suite)
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert 40_000_000_000 < convert.nanoseconds_of(targets.header.stamp) <= clock.now


def test_a_clock_that_starts_at_zero(bag) -> None:
    suite, clock, _ = bag
    jump(suite, clock, 0.0)
    targets = asked_ok(suite)
    assert convert.nanoseconds_of(targets.header.stamp) <= clock.now < 39_000_000_000
    assert convert.nanoseconds_of(targets.image_age) < 5_000_000_000


@pytest.mark.parametrize('height', [1.0, 1.2, 1.4])
def test_a_bag_that_loops_and_shows_something_else_each_time(bag, height: float) -> None:
    suite, clock, mast = bag
    jump(suite, clock, 100.0)
    asked_ok(suite)
    mast.height = height
    jump(suite, clock, 5.0)
    targets = asked_ok(suite)
    assert convert.nanoseconds_of(targets.header.stamp) < 90_000_000_000
    best = targets.targets[0].contact.point
    assert best.z == pytest.approx(height - TOP_M, abs=0.002)  # not of the pass before


def test_a_jump_back_while_the_model_thinks_leaves_the_answer_that_of_its_image(bag) -> None:
    suite, clock, _ = bag
    jump(suite, clock, 100.0)
    asked_ok(suite)
    goal = suite.client.send(PlanGrasps, '/target_node/plan_grasps', query='point at 320,240', timeout_s=8.0)
    thinking = PlanGrasps.Feedback.GENERATE
    suite.client.wait_for(lambda: any(item.stage == thinking for item in goal.feedback), what='generation')
    jump(suite, clock, 5.0)
    targets = goal.result().targets
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert convert.nanoseconds_of(targets.header.stamp) > 99_000_000_000
    assert convert.nanoseconds_of(asked_ok(suite).header.stamp) < 90_000_000_000


def test_a_bag_that_is_paused_is_answered(bag) -> None:
    suite, clock, _ = bag
    asked_ok(suite)
    clock.paused = True
    playing = suite.camera.shot
    suite.camera.shot = Shot(color=False, depth=False, info=False)
    stamps = {convert.nanoseconds_of(asked_ok(suite).header.stamp) for _ in range(3)}
    assert max(stamps) <= clock.now
    suite.camera.shot, clock.paused = playing, False


def test_images_of_another_clock_are_refused(bag) -> None:
    suite, _, _ = bag
    suite.camera.shot = Shot()  # wall time
    told: list = []

    def refused() -> bool:  # the last image of the bag's time may still be the newest one that has arrived
        told.append(ask(suite).outcome)
        return told[-1].code == Code.STALE

    suite.client.wait_for(refused, what='the refusal')
    assert 'use_sim_time' in told[-1].message
