#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""affordance_node: the newest RGB-D bundle and a sentence in, the model's answer and the frozen evidence out."""

import time
import traceback
import uuid
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from affordance_ros import msg, srv
from affordance_ros.action import PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import Progress
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.acceptance import FrameSource
from affordance_ros.nodes.evidence import evidence_message
from affordance_ros.nodes.lifecycle import RESULT, SENSOR, SuiteNode
from affordance_ros.nodes.model_host import ModelChoice, ModelHost
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.nodes.request_line import RequestLine
from affordance_ros.nodes.running import run_node
from affordance_ros.results import Query

Feedback = PredictAffordance.Feedback
LONGEST_TEXT, LONGEST_NAME = 2000, 200


class AffordanceNode(SuiteNode):
    """Serves one model. One request runs, `run.max_pending` may wait; continuous mode gives way to requests."""

    def __init__(self) -> None:
        super().__init__('affordance_node', AffordanceParameters)
        self.source = FrameSource(self)
        self.models = ModelHost(self.get_logger().info)
        self.line = RequestLine()
        self.prompt, self.enabled, self._last_number = '', True, 0
        self._camera: list[Any] = []
        self.answers = self.create_publisher(msg.AffordanceArray, '~/affordances', RESULT)
        self.evidence = self.create_publisher(msg.Evidence, '~/evidence', RESULT)
        group = ReentrantCallbackGroup()
        self.create_service(srv.ListModels, '~/list_models', self.models.answer_list, callback_group=group)
        self.create_service(srv.LoadModel, '~/load_model', self._load_model, callback_group=group)
        self.create_service(srv.SetPrompt, '~/set_prompt', self._set_prompt, callback_group=group)
        self.create_service(SetBool, '~/enable', self._enable, callback_group=group)
        self._server = ActionServer(
            self,
            PredictAffordance,
            '~/predict',
            self._execute,
            callback_group=group,
            goal_callback=lambda _: GoalResponse.ACCEPT,  # a refusal then carries its code and sentence
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=60,
        )
        period = 1 / self.settings.run_max_rate
        self.create_timer(period, self._continue, callback_group=MutuallyExclusiveCallbackGroup())

    def start(self) -> None:
        """Load the model in its worker process and listen to the camera's pose."""
        self.source.listen()
        self.models.load(ModelChoice(), self.settings)

    def activate(self) -> None:
        """Subscribe to the camera."""
        store = self.source
        for kind, topic, take in (
            (Image, 'image', store.image),
            (Image, 'depth/image', store.depth),
            (CameraInfo, 'camera_info', store.info),
        ):
            # One at a time per topic: the executor never works on two images of one stream.
            options = {'callback_group': MutuallyExclusiveCallbackGroup()}
            options['qos_overriding_options'] = QoSOverridingOptions.with_default_policies()
            self._camera.append(self.create_subscription(kind, topic, take, SENSOR, **options))
        self._camera.append(self.create_subscription(String, 'prompt', self._take_prompt, 10))

    def deactivate(self) -> None:
        """Take no more images; the weights stay."""
        while self._camera:
            self.destroy_subscription(self._camera.pop())
        self.source.store.clear()

    def stop(self) -> None:
        """End the worker process: this gives the GPU back."""
        self.models.close()

    def busy(self) -> bool:
        """Whether a request runs."""
        return bool(self.line.requests)

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        return {**self.models.health(), **self.source.health(), 'requests': str(self.line.requests)}

    def answer(self, query: Query, request_id: str, deadline: float, progress: Any, stop: Any) -> msg.AffordanceArray:
        """Freeze the newest bundle, ask the model, publish answer and evidence. Raises AffordanceError."""
        self.require_active()
        left = max(0.0, deadline - time.monotonic())
        frame, refused = self.source.accept(min(self.settings.run_wait_image_s, left), stop)
        accepted, start = self.get_clock().now(), time.perf_counter()
        prediction = self.models.predict(frame, query, deadline - time.monotonic(), progress, stop)
        array = msg.AffordanceArray(header=convert.header_of(frame), request_id=request_id, model=prediction.model)
        array.affordances = [convert.affordance_message(prediction)]
        array.accepted_at, array.finished_at = accepted.to_msg(), self.get_clock().now().to_msg()
        array.stages = convert.stages_message({**prediction.seconds, 'model': time.perf_counter() - start})
        array.checkpoint = self.models.info().checkpoint
        self.answers.publish(array)
        self.evidence.publish(evidence_message(frame, array, refused))
        return array

    def _execute(self, goal: Any) -> PredictAffordance.Result:
        result = PredictAffordance.Result()
        try:
            result.answer = self._serve(goal)
        except AffordanceError as error:
            self._finish(goal, result, error)
        except Exception as error:  # the goal must end with a code whatever happened
            self.get_logger().error(f'a request failed:\n{traceback.format_exc()}')
            text = f'{type(error).__name__}: {error}; please report it with the log of the node'
            self._finish(goal, result, AffordanceError(Code.INTERNAL, text))
        else:
            goal.succeed()
        return result

    def _finish(self, goal: Any, result: PredictAffordance.Result, error: AffordanceError) -> None:
        if error.code == Code.CANCELED and not goal.is_cancel_requested:
            error = AffordanceError(Code.NOT_ACTIVE, f'{self.get_name()} was deactivated while the request ran')
        self.refuse(error)
        result.outcome = convert.outcome_message(error)
        if error.code == Code.CANCELED:
            goal.canceled()
        else:
            goal.abort()

    def _serve(self, goal: Any) -> msg.AffordanceArray:
        request = goal.request
        self.require_active()
        query = _query(request)
        timeout = convert.timeout_of(request.timeout_s, self.settings.run_timeout_s)
        deadline = time.monotonic() + timeout

        def feedback(stage: int, fraction: float = 0.0, text: str = '') -> None:
            goal.publish_feedback(Feedback(stage=stage, fraction=fraction, text=text))

        def progress(step: Progress) -> None:
            feedback(convert.STAGES.get(step.stage, Feedback.GENERATE), float(step.fraction), step.text)

        def stop() -> bool:
            return goal.is_cancel_requested or not self.active

        pending = self.settings.run_max_pending
        with self.line.turn(pending, timeout, stop=stop, on_wait=lambda: feedback(Feedback.QUEUED)):
            feedback(Feedback.WAITING)
            name = request.request_id[:LONGEST_NAME] or uuid.uuid4().hex
            return self.answer(query, name, deadline, progress, stop)

    def _continue(self) -> None:
        """Continuous mode: ask the prompt about the newest image, unless requests are there."""
        newest, prompt = self.source.store.newest, self.prompt
        if not (self.active and self.enabled and prompt) or newest is None or newest.number == self._last_number:
            return
        with self.line.background_turn() as free:
            if not free:
                return
            self._last_number = newest.number
            deadline = time.monotonic() + self.settings.run_timeout_s
            try:
                self.answer(Query(text=prompt), '', deadline, None, lambda: self.line.requests > 0 or not self.active)
            except AffordanceError as error:
                if error.code != Code.CANCELED:  # it gave way
                    self.refuse(error)

    def _load_model(self, request: Any, response: Any) -> Any:
        return self.models.answer_load(request, response, self.settings, self.refuse)

    def _take_prompt(self, message: String) -> None:
        self.prompt = message.data.strip()[:LONGEST_TEXT]

    def _set_prompt(self, request: Any, response: Any) -> Any:
        self.prompt = request.query.strip()[:LONGEST_TEXT]
        return response

    def _enable(self, request: Any, response: Any) -> Any:
        self.enabled = bool(request.data)
        response.success, response.message = True, f'continuous mode {"may run" if self.enabled else "is paused"}'
        return response


def _query(request: PredictAffordance.Goal) -> Query:
    if not (request.query.strip() or request.object.strip()):
        raise AffordanceError(Code.BAD_INPUT, 'the request has neither a query nor an object; give a sentence')
    names = (request.object[:LONGEST_NAME], request.action[:LONGEST_NAME], request.task[:LONGEST_NAME])
    return Query(request.query[:LONGEST_TEXT], *names)


def main() -> None:
    """Run the node: 1 request runs, up to 8 wait, the rest takes images, cancels and services."""
    run_node(AffordanceNode, threads=16)


if __name__ == '__main__':
    main()
