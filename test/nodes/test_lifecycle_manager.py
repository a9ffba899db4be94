# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes under a lifecycle manager: the calls that Nav2's makes with bond off, in its order, and what goes wrong."""

import re
import signal
import sys

import pytest

pytest.importorskip('rclpy')

from affordance_ros.action import PredictAffordance  # noqa: E402
from lifecycle_msgs.msg import State, Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
NODES = ('affordance_node', 'target_node', 'overlay_node')
GOAL_STATES = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}


class Manager:
    """What nav2_lifecycle_manager calls with bond_timeout 0.0: change_state by id alone, then get_state, node by node.

    It goes through the nodes in order to start them and backwards to stop them, and gives up at the first failure. A
    call that is never answered would hang it.
    """

    def __init__(self, client) -> None:
        self._client = client

    def startup(self) -> bool:
        return self._all(Transition.TRANSITION_CONFIGURE) and self._all(Transition.TRANSITION_ACTIVATE)

    def pause(self) -> bool:
        return self._all(Transition.TRANSITION_DEACTIVATE)

    def resume(self) -> bool:
        return self._all(Transition.TRANSITION_ACTIVATE)

    def reset(self) -> bool:
        return self._all(Transition.TRANSITION_DEACTIVATE) and self._all(Transition.TRANSITION_CLEANUP)

    def shutdown(self) -> None:
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            self._all(transition)
        self._all(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)

    def state(self, name: str) -> int:
        return self._client.call(GetState, f'/{name}/get_state').current_state.id

    def _all(self, transition: int) -> bool:
        up = transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
        return all(self._one(name, transition) for name in (NODES if up else reversed(NODES)))

    def _one(self, name: str, transition: int) -> bool:
        request = Transition(id=transition)
        changed = self._client.call(ChangeState, f'/{name}/change_state', transition=request).success
        return changed and self.state(name) == GOAL_STATES[transition]


@pytest.fixture
def managed(suite):
    suite.start_camera()
    suite.start('affordance_node', {'model.name': 'fake', 'model.warmup': False, 'autostart': False})
    for name in NODES[1:]:
        suite.start(name, {'autostart': False})
    return suite


def ask(suite) -> Code:
    targets = suite.client.call(
        srv.GetGraspTargets, '/target_node/get_grasp_targets', query='point at 320,240', timeout_s=10.0
    ).targets
    return Code(targets.outcome.code)


def test_the_calls_of_nav2s_manager(managed) -> None:
    manager = Manager(managed.client)
    affordance = managed.processes.running[0]
    assert manager.startup()
    managed.client.wait_for(lambda: ask(managed) == Code.OK, 60.0, 'the nodes finding each other')
    assert manager.pause()
    assert len(affordance.children()) == 1
    assert ask(managed) == Code.NOT_ACTIVE
    assert manager.resume()
    assert ask(managed) == Code.OK
    assert manager.reset()
    assert not affordance.children()
    assert manager.startup()
    assert ask(managed) == Code.OK
    manager.shutdown()
    assert [manager.state(name) for name in NODES] == [State.PRIMARY_STATE_FINALIZED] * 3
    assert not affordance.children()
    assert [node.end(signal.SIGTERM) for node in managed.processes.running] == [0, 0, 0]


def test_a_manager_that_finds_the_nodes_in_another_state_gets_answers(managed) -> None:
    client, manager = managed.client, Manager(managed.client)
    assert not manager.pause()  # nothing is configured yet
    assert manager.startup()
    assert not manager.startup()  # it was restarted: all are active
    assert client.state('/affordance_node') == 'active'
    assert re.search(r"no transition 1 from the state 'active'", managed.processes.running[0].text)
    unknown = client.call(ChangeState, '/target_node/change_state', transition=Transition(id=0, label='explode'))
    assert not unknown.success
    manager.shutdown()
    manager.shutdown()  # finalized nodes have no transition left
    assert manager.state('target_node') == State.PRIMARY_STATE_FINALIZED


