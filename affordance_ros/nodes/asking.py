# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asking an affordance_node and waiting for the lifted answer, in the calling thread, with an end in any case."""

import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.callback_groups import ReentrantCallbackGroup

from affordance_ros import msg, srv
from affordance_ros.action import PlanGrasps, PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.action_client import SafeActionClient
from affordance_ros.nodes.requests import sentences_of

POLL_S = 0.05
LIFTING_S = 0.5  # what lifting and grasping may take of the time for a request; half of it when there is less than 1 s
CANCEL_S = 2.0
FIND_S = 3.0  # how long a node that has just started may take to find the other one
Feedback = PlanGrasps.Feedback
FEEDBACK_FIELDS = ('stage', 'fraction', 'text', 'query_index', 'partial')
GOAL_FIELDS = ('query', 'queries', 'camera', 'roi', 'min_score', 'target_frame')


@dataclass(frozen=True)
class Question:
    """What a planner asks. feedback takes PlanGrasps.Feedback; canceled tells whether the planner gave up."""

    goal: Any
    timeout_s: float
    gripper: str = ''
    feedback: Callable[[Any], None] = lambda _: None
    canceled: Callable[[], bool] = lambda: False


def goal_of(request: Any) -> PredictAffordance.Goal:
    """Return what the affordance node is asked for a request of a planner. Raises BAD_INPUT."""
    if not sentences_of(request.query, request.queries):
        raise AffordanceError(Code.BAD_INPUT, 'the query is empty; say what to take hold of')
    return PredictAffordance.Goal(**{field: getattr(request, field) for field in GOAL_FIELDS})


@dataclass
class _Open:
    """A question on its way: what happens to it arrives in `events` as (kind, value)."""

    question: Question
    events: 'queue.SimpleQueue[tuple[str, Any]]'
    deadline: float
    handle: Any = None
    canceled_at: float = 0.0


