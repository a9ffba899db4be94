# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics tells what is wrong with a node in every state, with the level that an aggregator shows."""

import os
import signal

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
NAME = '/affordance_node'
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Watcher:
    """The newest status of the node."""

    def __init__(self, client) -> None:
        self._client, self._received = client, client.listen(DiagnosticArray, '/diagnostics')

    def until(self, level: bytes, text: str) -> dict[str, str]:
        """Wait for a status of that level whose message holds the text, and return its values."""

        def found() -> object:
            newest = [s for array in self._received[-3:] for s in array.status if s.name == NAME][-1:]
            return newest if newest and newest[0].level == level and text in newest[0].message else None

        status = self._client.wait_for(found, 30.0, f'a status with {text!r}')[0]
        return {entry.key: entry.value for entry in status.values}


def test_every_state_has_its_level(suite) -> None:
    client = suite.client
    suite.start_camera()
    node = suite.start('affordance_node', {'model.name': 'fakr', 'model.warmup': False})
    status = Watcher(client)
    values = status.until(ERROR, "not active (unconfigured): there is no model 'fakr'; did you mean 'fake'?")
    assert values['model state'] == 'none'
    assert values['last refusal'].startswith('UNKNOWN_MODEL')
    assert client.set_parameters(NAME, model__name='fake')[0].successful
    assert client.change(NAME, 1)
    status.until(WARN, 'not active (inactive)')
    assert client.change(NAME, 3)
    status.until(OK, 'active')
    assert client.change(NAME, 4)
    status.until(WARN, 'not active (inactive)')
    assert node.end() == 0


def test_a_model_that_comes_back_is_shown(suite, tmp_path) -> None:
    from node_processes import Gate

    suite.start_camera()
    gate = Gate(tmp_path)
    gate.open()
    options = {'model.python': gate.python, 'model.warmup': False}
    node = suite.start('affordance_node', {'model.name': 'fake'} | options)
    suite.client.wait_active(NAME)
    status = Watcher(suite.client)
    before = status.until(OK, 'active')
    gate.shut()
    os.kill(int(before['model process']), signal.SIGKILL)
    values = status.until(WARN, "the process of model 'fake' has ended and is being started again")
    assert values['model state'] == 'restarting'
    gate.open()
    after = status.until(OK, 'active')
    assert (after['model state'], after['model process deaths']) == ('ready', '1')
    assert after['model process'] == str(node.children()[0]) != before['model process']
    assert 'ended with signal 9 (out of memory?); it is being started again' in node.text
    assert suite.client.call(srv.QueryAffordance, f'{NAME}/query', query='at 1,1').outcome.code == Code.OK


def test_reasons_do_not_pile_up(suite) -> None:
    suite.start('affordance_node', {'model.name': 'fakr'})
    status = Watcher(suite.client)
    status.until(ERROR, 'fakr')
    messages = [suite.client.call(srv.QueryAffordance, f'{NAME}/query', query='x').outcome for _ in range(5)]
    assert {outcome.code for outcome in messages} == {Code.NOT_ACTIVE}
    assert len({outcome.message for outcome in messages}) == 1
    assert messages[0].message.count('not active') == 1
    assert "did you mean 'fake'" in messages[0].message
