# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model in its process: swapped while it serves, refused when it does not fit, back after a crash, gone at last."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PredictAffordance  # noqa: E402
from node_processes import Gate  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
PREDICT, LOAD, LIST = '/affordance_node/predict', '/affordance_node/load_model', '/affordance_node/list_models'
CLEANUP, DEACTIVATE = 2, 4


def start(suite, **parameters):
    """Start camera and affordance_node with the fake model, without target_node."""
    suite.start_camera()
    options = {'model.options': json.dumps(parameters.pop('options', {})), 'model.warmup': False}
    node = suite.start('affordance_node', {'model.name': 'fake'} | options | parameters)
    suite.client.wait_active('/affordance_node')
    return node


def test_another_model_is_loaded_while_the_first_one_serves(suite) -> None:
    client = suite.client
    node = start(suite, options={'delay_s': 0.5})
    before = node.children()
    load = client.node.create_client(srv.LoadModel, LOAD)
    assert load.wait_for_service(20.0)
    client.call(srv.ListModels, LIST)  # the node knows this client from here on
    swap = load.call_async(srv.LoadModel.Request(name='robopoint'))
    client.wait_for(lambda: len(node.children()) == 2, what='the second process')
    answers = []
    while not swap.done():
        answers.append(client.send(PredictAffordance, PREDICT, query='at 7,7').result(60.0))
    assert swap.result().outcome.code == Code.OK, swap.result().outcome.message
    assert swap.result().model.name == 'robopoint'
    assert {item.outcome.code for item in answers} == {Code.OK}
    assert {item.answer.model for item in answers[:-1]} <= {'fake'}  # the last one may have come just after the swap
    assert answers[0].answer.affordances[0].keypoints[0].u == 7
    after = client.send(PredictAffordance, PREDICT, query='point at the middle').result(60.0)
    assert after.answer.model == 'robopoint'
    assert not set(before) & set(node.children())
    assert len(node.children()) == 1


def test_ctrl_c_while_another_model_loads_ends_both(suite) -> None:
    client = suite.client
    node = start(suite)
    load = client.node.create_client(srv.LoadModel, LOAD)
    assert load.wait_for_service(20.0)
    client.call(srv.ListModels, LIST)  # the node knows this client from here on
    load.call_async(srv.LoadModel.Request(name='robopoint'))
    both = client.wait_for(lambda: children if len(children := node.children()) == 2 else None, what='two processes')
    start_s = time.monotonic()
    assert node.end() == 0, node.text
    assert time.monotonic() - start_s < 3.0
    assert not any(Path(f'/proc/{pid}').exists() for pid in both)


def test_a_model_that_does_not_fit_is_refused_with_both_numbers(suite, tmp_path) -> None:
    big = tmp_path / 'models' / 'big'
    big.mkdir(parents=True)
    (big / 'config.json').write_text('{"torch_dtype": "bfloat16"}')
    with (big / 'model.safetensors').open('wb') as file:
        file.truncate(8 * 2**40)  # 8 TiB that take no room on the disk
    node = start(suite, **{'model.folders': str(tmp_path / 'models')})
    serving = node.children()
    asked = {'name': 'robopoint', 'checkpoint': str(big), 'dtype': 'bfloat16'}
    refused = suite.client.call(srv.LoadModel, LOAD, **asked)
    assert refused.outcome.code == Code.OOM
    assert 'needs 9420.8 GiB on cpu' in refused.outcome.message  # and what an answer needs beside the weights
    assert 'GiB is free' in refused.outcome.message
    assert refused.model.name == 'fake'
    assert node.children() == serving
    assert suite.client.send(PredictAffordance, PREDICT, query='at 1,1').result().outcome.code == Code.OK


def test_a_model_that_loads_longer_than_a_request_may_take_comes_back(suite, tmp_path) -> None:
    client, gate = suite.client, Gate(tmp_path)
    gate.open()
    node = start(suite, options={'delay_s': 0.5}, **{'model.python': gate.python, 'run.timeout_s': 1.5})
    goal = client.send(PredictAffordance, PREDICT, query='at 1,1')
    client.wait_for(lambda: any(item.text for item in goal.feedback), what='a running request')
    gate.shut()
    os.kill(node.children()[0], signal.SIGKILL)
    assert Code(goal.result().outcome.code) == Code.WORKER_DIED
    refused = [client.send(PredictAffordance, PREDICT, query='at 1,1').result().outcome for _ in range(2)]
    assert [outcome.code for outcome in refused] == [Code.TIMEOUT] * 2
    assert 'is still being loaded; ask again later' in refused[0].message
    gate.open()
    client.wait_for(lambda: _ask(client) == Code.OK, 60.0, 'an answer')
    assert node.text.count('it is being started again') == 1


