#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""target_node: evidence in; contacts, grasp targets and poses out. Hosts the service and the action of planners."""

import traceback
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray
from nav_msgs.msg import Path
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup

from affordance_ros import msg, srv
from affordance_ros.action import PlanGrasps
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.asking import Asker, Question
from affordance_ros.nodes.evidence import frame_from
from affordance_ros.nodes.lifecycle import RESULT, SuiteNode
from affordance_ros.nodes.parameters import TargetParameters
from affordance_ros.nodes.running import run_node
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp


class TargetNode(SuiteNode):
    """Lifts every answer of one affordance_node, and asks it on behalf of planners."""

    def __init__(self) -> None:
        super().__init__('target_node', TargetParameters)
        self.lifted, self.refused = 0, 0
        self.targets = self.create_publisher(msg.GraspTargetArray, '~/grasp_targets', RESULT)
        self.poses = self.create_publisher(PoseArray, '~/grasp_poses', RESULT)
        self.trajectory = self.create_publisher(Path, '~/trajectory', RESULT)
        self.asker = Asker(self, self.settings.source)
        lifting, group = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        evidence = f'{self.settings.source}/evidence'
        self.create_subscription(msg.Evidence, evidence, self._take, RESULT, callback_group=lifting)
        self.create_service(srv.GetGraspTargets, '~/get_grasp_targets', self._get, callback_group=group)
        self._server = ActionServer(
            self,
            PlanGrasps,
            '~/plan_grasps',
            self._plan,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=60,
        )

    def start(self) -> None:
        """Check the settings."""
        self.check(self.settings)

    def check(self, settings: TargetParameters) -> None:
        """Raise BAD_INPUT for a preset that there is not."""
        pipeline_settings(settings)

    def busy(self) -> bool:
        """Whether a request runs."""
        return self.asker.busy

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        return {'answers with targets': str(self.lifted), 'answers without': str(self.refused)}

    def _take(self, evidence: msg.Evidence) -> None:
        """Lift one answer, publish what came of it and hand it to whoever asked."""
        if not self.active:
            return
        request = evidence.answer.request_id
        question = self.asker.question_of(request)
        try:
            targets, path = self.lift(evidence, question.gripper if question else '')
        except AffordanceError as error:
            targets, path = _without_targets(evidence, error), None
        except Exception as error:  # the planner that waits must get a code whatever happened
            self.get_logger().error(f'lifting failed:\n{traceback.format_exc()}')
            text = f'{type(error).__name__}: {error}; please report it with the log of the node'
            targets, path = _without_targets(evidence, AffordanceError(Code.INTERNAL, text)), None
        age = self.get_clock().now().nanoseconds - convert.nanoseconds_of(evidence.answer.header.stamp)
        targets.image_age = convert.duration_message(max(0, age))
        self.asker.deliver(request, targets)
        self.targets.publish(targets)
        self.poses.publish(PoseArray(header=targets.header, poses=[target.grasp for target in targets.targets]))
        if path is not None:
            self.trajectory.publish(path)
        if targets.outcome.code:
            self.refused += 1
            self.refuse(AffordanceError(Code(targets.outcome.code), targets.outcome.message))
        else:
            self.lifted += 1

    def lift(self, evidence: msg.Evidence, gripper: str) -> tuple[msg.GraspTargetArray, Path | None]:
        """Return the grasp targets of an answer and its path if it names one. Raises AffordanceError."""
        error = convert.error_from(evidence.pose_outcome)
        if error is not None:
            raise error
        answer = evidence.answer
        settings = pipeline_settings(self.settings)
        if gripper:
            settings = replace(settings, gripper=gripper_preset(gripper))
        seconds = {stage.stage: stage.seconds for stage in answer.stages}
        prediction = convert.prediction_from(answer.affordances[0], answer.model, seconds)
        result = lift_and_grasp(frame_from(evidence), prediction, settings)
        array = _without_targets(evidence, result.abstentions[0] if not result.targets else None)
        array.header.frame_id = result.frame.target_frame or result.frame.frame_id
        pose = np.eye(4) if result.frame.target_from_camera is None else np.asarray(result.frame.target_from_camera)
        array.targets = [convert.target_message(target, pose) for target in result.targets]
        array.abstentions = [convert.abstention_message(item) for item in result.abstentions]
        array.stages = convert.stages_message(result.seconds)
        return array, _path(result, pose, array.header)

    def _ask(self, question: Question, max_results: int) -> msg.GraspTargetArray:
        """Return targets or the refusal as outcome."""
        try:
            self.require_active()
            if not question.sentence.strip():
                raise AffordanceError(Code.BAD_INPUT, 'the query is empty; say what to take hold of')
            if question.gripper:
                gripper_preset(question.gripper)
            targets = self.asker.ask(question, self.settings.run_max_requests, lambda: self.active)
        except AffordanceError as error:
            self.refuse(error)
            return msg.GraspTargetArray(query=question.sentence, outcome=convert.outcome_message(error))
        if max_results:
            targets.targets = targets.targets[:max_results]
        return targets

    def _get(self, request: Any, response: Any) -> Any:
        timeout = convert.timeout_of(request.timeout_s, self.settings.run_timeout_s)
        response.targets = self._ask(Question(request.query, timeout), request.max_results)
        return response

    def _plan(self, goal: Any) -> PlanGrasps.Result:
        request = goal.request
        timeout = convert.timeout_of(request.timeout_s, self.settings.run_timeout_s)
        canceled = lambda: goal.is_cancel_requested  # noqa: E731
        question = Question(request.query, timeout, request.gripper, goal.publish_feedback, canceled)
        targets = self._ask(question, request.max_results)
        if targets.outcome.code == Code.CANCELED and goal.is_cancel_requested:
            goal.canceled()
        elif targets.outcome.code:
            goal.abort()
        else:
            goal.succeed()
        return PlanGrasps.Result(targets=targets)


def pipeline_settings(s: TargetParameters) -> PipelineSettings:
    """Return what the parameters mean. Raises BAD_INPUT for a preset that there is not."""
    if s.depth_noise not in NOISE_PRESETS:
        text = f'unknown depth.noise {s.depth_noise!r}; presets: {", ".join(NOISE_PRESETS)}'
        raise AffordanceError(Code.BAD_INPUT, text)
    lift = LiftSettings(window_m=s.window_m, noise=NOISE_PRESETS[s.depth_noise])
    return PipelineSettings(lift, gripper_preset(s.gripper), GraspSettings(min_score=s.min_score))


def _without_targets(evidence: msg.Evidence, refused: Any) -> msg.GraspTargetArray:
    """Return the array of an answer before anything was lifted."""
    answer = evidence.answer
    array = msg.GraspTargetArray(request_id=answer.request_id, model=answer.model, stages=answer.stages)
    array.header.stamp, array.header.frame_id = answer.header.stamp, answer.header.frame_id
    array.query = answer.affordances[0].query
    array.outcome = convert.outcome_message(refused)
    return array


def _path(result: Answer, pose: Any, header: Any) -> Path | None:
    """Return the lifted points of the traces in the order of motion, None when the answer names no trace."""
    if not result.prediction.traces:
        return None
    contacts = [contact for contact in result.contacts if contact.method == 'trace']
    return convert.path_message([pose[:3, :3] @ contact.point + pose[:3, 3] for contact in contacts], header)


def main() -> None:
    """Run the node: up to 8 requests, the rest takes evidence, responses and cancels."""
    run_node(TargetNode, threads=14)


if __name__ == '__main__':
    main()