class Asker:
    """Sends questions to the action of one affordance_node. Not more than `max_requests` at a time."""

    def __init__(self, node: Any, source: str) -> None:
        self._source = source
        self._client = SafeActionClient(
            node, PredictAffordance, f'{source}/predict', callback_group=ReentrantCallbackGroup()
        )
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a question is on its way."""
        return bool(self._open)

    def begin_lifting(self, request_id: str) -> Question | None:
        """Tell whoever asked that the answer is lifted now; return the question, None when it is of someone else."""
        entry = self._open.get(request_id)
        if entry is None:
            return None
        if not entry.canceled_at:
            entry.question.feedback(Feedback(stage=Feedback.LIFT, fraction=1.0))
        return entry.question

    def deliver(self, request_id: str, targets: msg.GraspTargetArray) -> None:
        """Hand the lifted answer to whoever waits for it."""
        entry = self._open.get(request_id)
        if entry is not None:
            entry.events.put(('lifted', targets))

    def ask(self, question: Question, max_requests: int, alive: Callable[[], bool]) -> msg.GraspTargetArray:
        """Return the lifted answer. Raises AffordanceError with the code of whoever refused."""
        entry = _Open(question, queue.SimpleQueue(), time.monotonic() + question.timeout_s)
        name = uuid.uuid4().hex
        with self._lock:
            if len(self._open) >= max_requests:
                raise AffordanceError(Code.BUSY, f'{len(self._open)} requests run already; ask again later')
            self._open[name] = entry
        try:
            self._send(name, entry)
            return self._await(entry, alive)
        finally:
            with self._lock:
                del self._open[name]

    def _send(self, name: str, entry: _Open) -> None:
        question = entry.question
        if not self._client.wait_for_server(timeout_sec=min(FIND_S, question.timeout_s / 2)):
            text = f'no affordance node answers at {self._source!r}'
            raise AffordanceError(Code.NOT_ACTIVE, f'{text}; start it, or set the parameter source to its name')
        left = entry.deadline - time.monotonic()
        goal = question.goal
        goal.request_id = name
        goal.timeout_s = float(max(0.05, left - min(LIFTING_S, left / 2)))
        sent = self._client.send_goal_async(
            goal, feedback_callback=lambda m: entry.events.put(('feedback', m.feedback))
        )
        sent.add_done_callback(lambda done: entry.events.put(('accepted', done.result())))

    def _await(self, entry: _Open, alive: Callable[[], bool]) -> msg.GraspTargetArray:
        while True:
            try:
                kind, value = entry.events.get(timeout=POLL_S)
            except queue.Empty:
                kind, value = '', None
            if kind == 'lifted':
                result: msg.GraspTargetArray = value
                return result
            if kind == 'accepted':
                _follow(entry, value)
            elif kind == 'done':
                _raise_refusal(value)
            elif kind == 'feedback' and not entry.canceled_at:
                same = {field: getattr(value, field) for field in FEEDBACK_FIELDS}
                entry.question.feedback(Feedback(**same))
            self._give_up(entry, alive)

    def _give_up(self, entry: _Open, alive: Callable[[], bool]) -> None:
        """Pass a cancel on; raise when there is nothing to wait for any more."""
        now = time.monotonic()
        if not entry.canceled_at and entry.question.canceled():
            entry.canceled_at = now
            _cancel(entry)
        if entry.canceled_at and now > entry.canceled_at + CANCEL_S:
            raise AffordanceError(Code.CANCELED, 'canceled; the affordance node has not confirmed it yet')
        if not alive():
            _cancel(entry)
            raise AffordanceError(Code.NOT_ACTIVE, 'the target node was deactivated while the request ran')
        if now > entry.deadline:
            _cancel(entry)
            raise AffordanceError(Code.TIMEOUT, f'no grasp targets within {entry.question.timeout_s:.1f} s')
        if not self._client.server_is_ready():
            raise AffordanceError(Code.NOT_ACTIVE, f'the affordance node {self._source!r} ended while it was asked')


def _follow(entry: _Open, handle: Any) -> None:
    if handle is None or not handle.accepted:
        raise AffordanceError(Code.INTERNAL, 'the affordance node took no notice of the request')
    entry.handle = handle
    handle.get_result_async().add_done_callback(lambda done: entry.events.put(('done', done.result())))
    if entry.canceled_at:
        _cancel(entry)


def _cancel(entry: _Open) -> None:
    if entry.handle is not None:
        entry.handle.cancel_goal_async()


def _raise_refusal(response: Any) -> None:
    error = convert.error_from(response.result.outcome)
    if error is not None:
        raise error
    if response.status != GoalStatus.STATUS_SUCCEEDED:
        raise AffordanceError(Code.INTERNAL, 'the affordance node ended the request without a word; see its log')


class Snapshots:
    """Gets the newest frozen frame of an affordance_node."""

    def __init__(self, node: Any, source: str) -> None:
        self._source = source
        group = ReentrantCallbackGroup()
        self._client = node.create_client(srv.GetSnapshot, f'{source}/get_snapshot', callback_group=group)

    def get(self, camera: str, target_frame: str, timeout_s: float) -> msg.Evidence:
        """Return depth, intrinsics and the pose of the camera in a frame. Raises AffordanceError."""
        if not self._client.wait_for_service(timeout_sec=min(FIND_S, timeout_s / 2)):
            text = f'no affordance node answers at {self._source!r}'
            raise AffordanceError(Code.NOT_ACTIVE, f'{text}; start it, or set the parameter source to its name')
        arrived = threading.Event()
        request = srv.GetSnapshot.Request(camera=camera, target_frame=target_frame, timeout_s=float(timeout_s))
        future = self._client.call_async(request)
        future.add_done_callback(lambda _: arrived.set())
        if not arrived.wait(timeout_s + CANCEL_S):
            self._client.remove_pending_request(future)
            raise AffordanceError(Code.TIMEOUT, f'no snapshot within {timeout_s:.1f} s')
        response = future.result()
        error = convert.error_from(response.outcome)
        if error is not None:
            raise error
        evidence: msg.Evidence = response.evidence
        return evidence