def _ask(client) -> Code:
    return Code(client.send(PredictAffordance, PREDICT, query='at 1,1').result().outcome.code)


def test_out_of_memory_is_told_and_the_next_request_is_for_a_new_process(suite) -> None:
    node = start(suite, options={'fail': 'OOM'})
    child = node.children()[0]
    assert _ask(suite.client) == Code.OOM
    suite.client.wait_for(lambda: node.children() not in ([], [child]), what='another process')
    assert 'ran out of memory; it is being started again' in node.text
    assert suite.client.state('/affordance_node') == 'active'


def test_a_model_that_fails_to_warm_up_is_not_served(suite) -> None:
    node = suite.start('affordance_node', {'model.name': 'fake', 'model.options': '{"fail": "OOM"}'})
    suite.client.wait_for(lambda: 'could not configure: OOM' in node.text, what='the refusal')
    assert suite.client.state('/affordance_node') == 'unconfigured'
    suite.client.wait_for(lambda: not node.children(), what='the end of the process')


def test_the_model_runs_in_another_python_that_knows_no_ros(suite, tmp_path) -> None:
    subprocess.run([sys._base_executable, '-m', 'venv', '--without-pip', tmp_path / 'venv'], check=True)  # noqa: SLF001
    packages = next(tmp_path.glob('venv/lib/python*/site-packages'))
    for name in ('numpy', 'numpy.libs'):
        if (Path(np.__file__).parents[1] / name).exists():
            (packages / name).symlink_to(Path(np.__file__).parents[1] / name)
    python = str(tmp_path / 'venv' / 'bin' / 'python')
    assert subprocess.run([python, '-c', 'import rclpy'], capture_output=True).returncode
    node = start(suite, **{'model.python': python})
    assert _ask(suite.client) == Code.OK
    command = Path(f'/proc/{node.children()[0]}/cmdline').read_text().split('\0')
    assert command[0] == python


def test_nothing_is_left_in_shared_memory(suite) -> None:
    suite.start_fake()
    suite.start('overlay_node')
    suite.client.wait_active('/overlay_node')
    assert _ask(suite.client) == Code.OK
    nodes = suite.processes.running
    children = [pid for node in nodes for pid in node.children()]
    theirs = {path for pid in [*children, *(node.process.pid for node in nodes)] for path in shared_memory(pid)}
    assert theirs  # images travel through it
    assert [node.end() for node in nodes] == [0, 0, 0]
    left = theirs - {path for pid in running() for path in shared_memory(pid)}
    print(left, {p for p in left if Path(p).exists()})
    suite.client.wait_for(lambda: not [path for path in left if Path(path).exists()], 5.0, 'the end of the files')


def running() -> list[int]:
    return [int(path.name) for path in Path('/proc').iterdir() if path.name.isdigit()]


def shared_memory(pid: int) -> set[str]:
    """Return the segments of Fast DDS that a process has mapped; its ports belong to the whole machine."""
    try:
        lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    except OSError:
        return set()
    return {line.split(maxsplit=5)[-1] for line in lines if re.search(r'/dev/shm/fastrtps_[0-9a-f]{16}$', line)}


def test_deactivate_keeps_the_weights_and_cleanup_frees_them(suite) -> None:
    client = suite.client
    node = start(suite, **{'model.name': 'robopoint', 'model.options': '{}'})
    child = node.children()[0]
    held = resident(child)
    assert client.change('/affordance_node', DEACTIVATE)
    assert resident(child) > held / 2
    start_s = time.monotonic()
    assert client.change('/affordance_node', CLEANUP)
    assert time.monotonic() - start_s < 3.0
    assert not node.children()
    assert not Path(f'/proc/{child}').exists()
    assert resident(node.process.pid) < held  # nothing of the model was in the node


def resident(pid: int) -> int:
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1])
