#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""affordance_node: the newest RGB-D bundle and a sentence in, the model's answer and the frozen evidence out."""

import json
import threading
import time
import uuid
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

from affordance_ros import msg, srv
from affordance_ros.action import PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.models.base import Progress
from affordance_ros.models.worker import ModelWorker, WorkerSpec
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.acceptance import FrameSource
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.nodes.parameters import AffordanceParameters, declare
from affordance_ros.nodes.lifecycle import RESULT, SENSOR, SuiteNode, run_node
from affordance_ros.results import Frame, Prediction, Query


class AffordanceNode(SuiteNode):
    """Serves one model. One request runs, `run.max_pending` may wait; continuous mode yields to requests."""

    def __init__(self) -> None:
        super().__init__('affordance_node')
        self.settings = declare(self, AffordanceParameters)
        self.source = FrameSource(self, self.settings)
        self.worker: ModelWorker | None = None
        self.prompt, self.enabled = '', True
        self._running, self._pending, self._count_lock, self._last_number = threading.Lock(), 0, threading.Lock(), 0
        self._camera: list[Any] = []
        self.answers = self.create_publisher(msg.AffordanceArray, '~/affordances', RESULT)
        self.evidence = self.create_publisher(msg.Evidence, '~/evidence', RESULT)
        group = ReentrantCallbackGroup()
        self.create_service(srv.ListModels, '~/list_models', self._list_models, callback_group=group)
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
        self.create_timer(
            1 / self.settings.run_max_rate, self._continue, callback_group=MutuallyExclusiveCallbackGroup()
        )

    def start(self) -> None:
        """Load the model in its worker process."""
        s = self.settings
        self.worker = self._load(s.model_name, s.model_checkpoint, s.model_device, s.model_dtype)

    def activate(self) -> None:
        """Subscribe to the camera."""
        store, group = self.source, ReentrantCallbackGroup()
        for kind, topic, take in (
            (Image, 'image', store.image),
            (Image, 'depth/image', store.depth),
            (CameraInfo, 'camera_info', store.info),
        ):
            self._camera.append(self.create_subscription(kind, topic, take, SENSOR, callback_group=group))
        self._camera.append(
            self.create_subscription(String, 'prompt', lambda m: setattr(self, 'prompt', m.data.strip()), 10)
        )

    def deactivate(self) -> None:
        """Take no more images; the weights stay."""
        while self._camera:
            self.destroy_subscription(self._camera.pop())
        self.source.store.clear()

    def stop(self) -> None:
        """End the worker process: this gives the GPU back."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        info = self.worker.spec if self.worker else None
        return {'model': info.name if info else 'none', **self.source.health()}

    def _load(self, name: str, checkpoint: str, device: str, dtype: str) -> ModelWorker:
        s = self.settings
        options = {**json.loads(s.model_options), 'threads': s.model_threads}
        worker = ModelWorker(WorkerSpec(name, checkpoint or None, device, dtype, options, s.model_python))
        try:
            info = worker.start(timeout_s=s.model_load_timeout_s)
        except BaseException:
            worker.close()
            raise
        self.get_logger().info(
            f'{info.name} is loaded: {info.parameters / 1e6:.1f} M parameters, {info.dtype} on {info.device}'
        )
        return worker

    def answer(
        self, query: Query, request_id: str, timeout_s: float, feedback: Any = None, stop: Any = None
    ) -> msg.AffordanceArray:
        """Freeze the newest bundle, ask the model, publish answer and evidence. Raises AffordanceError."""
        deadline = time.monotonic() + timeout_s
        self.require_active()
        worker = self.worker
        if worker is None:
            raise AffordanceError(Code.NOT_ACTIVE, 'no model is loaded; call ~/load_model')
        frame, refused = self.source.accept(min(self.settings.run_wait_image_s, timeout_s), stop)
        accepted = self.get_clock().now()
        start = time.perf_counter()
        left = max(0.05, deadline - time.monotonic())
        prediction = worker.predict(frame, query, progress=feedback, stop=stop, timeout_s=left)
        array = self._array(frame, prediction, request_id, {**prediction.seconds, 'model': time.perf_counter() - start})
        array.accepted_at, array.checkpoint = accepted.to_msg(), str(worker.spec.checkpoint or '')
        self.answers.publish(array)
        self.evidence.publish(self._evidence(frame, array, refused))
        return array

    def _array(
        self, frame: Frame, prediction: Prediction, request_id: str, seconds: dict[str, float]
    ) -> msg.AffordanceArray:
        array = msg.AffordanceArray(header=convert.header_of(frame), request_id=request_id, model=prediction.model)
        array.affordances = [convert.affordance_message(prediction)]
        array.finished_at = self.get_clock().now().to_msg()
        array.stages = convert.stages_message(seconds)
        return array

    def _evidence(self, frame: Frame, array: msg.AffordanceArray, refused: AffordanceError | None) -> msg.Evidence:
        evidence = msg.Evidence(answer=array, pose_outcome=convert.outcome_message(refused))
        if frame.depth is not None:
            evidence.depth = image_message(frame.depth, '32FC1', array.header)
        if frame.intrinsics is not None:
            evidence.camera_info = camera_info_message(frame.intrinsics, array.header)
        if frame.target_from_camera is not None:
            evidence.has_pose = True
            evidence.camera_pose = convert.transform_message(
                frame.target_from_camera, frame.target_frame, frame.frame_id, frame.stamp_ns
            )
        return evidence

    def _execute(self, goal: Any) -> PredictAffordance.Result:
        request = goal.request
        result = PredictAffordance.Result()

        def feedback(progress: Progress) -> None:
            stage = convert.STAGES.get(progress.stage, 0)
            goal.publish_feedback(
                PredictAffordance.Feedback(stage=stage, fraction=float(progress.fraction), text=progress.text)
            )

        try:
            self._queue(goal)
            try:
                if not (request.query.strip() or request.object.strip()):
                    raise AffordanceError(Code.BAD_INPUT, 'the request has neither a query nor an object')
                query = Query(request.query[:2000], request.object[:200], request.action[:200], request.task[:200])
                timeout = request.timeout_s or self.settings.run_timeout_s
                result.answer = self.answer(
                    query, request.request_id or uuid.uuid4().hex, timeout, feedback, lambda: goal.is_cancel_requested
                )
            finally:
                self._running.release()
        except AffordanceError as error:
            self.refuse(error)
            result.outcome = convert.outcome_message(error)
            if error.code == Code.CANCELED and goal.is_cancel_requested:
                goal.canceled()
            else:
                goal.abort()
            return result
        goal.succeed()
        return result

    def _queue(self, goal: Any) -> None:
        """Wait for the running request to end; raises BUSY or CANCELED. On return `_running` is held."""
        with self._count_lock:
            if self._pending > self.settings.run_max_pending:
                raise AffordanceError(Code.BUSY, f'{self._pending} requests wait already; ask again later')
            self._pending += 1
        try:
            while not self._running.acquire(timeout=0.05):
                if goal.is_cancel_requested:
                    raise AffordanceError(Code.CANCELED, 'canceled while it waited for its turn')
        finally:
            with self._count_lock:
                self._pending -= 1

    def _continue(self) -> None:
        """Continuous mode: ask the prompt about the newest image, unless a request runs."""
        newest = self.source.store.newest
        if not (self.active and self.enabled and self.prompt) or newest is None or newest.number == self._last_number:
            return
        if not self._running.acquire(blocking=False):
            return
        try:
            self._last_number = newest.number
            self.answer(Query(text=self.prompt), '', self.settings.run_timeout_s, stop=lambda: not self.active)
        except AffordanceError as error:
            self.refuse(error)
        finally:
            self._running.release()

    def _list_models(self, _: Any, response: Any) -> Any:
        spec = self.worker.spec if self.worker else None
        for entry in list_models():
            info = msg.ModelInfo(
                name=entry.name, description=entry.summary, outputs=sorted(entry.outputs), obtain=entry.get_checkpoint
            )
            if spec is not None and spec.name == entry.name:
                info.loaded, info.checkpoint, info.device, info.dtype = (
                    True,
                    str(spec.checkpoint or ''),
                    spec.device,
                    spec.dtype,
                )
            response.models.append(info)
        return response

    def _load_model(self, request: Any, response: Any) -> Any:
        s = self.settings
        try:
            new = self._load(
                request.name,
                request.checkpoint or s.model_checkpoint,
                request.device or s.model_device,
                request.dtype or s.model_dtype,
            )
        except AffordanceError as error:
            self.refuse(error)
            response.outcome = convert.outcome_message(error)
        else:
            with self._running:
                old, self.worker = self.worker, new
            if old is not None:
                old.close()
        if self.worker is not None:
            spec = self.worker.spec
            response.model = msg.ModelInfo(
                name=spec.name, checkpoint=str(spec.checkpoint or ''), device=spec.device, dtype=spec.dtype, loaded=True
            )
        return response

    def _set_prompt(self, request: Any, response: Any) -> Any:
        self.prompt = request.query.strip()[:2000]
        return response

    def _enable(self, request: Any, response: Any) -> Any:
        self.enabled = bool(request.data)
        response.success, response.message = (
            True,
            'continuous mode may run' if self.enabled else 'continuous mode is paused',
        )
        return response


def main() -> None:
    """Run the node."""
    run_node(AffordanceNode)


if __name__ == '__main__':
    main()
