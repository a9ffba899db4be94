# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One way to answer for action, service and continuous mode: turn, image, model, messages."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from affordance_ros import msg
from affordance_ros.action import PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import Progress
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.acceptance import Accepted, FrameSource, Wanted
from affordance_ros.nodes.evidence import evidence_message
from affordance_ros.nodes.model_host import HeldModel, ModelHost
from affordance_ros.nodes.region import above, cut, put_back
from affordance_ros.nodes.request_line import Policy, RequestLine, replaced
from affordance_ros.nodes.requests import Request, Watch
from affordance_ros.results import Prediction, Query

Feedback = PredictAffordance.Feedback
# What ends the whole request; any other refusal is that of one question.
FATAL = (Code.CANCELED, Code.REPLACED, Code.TIMEOUT, Code.WORKER_DIED, Code.NOT_ACTIVE, Code.BUSY, Code.OOM)


@dataclass(frozen=True)
class Outputs:
    """Where answers go, and who wants heatmaps."""

    answer: Callable[[msg.AffordanceArray], None]
    evidence: Callable[[msg.Evidence], None]


class Server:
    """Answers requests one after the other."""

    def __init__(self, node: Any, source: FrameSource, models: ModelHost, outputs: Outputs) -> None:
        self.line = RequestLine()
        self.stages: dict[str, deque[float]] = {}
        self.answered = 0
        self.refusals: dict[str, int] = {}
        self._node, self._source, self._models, self._outputs = node, source, models, outputs

    def serve(self, request: Request, watch: Watch) -> msg.AffordanceArray:
        """Wait for the turn and answer. Raises AffordanceError with the reason why there is no answer."""
        node, settings = self._node, self._node.settings
        node.require_active()
        timeout = convert.timeout_of(request.timeout_s, settings.run_timeout_s)
        deadline = time.monotonic() + timeout

        def stop() -> bool:
            return watch.stop() or not node.active

        policy = Policy(settings.run_policy, settings.run_max_pending)
        try:
            with self.line.turn(
                policy, timeout, stop=stop, on_wait=lambda: watch.feedback(stage=Feedback.QUEUED)
            ) as ticket:
                inner = replace(watch, stop=lambda: ticket.replaced or stop())
                try:
                    return self.answer(request, deadline, inner)
                except AffordanceError as error:
                    if error.code == Code.CANCELED and ticket.replaced:
                        raise replaced() from error
                    raise
        except AffordanceError as error:
            if error.code == Code.CANCELED and not watch.stop():
                text = f'{node.get_name()} was deactivated while the request ran'
                raise AffordanceError(Code.NOT_ACTIVE, text) from error
            raise

    def answer(self, request: Request, deadline: float, watch: Watch) -> msg.AffordanceArray:
        """Freeze the newest bundle, ask the model, publish answer and evidence. Raises AffordanceError."""
        node = self._node
        node.require_active()
        watch.feedback(stage=Feedback.WAITING)
        wait = min(node.settings.run_wait_image_s, max(0.0, deadline - time.monotonic()))
        accepted = self._source.accept(Wanted(request.camera, request.target_frame, wait, watch.stop))
        accepted_at, start = node.get_clock().now(), time.perf_counter()
        array = msg.AffordanceArray(header=convert.header_of(accepted.frame), request_id=request.name)
        array.camera = accepted.camera
        with self._models.hold() as model:
            predictions = self._ask_all(request, accepted, (model, deadline), watch)
        asked = time.perf_counter()
        array.affordances = [convert.affordance_message(*pair) for pair in predictions]
        array.accepted_at, array.finished_at = accepted_at.to_msg(), node.get_clock().now().to_msg()
        own = {name: value for prediction, _ in predictions for name, value in prediction.seconds.items()}
        seconds = {**accepted.seconds, **own, 'model': asked - start}
        array.stages = convert.stages_message(seconds)
        array.model, array.checkpoint = predictions[0][0].model, model.checkpoint
        heatmaps = [prediction.heatmap for prediction, _ in predictions if prediction.heatmap is not None]
        self._outputs.answer(array)
        self._outputs.evidence(evidence_message(accepted.frame, array, accepted.pose_refused, heatmaps))
        self._note({**accepted.seconds, 'model': asked - start, 'publish': time.perf_counter() - asked})
        self.answered += 1
        return array

    def _ask_all(
        self, request: Request, accepted: Accepted, by: tuple[HeldModel, float], watch: Watch
    ) -> list[tuple[Prediction, AffordanceError | None]]:
        """Return one answer per question, by a model and a deadline. One question or all of them refused: it raises."""
        frame, (model, deadline) = accepted.frame, by
        region = None if request.region is None else request.region.within(frame.width, frame.height)
        whole = [*accepted.earlier, frame]
        clip = whole if region is None else [cut(each, region) for each in whole]
        seen = clip if accepted.earlier else clip[-1]
        found: list[tuple[Prediction, AffordanceError | None]] = []
        for index, query in enumerate(request.queries):
            progress = self._progress(request, index, found, watch)
            try:
                prediction = model.predict(seen, query, deadline - time.monotonic(), progress, watch.stop)
            except AffordanceError as error:
                if error.code in FATAL or len(request.queries) == 1:
                    raise
                found.append((Prediction(model=model.name, query=query), error.bare()))
                continue
            if region is not None:
                prediction = put_back(prediction, region, frame)
            found.append((above(prediction, request.min_score), None))
        if all(error is not None for _, error in found):
            raise next(error for _, error in found if error is not None)
        return found

    def _progress(self, request: Request, index: int, found: list[Any], watch: Watch) -> Callable[[Progress], None]:
        partial = [convert.affordance_message(*pair) for pair in found]

        def report(step: Progress) -> None:
            watch.feedback(
                stage=convert.STAGES.get(step.stage, Feedback.GENERATE),
                fraction=(index + float(step.fraction)) / len(request.queries),
                text=step.text,
                query_index=index,
                partial=partial,
            )

        return report

    def ask_in_background(self, prompt: str) -> None:
        """Continuous mode: answer unless requests are there; a request that comes ends this one."""
        with self.line.background_turn() as free:
            if not free:
                return
            deadline = time.monotonic() + self._node.settings.run_timeout_s
            stop = Watch(stop=lambda: self.line.requests > 0 or not self._node.active)
            try:
                self.answer(Request((Query(text=prompt),)), deadline, stop)
            except AffordanceError as error:
                if error.code != Code.CANCELED:  # it gave way
                    self.count(error)
                    self._node.refuse(error)

    def count(self, error: AffordanceError) -> None:
        """Count a refusal by its code."""
        self.refusals[error.code.name] = self.refusals.get(error.code.name, 0) + 1

    def _note(self, seconds: dict[str, float]) -> None:
        for name, value in seconds.items():
            self.stages.setdefault(name, deque(maxlen=200)).append(value)