def test_others_are_answered_while_a_model_loads(suite, tmp_path) -> None:
    from node_processes import Gate

    client, gate = suite.client, Gate(tmp_path)
    suite.start('affordance_node', {'model.name': 'fake', 'model.python': gate.python, 'autostart': False})
    assert client.state('/affordance_node') == 'unconfigured'
    assert [model.name for model in client.call(srv.ListModels, '/affordance_node/list_models').models]
    assert client.set_parameters('/affordance_node', run__timeout_s=9.0)[0].successful
    change = client.node.create_client(ChangeState, '/affordance_node/change_state')
    assert change.wait_for_service(20.0)
    client.state('/affordance_node')  # the node knows the client by now
    loading = change.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    client.wait_for(lambda: client.state('/affordance_node') == 'configuring', what='the transition')
    refused = client.send(PredictAffordance, '/affordance_node/predict', query='x').result()
    assert refused.outcome.code == Code.NOT_ACTIVE
    assert 'is not active but configuring' in refused.outcome.message
    assert client.set_parameters('/affordance_node', run__timeout_s=8.0)[0].successful
    late = client.set_parameters('/affordance_node', model__threads=1)[0]
    assert not late.successful
    assert 'read when the node is configured' in late.reason
    second = client.call(ChangeState, '/affordance_node/change_state', transition=Transition(id=1))
    assert not second.success
    gate.open()
    assert client.wait_future(loading, 30.0).success
    assert client.state('/affordance_node') == 'inactive'


def test_what_configuring_reads_changes_while_unconfigured(suite) -> None:
    client, name = suite.client, '/affordance_node'
    suite.start(name[1:], {'model.name': 'fakr'})
    suite.client.wait_for(lambda: 'did you mean' in suite.processes.running[0].text, what='the refusal')
    assert client.set_parameters(name, model__name='fake')[0].successful
    assert client.change(name, Transition.TRANSITION_CONFIGURE)
    assert client.change(name, Transition.TRANSITION_ACTIVATE)
    assert client.call(srv.ListModels, f'{name}/list_models').models[-1].loaded
    refused = client.set_parameters(name, model__name='robopoint')[0]
    assert not refused.successful
    assert 'clean up the node first, or call ~/load_model' in refused.reason
    for parameter in ('model__checkpoint', 'model__python', 'model__options', 'model__folders', 'input__cameras'):
        assert not client.set_parameters(name, **{parameter: '/tmp'})[0].successful, parameter


BROKEN = """
from affordance_ros.nodes.lifecycle import SuiteNode
from affordance_ros.nodes.parameters import TargetParameters
from affordance_ros.nodes.running import run_node

class Broken(SuiteNode):
    failing = {'start', 'activate'}

    def __init__(self):
        super().__init__('broken', TargetParameters)

    def fail(self, name):
        if name in self.failing:
            self.failing.discard(name)
            raise KeyError(f'a defect in {name}')

    def start(self):
        self.fail('start')

    def activate(self):
        self.fail('activate')

    def deactivate(self):
        self.fail('deactivate')
        self.failing.add('deactivate')
        self.get_logger().info('given back')

run_node(Broken)
"""


def test_a_defect_in_a_transition_is_logged_with_its_traceback(suite, tmp_path) -> None:
    from node_processes import NodeProcess

    (tmp_path / 'broken.py').write_text(BROKEN)
    command = [sys.executable, str(tmp_path / 'broken.py'), '--ros-args', '-p', 'autostart:=false']
    node = NodeProcess('broken', command, tmp_path / 'broken.log')
    suite.processes.running.append(node)
    client = suite.client
    states: list[tuple[bool, str]] = []
    for transition in (1, 1, 3, 3, 4):  # configure fails, configure, activate fails, activate, deactivate fails
        states.append((client.change('/broken', transition), client.state('/broken')))
    assert states == [
        (False, 'unconfigured'),
        (True, 'inactive'),
        (False, 'inactive'),
        (True, 'active'),
        (False, 'unconfigured'),  # through its error state, with everything given back
    ]
    assert node.text.count('given back') == 2  # after the failed activation, and by the error state
    for name, verb in (('start', 'configure'), ('activate', 'activate'), ('deactivate', 'deactivate')):
        assert re.search(rf"could not {verb}:\nTraceback[^\0]*KeyError: 'a defect in {name}'", node.text), node.text
    assert node.end() == 0
