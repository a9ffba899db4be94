# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle as a manager expects it, an end by signal within three seconds, and a worker that may die."""

import os
import signal
import sys
import time

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PredictAffordance  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE, SHUTDOWN = 1, 2, 3, 4, 5
FAKE = {'model.name': 'fake'}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_transitions_load_serve_and_release(suite) -> None:
    client = suite.client
    suite.start_camera()
    node = suite.start('affordance_node', FAKE | {'autostart': False})
    name = '/affordance_node'
    assert client.state(name) == 'unconfigured'
    assert not node.children()
    assert client.change(name, CONFIGURE)
    assert client.state(name) == 'inactive'
    assert len(node.children()) == 1
    assert client.send(PredictAffordance, f'{name}/predict', query='x').result().outcome.code == Code.NOT_ACTIVE
    assert client.change(name, ACTIVATE)
    assert client.send(PredictAffordance, f'{name}/predict', query='at 1,1').result().outcome.code == Code.OK
    assert client.change(name, DEACTIVATE)
    assert len(node.children()) == 1  # the weights stay
    assert client.change(name, CLEANUP)
    client.wait_for(lambda: not node.children(), 3.0, 'the end of the worker')
    assert client.change(name, CONFIGURE)
    assert client.change(name, ACTIVATE)
    assert client.send(PredictAffordance, f'{name}/predict', query='at 1,1').result().outcome.code == Code.OK


@pytest.mark.parametrize(
    ('parameters', 'code'),
    [
        ({'model.name': 'fakr'}, 'UNKNOWN_MODEL'),
        ({'model.name': 'robopoint', 'model.checkpoint': '/nowhere'}, 'MISSING_WEIGHTS'),
        ({'model.name': 'fake', 'model.options': '{'}, 'BAD_INPUT'),
        ({'model.name': 'fake', 'model.options': '{"colour": 1}'}, 'BAD_INPUT'),
    ],
)
def test_a_model_that_cannot_be_loaded_is_told(suite, parameters: dict, code: str) -> None:
    node = suite.start('affordance_node', parameters)
    suite.client.wait_for(lambda: f'could not configure: {code}' in node.text, 30.0, code)
    assert suite.client.state('/affordance_node') == 'unconfigured'
    result = suite.client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
    assert result.outcome.code == Code.NOT_ACTIVE
    assert node.end() == 0


def test_a_value_out_of_range_ends_the_start_with_a_sentence(suite) -> None:
    node = suite.start('affordance_node', FAKE | {'run.timeout_s': -1.0})
    assert node.process.wait(20.0) == 1
    assert 'run.timeout_s' in node.text
    assert 'Traceback' not in node.text


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_everything_within_three_seconds(suite, number: signal.Signals) -> None:
    suite.start_fake({'model.options': '{"delay_s": 30.0}', 'model.warmup': False})
    suite.start('overlay_node')
    suite.start('scene_node', {'scene.seed': 1}, namespace='/other')
    suite.client.wait_active('/overlay_node', '/other/scene_node')
    goal = suite.client.send(PredictAffordance, '/affordance_node/predict', query='x')
    suite.client.wait_for(lambda: goal.feedback, what='a running request')
    children = [pid for node in suite.processes.running for pid in node.children()]
    assert len(children) == 1
    start = time.monotonic()
    for node in suite.processes.running:
        node.process.send_signal(number)
    statuses = [node.end(number) for node in suite.processes.running]
    assert time.monotonic() - start < 3.0
    assert statuses == [0, 0, 0, 0]
    assert not any(alive(pid) for pid in children)
    for node in suite.processes.running:
        assert not [word for word in ('Traceback', 'exception', 'Failed') if word in node.text], node.text


def test_a_second_ctrl_c_does_not_cut_the_end_short(suite) -> None:
    node = suite.start('affordance_node', FAKE)
    suite.client.wait_active('/affordance_node')
    child = node.children()[0]
    for _ in range(3):
        node.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        if node.process.poll() is not None:
            break
    assert node.process.wait(5.0) == 0, node.text
    assert not alive(child)


def test_ctrl_c_while_a_model_loads(suite, tmp_path) -> None:
    python = tmp_path / 'slow_python'
    python.write_text(f'#!{sys.executable}\nimport time\ntime.sleep(60)\n')
    python.chmod(0o755)
    node = suite.start('affordance_node', FAKE | {'model.python': str(python)})
    child = suite.client.wait_for(node.children, what='the worker')[0]
    start = time.monotonic()
    assert node.end() == 0, node.text
    assert time.monotonic() - start < 3.0
    assert not alive(child)


def test_a_killed_node_leaves_no_worker(suite) -> None:
    node = suite.start('affordance_node', FAKE)
    suite.client.wait_active('/affordance_node')
    child = node.children()[0]
    node.process.kill()
    suite.client.wait_for(lambda: not alive(child), 5.0, 'the end of the worker')


def test_a_killed_worker_costs_one_answer(suite) -> None:
    suite.start_fake({'model.options': '{"delay_s": 1.0}', 'model.warmup': False})
    node, client = suite.processes.running[0], suite.client
    goal = client.send(PredictAffordance, '/affordance_node/predict', query='at 320,240')
    client.wait_for(lambda: any(item.text for item in goal.feedback), what='a running request')
    os.kill(node.children()[0], signal.SIGKILL)
    result = goal.result()
    assert Code(result.outcome.code) == Code.WORKER_DIED
    assert 'next request' in result.outcome.message
    targets = client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=20.0
    ).targets
    assert targets.outcome.code == Code.OK, targets.outcome.message


def test_a_model_that_crashes_on_every_request_leaves_the_node_up(suite) -> None:
    suite.start_fake({'model.options': '{"die": true}', 'model.warmup': False})
    for _ in range(2):
        result = suite.client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
        assert Code(result.outcome.code) == Code.WORKER_DIED
    assert suite.client.state('/affordance_node') == 'active'


def test_without_an_affordance_node_the_service_answers(suite) -> None:
    suite.start('target_node', {'source': 'nobody'})
    suite.client.wait_active('/target_node')
    targets = suite.client.call(srv.GetGraspTargets, '/target_node/get_grasp_targets', query='x').targets
    assert targets.outcome.code == Code.NOT_ACTIVE
    assert 'nobody' in targets.outcome.message
