#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""affordance_node: the newest RGB-D bundle and a sentence in, the model's answer and the frozen evidence out."""

from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from affordance_ros import msg, srv
from affordance_ros.action import PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.acceptance import FrameSource, Wanted
from affordance_ros.nodes.evidence import evidence_message
from affordance_ros.nodes.health import input_health, model_health, serving_health, trouble
from affordance_ros.nodes.lifecycle import RESULT, SuiteNode
from affordance_ros.nodes.model_choice import ModelChoice
from affordance_ros.nodes.model_host import ModelHost
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.nodes.requests import LONGEST_NAME, LONGEST_TEXT, Watch, bounded, request_from
from affordance_ros.nodes.running import run_node
from affordance_ros.nodes.serving import Feedback, Outputs, Server


class AffordanceNode(SuiteNode):
    """Serves one model. One request runs, others wait or are refused; continuous mode gives way to requests."""

    def __init__(self) -> None:
        super().__init__('affordance_node', AffordanceParameters)
        self.source = FrameSource(self)
        self.models = ModelHost(self.get_logger())
        self.prompt, self.enabled, self._last_number = '', True, 0
        self.answers = self.create_publisher(msg.AffordanceArray, '~/affordances', RESULT)
        self.evidence = self.create_publisher(msg.Evidence, '~/evidence', RESULT)
        self.heatmap = self.create_publisher(Image, '~/heatmap', RESULT)
        self.server = Server(self, self.source, self.models, Outputs(self.answers.publish, self._publish_evidence))
        group, own = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup
        self.create_subscription(String, 'prompt', self._take_prompt, 10, callback_group=own())
        for kind, name, answer in (
            (srv.QueryAffordance, '~/query', self._query),
            (srv.GetSnapshot, '~/get_snapshot', self._snapshot),
            (srv.ListModels, '~/list_models', self.models.answer_list),
            (srv.LoadModel, '~/load_model', self._load_model),
            (srv.SetPrompt, '~/set_prompt', self._set_prompt),
            (SetBool, '~/enable', self._enable),
        ):
            self.create_service(kind, name, answer, callback_group=group)
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
        self._pace = self.create_timer(1 / self.settings.run_max_rate, self._continue, callback_group=own())
        self.create_timer(1.0, self._watch_input, callback_group=own())

    def start(self) -> None:
        """Load the model in its worker process and listen to the camera's pose."""
        self.source.listen()
        self.models.load(ModelChoice(), self.settings)
        self.source.keep_clips(wanted=self.models.wants_clip)

    def activate(self) -> None:
        """Subscribe to the cameras."""
        self.source.reader.open()

    def deactivate(self) -> None:
        """Take no more images; the weights stay."""
        self.source.reader.close()

    def apply(self) -> None:
        """Follow changed parameters that are not read anew for every request."""
        self._pace.timer_period_ns = int(1e9 / self.settings.run_max_rate)
        for camera in self.source.cameras.values():
            camera.store.slop_ns = int(self.settings.input_slop_s * 1e9)

    def stop(self) -> None:
        """End the worker process: this gives the GPU back."""
        self.models.close()

    def busy(self) -> bool:
        """Whether a request runs."""
        return bool(self.server.line.requests)

    def health(self) -> dict[str, str]:
        """What the diagnostics show."""
        return {**model_health(self.models), **input_health(self.source), **serving_health(self.server)}

    def trouble(self) -> str:
        """What keeps the node from answering."""
        return trouble(self.source, self.models, self.settings.input_warn_after_s)

    def refuse(self, error: AffordanceError) -> None:
        """Count, log and show a refusal."""
        self.server.count(error)
        super().refuse(error)

    def _guarded(self, work: Any) -> AffordanceError | None:
        """Run work that ends in an answer or a refusal; return the refusal, whatever happened."""
        try:
            work()
        except Exception as error:
            refused = self.as_refusal(error)
            self.refuse(refused)
            return refused
        return None

    def _execute(self, goal: Any) -> PredictAffordance.Result:
        result = PredictAffordance.Result()

        def work() -> None:
            watch = Watch(lambda **what: goal.publish_feedback(Feedback(**what)), lambda: goal.is_cancel_requested)
            result.answer = self.server.serve(request_from(goal.request), watch)

        error = self._guarded(work)
        result.outcome = convert.outcome_message(error)
        if error is None:
            goal.succeed()
        elif error.code == Code.CANCELED:
            goal.canceled()
        else:
            goal.abort()
        return result

    def _query(self, request: Any, response: Any) -> Any:
        def work() -> None:
            response.answer = self.server.serve(request_from(request), Watch())

        response.outcome = convert.outcome_message(self._guarded(work))
        return response

    def _snapshot(self, request: Any, response: Any) -> Any:
        def work() -> None:
            self.require_active()
            camera = bounded(request.camera, LONGEST_NAME, 'camera')
            frame = bounded(request.target_frame, LONGEST_NAME, 'target_frame')
            wait = convert.timeout_of(request.timeout_s, self.settings.run_wait_image_s)
            accepted = self.source.accept(Wanted(camera, frame, wait, lambda: not self.active))
            array = msg.AffordanceArray(header=convert.header_of(accepted.frame), camera=accepted.camera)
            response.evidence = evidence_message(accepted.frame, array, accepted.pose_refused)

        response.outcome = convert.outcome_message(self._guarded(work))
        return response

    def _publish_evidence(self, evidence: msg.Evidence) -> None:
        self.evidence.publish(evidence)
        if evidence.heatmaps and self.heatmap.get_subscription_count():
            self.heatmap.publish(evidence.heatmaps[0])

    def _continue(self) -> None:
        """Continuous mode: ask the prompt about the newest image, unless requests are there."""
        newest, prompt = self.source.first.store.newest, self.prompt
        if self.active and self.enabled and prompt and newest is not None and newest.number != self._last_number:
            self._last_number = newest.number
            self.server.ask_in_background(prompt)

    def _watch_input(self) -> None:
        self.models.look_after()
        if self.active:
            self.source.watch.look(self.settings.input_warn_after_s)

    def _load_model(self, request: Any, response: Any) -> Any:
        """Answer when the model is warm or refused."""

        def work() -> None:
            if not self.configured:
                raise AffordanceError(Code.NOT_ACTIVE, f'{self.get_name()} is not configured; configure it first')
            self.models.load(ModelChoice.of(request), self.settings)
            self.source.keep_clips(wanted=self.models.wants_clip)

        response.outcome = convert.outcome_message(self._guarded(work))
        response.model = self.models.info()
        return response

    def _take_prompt(self, message: String) -> None:
        self._guarded(lambda: self._ask_from_now_on(message.data))

    def _set_prompt(self, request: Any, response: Any) -> Any:
        response.outcome = convert.outcome_message(self._guarded(lambda: self._ask_from_now_on(request.query)))
        return response

    def _ask_from_now_on(self, prompt: str) -> None:
        self.prompt = bounded(prompt, LONGEST_TEXT, 'the prompt').strip()

    def _enable(self, request: Any, response: Any) -> Any:
        self.enabled = bool(request.data)
        response.success, response.message = True, f'continuous mode {"may run" if self.enabled else "is paused"}'
        return response


def main() -> None:
    """Run the node: 1 request runs, up to 8 wait, the rest takes cancels and services."""
    run_node(AffordanceNode, threads=16)


if __name__ == '__main__':
    main()
