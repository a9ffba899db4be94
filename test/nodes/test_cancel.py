# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cancel works at every stage within half a second, time-outs hold, a full line refuses, and the node serves on."""

import time

import pytest

pytest.importorskip('rclpy')

from action_msgs.msg import GoalStatus  # noqa: E402
from affordance_ros.action import PlanGrasps, PredictAffordance  # noqa: E402
from synthetic_camera import Shot  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
PREDICT, PLAN = '/affordance_node/predict', '/target_node/plan_grasps'
Feedback = PredictAffordance.Feedback


@pytest.fixture(scope='module')
def slow(module_suite):
    """A model that takes three seconds; warm-up is left out for that."""
    module_suite.start_fake({'model.options': '{"delay_s": 3.0}', 'model.warmup': False})
    return module_suite


def reached(goal, stage: int):
    return lambda: any(item.stage == stage for item in goal.feedback)


def outcome_of(result):
    """Return the outcome of a PredictAffordance or PlanGrasps result."""
    return result.targets.outcome if hasattr(result, 'targets') else result.outcome


def canceled_in(goal) -> float:
    """Cancel, wait for the result, check it and return the seconds it took."""
    start = time.monotonic()
    goal.cancel()
    outcome = outcome_of(goal.result())
    seconds = time.monotonic() - start
    assert Code(outcome.code) == Code.CANCELED, outcome.message
    assert goal.status == GoalStatus.STATUS_CANCELED
    return seconds


WAYS = pytest.mark.parametrize(('kind', 'name'), [(PredictAffordance, PREDICT), (PlanGrasps, PLAN)])


@WAYS
def test_cancel_while_the_model_runs(slow, kind, name: str) -> None:
    goal = slow.client.send(kind, name, query='point at 320,240')
    slow.client.wait_for(reached(goal, Feedback.GENERATE), what='generation')
    assert canceled_in(goal) < 0.5


@WAYS
def test_cancel_in_the_line_and_a_full_line(slow, kind, name: str) -> None:
    client = slow.client
    first = client.send(PredictAffordance, PREDICT, query='point at 320,240')
    client.wait_for(reached(first, Feedback.GENERATE), what='generation')
    second = client.send(kind, name, query='point at 320,240')
    client.wait_for(reached(second, Feedback.QUEUED), what='the line')
    third = client.send(kind, name, query='point at 320,240')
    assert outcome_of(third.result()).code == Code.BUSY
    assert third.status == GoalStatus.STATUS_ABORTED
    assert canceled_in(second) < 0.5
    assert canceled_in(first) < 0.5


@WAYS
def test_cancel_while_it_waits_for_an_image(slow, kind, name: str) -> None:
    slow.camera.shot = Shot(color=False, depth=False, info=False)
    assert slow.client.change('/affordance_node', 4)
    assert slow.client.change('/affordance_node', 3)
    goal = slow.client.send(kind, name, query='point at 320,240')
    slow.client.wait_for(reached(goal, Feedback.WAITING), what='waiting')
    assert canceled_in(goal) < 0.5
    slow.camera.shot = Shot()


def test_whoever_comes_second_is_rejected(slow) -> None:
    client = slow.client
    assert client.set_parameters('/affordance_node', run__policy='reject')[0].successful
    first = client.send(PredictAffordance, PREDICT, query='point at 320,240')
    client.wait_for(reached(first, Feedback.GENERATE), what='generation')
    second = client.send(PredictAffordance, PREDICT, query='point at 320,240').result()
    assert second.outcome.code == Code.BUSY
    assert 'run.policy reject' in second.outcome.message
    assert canceled_in(first) < 0.5


def test_whoever_comes_second_takes_the_place(slow) -> None:
    client = slow.client
    assert client.set_parameters('/affordance_node', run__policy='replace')[0].successful
    first = client.send(PlanGrasps, PLAN, query='point at 320,240')
    client.wait_for(reached(first, Feedback.GENERATE), what='generation')
    second = client.send(PredictAffordance, PREDICT, query='point at 320,200')
    assert outcome_of(first.result()).code == Code.REPLACED
    client.wait_for(reached(second, Feedback.GENERATE), what='generation of the second')
    assert canceled_in(second) < 0.5
    assert client.set_parameters('/affordance_node', run__policy='queue')[0].successful


@pytest.mark.parametrize('timeout_s', [0.7, 2.0])
def test_a_request_ends_in_its_time(slow, timeout_s: float) -> None:
    start = time.monotonic()
    targets = slow.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=timeout_s
    ).targets
    assert Code(targets.outcome.code) == Code.TIMEOUT
    assert time.monotonic() - start < timeout_s + 0.5


def test_deactivating_ends_the_running_request(slow) -> None:
    goal = slow.client.send(PredictAffordance, PREDICT, query='point at 320,240')
    slow.client.wait_for(reached(goal, Feedback.GENERATE), what='generation')
    assert slow.client.change('/affordance_node', 4)
    assert goal.result().outcome.code == Code.NOT_ACTIVE
    assert slow.client.change('/affordance_node', 3)


def test_and_it_serves_on(slow) -> None:
    targets = slow.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=15.0
    ).targets
    assert targets.outcome.code == Code.OK, targets.outcome.message
