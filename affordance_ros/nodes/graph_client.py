# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The side of a replay that asks: one affordance_node and the target_node that lifts its answers.

A thread spins; the methods block the caller, and every one of them ends.
"""

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from affordance_ros import msg, srv
from affordance_ros.action import PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.action_client import SafeActionClient

RESULT = QoSProfile(depth=50)
CALL_S = 5.0
LIFT_S = 10.0  # from the end of the model to the grasp targets, on a machine that is busy
NOT_YET = (Code.NOT_ACTIVE, Code.TIMEOUT, Code.BUSY)


@dataclass(frozen=True)
class Reply:
    """What came of a question: both messages, or the refusal. seconds: wall time from question to grasp targets."""

    seconds: float
    targets: msg.GraspTargetArray | None = None
    answer: msg.AffordanceArray | None = None
    heatmaps: tuple[Any, ...] = ()
    refusal: AffordanceError | None = None


class GraphClient:
    """Asks the two nodes that `affordance_node` and `target_node` name."""

    def __init__(self, affordance_node: str, target_node: str) -> None:
        self.node = rclpy.create_node(f'replay_driver_{uuid.uuid4().hex[:8]}')
        self._names = (affordance_node, target_node)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._arrived = threading.Condition()
        self._targets: dict[str, Any] = {}
        self._evidence: dict[str, Any] = {}
        self._joined = False
        self._predict = SafeActionClient(self.node, PredictAffordance, f'{affordance_node}/predict')
        self.node.create_subscription(msg.GraspTargetArray, f'{target_node}/grasp_targets', self._take_targets, RESULT)
        self._lift = self.node.create_client(srv.GetGraspTargets, f'{target_node}/get_grasp_targets')
        self._models = self.node.create_client(srv.ListModels, f'{affordance_node}/list_models')
        self._snapshot = self.node.create_client(srv.GetSnapshot, f'{affordance_node}/get_snapshot')
        self._states = [self.node.create_client(GetState, f'{name}/get_state') for name in self._names]
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(2.0)
        self.node.destroy_node()

    def wait_ready(self, timeout_s: float) -> msg.ModelInfo:
        """Wait until both nodes are active and return the model that answers. Raises NOT_ACTIVE at the time-out."""
        deadline = time.monotonic() + timeout_s
        for name, client in zip(self._names, self._states, strict=True):
            while self._state(client) != 'active':
                if time.monotonic() > deadline:
                    text = f'{name} is not active after {timeout_s:.0f} s; see its log'
                    raise AffordanceError(Code.NOT_ACTIVE, text)
                time.sleep(0.1)
        while (listed := self._call(self._models, srv.ListModels.Request())) is None:
            if time.monotonic() > deadline:
                raise AffordanceError(Code.NOT_ACTIVE, f'{self._names[0]} does not say which model it serves')
        info: msg.ModelInfo = next((item for item in listed.models if item.loaded), msg.ModelInfo())
        if 'heatmap' in info.outputs:
            self.node.create_subscription(msg.Evidence, f'{self._names[0]}/evidence', self._take_evidence, RESULT)
        return info

    def newest(self, wait_s: float) -> tuple[int, AffordanceError | None]:
        """Return the stamp of the newest image that the node could answer about, and what is wrong with it if anything.

        The stamp is 0 when there is none.
        """
        response = self._call(self._snapshot, srv.GetSnapshot.Request(timeout_s=float(wait_s)))
        if response is None:
            return 0, AffordanceError(Code.TIMEOUT, f'{self._names[0]} does not answer')
        error = convert.error_from(response.outcome)
        if error is not None:
            return 0, error
        stamp_ns = convert.nanoseconds_of(response.evidence.answer.header.stamp)
        return stamp_ns, convert.error_from(response.evidence.pose_outcome)

    def join(self, query: dict[str, str], timeout_s: float) -> None:
        """Ask once through both nodes and drop the answer: they know each other then, and the model is warm.

        An answer that is published before the other node is known would be lost.
        """
        deadline = time.monotonic() + 2 * timeout_s
        request = srv.GetGraspTargets.Request(query=query.get('text') or query.get('object', ''))
        request.timeout_s = float(timeout_s)
        while not self._joined:
            response = self._call(self._lift, request, timeout_s + CALL_S)
            code = Code.TIMEOUT if response is None else response.targets.outcome.code
            self._joined = code not in NOT_YET
            if not self._joined and time.monotonic() > deadline:
                text = f'{self._names[1]} gets no answer from {self._names[0]}'
                raise AffordanceError(Code.NOT_ACTIVE, f'{text}; are they of the same suite?')

    def ask(self, query: dict[str, str], timeout_s: float) -> Reply:
        """Ask about the newest image and wait for the grasp targets; a refusal is a reply."""
        name, start = uuid.uuid4().hex, time.monotonic()
        goal = PredictAffordance.Goal(request_id=name, timeout_s=float(timeout_s))
        for field, value in query.items():
            setattr(goal, 'query' if field == 'text' else field, value)
        try:
            result = self._predicted(goal, start + timeout_s + CALL_S)
            refusal = convert.error_from(result.outcome)
            if refusal is not None:
                return Reply(time.monotonic() - start, refusal=refusal)
            targets = self._wait(self._targets, name, LIFT_S)
            seconds = time.monotonic() - start
            wanted = any(item.has_heatmap for item in result.answer.affordances)
            maps = tuple(self._wait(self._evidence, name, LIFT_S).heatmaps) if wanted else ()
        except AffordanceError as error:
            return Reply(time.monotonic() - start, refusal=error)
        finally:
            with self._arrived:
                self._targets.clear()
                self._evidence.clear()
        return Reply(seconds, targets, result.answer, maps)

    def _predicted(self, goal: PredictAffordance.Goal, deadline: float) -> Any:
        handle = _value(self._predict.send_goal_async(goal), deadline)
        if handle is None or not handle.accepted:
            raise AffordanceError(Code.TIMEOUT, f'{self._names[0]} took no notice of the question')
        response = _value(handle.get_result_async(), deadline)
        if response is None:
            handle.cancel_goal_async()
            raise AffordanceError(Code.TIMEOUT, f'no answer within {goal.timeout_s:.1f} s')
        return response.result

    def _take_targets(self, array: msg.GraspTargetArray) -> None:
        with self._arrived:
            self._targets[array.request_id] = array
            self._arrived.notify_all()

    def _take_evidence(self, evidence: msg.Evidence) -> None:
        with self._arrived:
            self._evidence[evidence.answer.request_id] = evidence
            self._arrived.notify_all()

    def _wait(self, store: dict[str, Any], name: str, timeout_s: float) -> Any:
        with self._arrived:
            if not self._arrived.wait_for(lambda: name in store, timeout_s):
                text = f'the model answered, but no grasp targets came from {self._names[1]} within {timeout_s:.0f} s'
                raise AffordanceError(Code.TIMEOUT, text)
            return store[name]

    def _state(self, client: Any) -> str:
        response = self._call(client, GetState.Request(), 1.0) if client.service_is_ready() else None
        return '' if response is None else str(response.current_state.label)

    def _call(self, client: Any, request: Any, timeout_s: float = CALL_S) -> Any:
        """Return the response of a service, None when it does not come."""
        if not client.wait_for_service(timeout_sec=timeout_s):
            return None
        future = client.call_async(request)
        response = _value(future, time.monotonic() + timeout_s)
        if response is None:
            client.remove_pending_request(future)
        return response


def _value(future: Any, deadline: float) -> Any:
    """Return what a future ends with, None when it does not end in time."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return future.result() if done.wait(max(0.0, deadline - time.monotonic())) else None
