# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the test itself: calls services, sends goals, listens and publishes, all with time-outs."""

import threading
import time
from typing import Any
from uuid import uuid4

import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from unique_identifier_msgs.msg import UUID

from affordance_ros.nodes.action_client import SafeActionClient

InvalidHandle = rclpy_implementation.InvalidHandle
WAIT_S = 20.0
DISCOVERY_S = 0.1


class Goal:
    """A goal that was accepted: feedback so far, cancel, result."""

    def __init__(self, client: 'RosClient', sent: Any, feedback: list) -> None:
        self.feedback = feedback
        self._client = client
        self._handle = client.wait_future(sent)
        assert self._handle.accepted
        self._result = self._handle.get_result_async()

    def cancel(self) -> None:
        """Ask for cancel and wait until the server took notice."""
        self._client.wait_future(self._handle.cancel_goal_async())

    def result(self, timeout_s: float = WAIT_S) -> Any:
        """Return the result; `status` beside it is the action's own."""
        response = self._client.wait_future(self._result, timeout_s)
        self.status = response.status
        return response.result


class RosClient:
    """The test's side of the graph, spun by a thread."""

    def __init__(self, name: str = 'test_client') -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._clients: dict[str, Any] = {}
        self._feedback: dict[bytes, list] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        """Spin on when something that is waited for was destroyed meanwhile (`forget`), which rclpy does not bear."""
        while True:
            try:
                self._executor.spin()
            except InvalidHandle:
                continue
            return

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def wait_future(self, future: Any, timeout_s: float = WAIT_S) -> Any:
        """Return the result of a future."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), f'no answer within {timeout_s} s'
        return future.result()

    def wait_for(self, condition: Any, timeout_s: float = WAIT_S, what: str = 'condition') -> Any:
        """Return the first truthy value of `condition()`."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, f'{what} did not come true within {timeout_s} s'
            time.sleep(0.02)
        return value

    def _be_discovered(self, name: str) -> None:
        """Wait until the node behind a service knows the client that was made just now: it would lose the response.

        What a participant makes is announced in order. So once a client that was made later gets a response, the one
        before will get its own. Asking for the state changes nothing and may be repeated.
        """
        time.sleep(DISCOVERY_S)
        probe = self.node.create_client(GetState, f'{name.rsplit("/", 1)[0]}/get_state')
        deadline, answered = time.monotonic() + WAIT_S, threading.Event()
        while not answered.is_set():
            assert time.monotonic() < deadline, f'the node of {name} does not answer'
            if probe.service_is_ready():
                probe.call_async(GetState.Request()).add_done_callback(lambda _: answered.set())
            answered.wait(0.5)
        self.node.destroy_client(probe)

    def call(self, kind: Any, name: str, /, wait_s: float = WAIT_S, **fields: Any) -> Any:
        """Call a service."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
            assert self._clients[name].wait_for_service(wait_s), f'{name} is not there'
            self._be_discovered(name)
        client = self._clients[name]
        assert client.wait_for_service(wait_s), f'{name} is not there'
        return self.wait_future(client.call_async(kind.Request(**fields)), wait_s)

    def send(self, kind: Any, name: str, /, **fields: Any) -> Goal:
        """Send a goal."""
        if name not in self._clients:
            self._clients[name] = SafeActionClient(self.node, kind, name)
            told = (kind.Impl.FeedbackMessage, f'{name}/_action/feedback', self._take_feedback, 100)
            self._clients[f'{name} feedback'] = self.node.create_subscription(*told)
            assert self._clients[name].wait_for_server(WAIT_S), f'{name} is not there'
            self._be_discovered(name)
        goal_id = UUID(uuid=list(uuid4().bytes))
        feedback = self._feedback[bytes(goal_id.uuid)] = []
        return Goal(self, self._clients[name].send_goal_async(kind.Goal(**fields), goal_uuid=goal_id), feedback)

    def _take_feedback(self, message: Any) -> None:
        """Keep what belongs to a goal of ours. rclpy's own client drops feedback that comes after the result."""
        if (feedback := self._feedback.get(bytes(message.goal_id.uuid))) is not None:
            feedback.append(message.feedback)

    def listen(self, kind: Any, topic: str, qos: Any = 10) -> list:
        """Return a list that grows with every message, once a publisher is there."""
        received: list[Any] = []
        subscription = self.node.create_subscription(kind, topic, received.append, qos)
        self.wait_for(lambda: self.node.count_publishers(topic), what=f'a publisher of {topic}')
        self._clients[f'{topic} {id(received)}'] = subscription
        return received

    def forget(self, received: list) -> None:
        """Listen no more to what `listen` returned."""
        name = next(name for name in self._clients if name.endswith(f' {id(received)}'))
        self.node.destroy_subscription(self._clients.pop(name))

    def state(self, node: str) -> str:
        """Return the lifecycle state of a node."""
        return self.call(GetState, f'{node}/get_state').current_state.label

    def change(self, node: str, transition: int) -> bool:
        """Ask for a lifecycle transition."""
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f'{node}/change_state', transition=request.transition).success

    def wait_active(self, *nodes: str) -> None:
        """Wait until nodes are active."""
        for node in nodes:
            self.wait_for(lambda node=node: self.state(node) == 'active', 60.0, f'{node} active')

    def get_parameters(self, node: str, *names: str) -> list:
        """Return the values of parameters of text."""
        client = AsyncParameterClient(self.node, node)
        assert client.wait_for_services(WAIT_S)
        return [value.string_value for value in self.wait_future(client.get_parameters(list(names))).values]

    def set_parameters(self, node: str, **values: Any) -> Any:
        """Set parameters ('__' stands for '.') and return the outcome of each."""
        client = AsyncParameterClient(self.node, node)
        assert client.wait_for_services(WAIT_S)
        named = [Parameter(name.replace('__', '.'), value=value) for name, value in values.items()]
        return self.wait_future(client.set_parameters(named)).results
