# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated time: a clock that starts at zero, a bag that loops, and the age of images in the time of the bag."""

import threading

import pytest

pytest.importorskip('rclpy')

from rosgraph_msgs.msg import Clock  # noqa: E402
from synthetic_camera import Shot  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros


class SimulatedClock:
    """Publishes /clock at 50 Hz; `now` may be set."""

    def __init__(self, client) -> None:
        self.now = 0
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
            self.now += 20_000_000
            self._publisher.publish(Clock(clock=convert.time_message(self.now)))


@pytest.fixture(scope='module')
def bag(module_suite):
    """The suite on a clock of its own."""
    clock = SimulatedClock(module_suite.client)
    simulated = {'use_sim_time': True}
    module_suite.start_fake(simulated | {'run.wait_image_s': 5.0, 'input.max_age_s': 3.0}, simulated)
    module_suite.camera.shot = Shot(clock=lambda: clock.now)
    yield module_suite, clock
    clock.close()


def ask(suite):
    return suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=8.0
    ).targets


def test_a_clock_that_starts_at_zero(bag) -> None:
    suite, clock = bag
    targets = ask(suite)
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert convert.nanoseconds_of(targets.header.stamp) <= clock.now
    assert convert.nanoseconds_of(targets.image_age) < 5_000_000_000


@pytest.mark.parametrize('pass_number', [1, 2, 3])
def test_a_bag_that_loops(bag, pass_number: int) -> None:
    suite, clock = bag
    clock.now = 100_000_000_000
    suite.client.wait_for(lambda: clock.now > 100_400_000_000)
    assert ask(suite).outcome.code == Code.OK
    clock.now = 5_000_000_000
    suite.client.wait_for(lambda: clock.now > 5_400_000_000)
    targets = ask(suite)
    assert targets.outcome.code == Code.OK, targets.outcome.message
    assert convert.nanoseconds_of(targets.header.stamp) < 50_000_000_000
    assert pass_number


def test_images_of_another_clock_are_refused(bag) -> None:
    suite, _ = bag
    suite.camera.shot = Shot()  # wall time
    told: list = []

    def refused() -> bool:  # the last image of the bag's time may still be the newest one that has arrived
        told.append(ask(suite).outcome)
        return told[-1].code == Code.STALE

    suite.client.wait_for(refused, what='the refusal')
    assert 'use_sim_time' in told[-1].message
