#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""target_node: evidence in; contacts, grasp targets and poses out. Hosts the service and the action that planners call."""

import uuid
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped
from nav_msgs.msg import Path
from rclpy.action import ActionClient, ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from affordance_ros import msg, srv
from affordance_ros.action import PlanGrasps, PredictAffordance
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import NOISE_PRESETS
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import depth_from_message, intrinsics_from_message
from affordance_ros.nodes.parameters import TargetParameters, declare
from affordance_ros.nodes.lifecycle import RESULT, SuiteNode, run_node
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.results import Frame


class TargetNode(SuiteNode):
    """Lifts every answer of one affordance_node, and asks it on behalf of planners."""

    def __init__(self) -> None:
        super().__init__('target_node')
        self.settings = declare(self, TargetParameters)
        self.pipeline = PipelineSettings()
        self._waiting: dict[str, Future] = {}
        self._lifted: dict[str, msg.GraspTargetArray] = {}
        group = ReentrantCallbackGroup()
        self.targets = self.create_publisher(msg.GraspTargetArray, '~/grasp_targets', RESULT)
        self.poses = self.create_publisher(PoseArray, '~/grasp_poses', RESULT)
        self.trajectory = self.create_publisher(Path, '~/trajectory', RESULT)
        source = self.settings.source
        self._predict = ActionClient(self, PredictAffordance, f'{source}/predict', callback_group=group)
        self.create_subscription(msg.Evidence, f'{source}/evidence', self._take, RESULT, callback_group=group)
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
        self._group = group

    def start(self) -> None:
        """Check and build the settings."""
        s = self.settings
        if s.depth_noise not in NOISE_PRESETS:
            raise AffordanceError(
                Code.BAD_INPUT, f'unknown depth_noise {s.depth_noise!r}; presets: {", ".join(NOISE_PRESETS)}'
            )
        lift = LiftSettings(window_m=s.window_m, noise=NOISE_PRESETS[s.depth_noise])
        self.pipeline = PipelineSettings(lift, gripper_preset(s.gripper), GraspSettings(min_score=s.min_score))

    def _take(self, evidence: msg.Evidence) -> None:
        """Lift one answer and publish what came of it."""
        if not self.active:
            return
        request = evidence.answer.request_id
        targets = self.lift(evidence)
        self.targets.publish(targets)
        self.poses.publish(PoseArray(header=targets.header, poses=[target.grasp for target in targets.targets]))
        self._publish_path(evidence, targets)
        waiting = self._waiting.pop(request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(targets)
        if targets.outcome.code:
            self.refuse(AffordanceError(Code(targets.outcome.code), targets.outcome.message))

    def lift(self, evidence: msg.Evidence, gripper: str = '') -> msg.GraspTargetArray:
        """Return the grasp targets of an answer; every refusal is in it."""
        answer = evidence.answer
        array = msg.GraspTargetArray(
            header=answer.header, request_id=answer.request_id, model=answer.model, stages=answer.stages
        )
        array.query = answer.affordances[0].query
        try:
            if evidence.pose_outcome.code:
                raise convert.error_from(evidence.pose_outcome) or AffordanceError(Code.INTERNAL, 'no outcome')
            settings = replace(self.pipeline, gripper=gripper_preset(gripper)) if gripper else self.pipeline
            result = lift_and_grasp(*_frame_and_prediction(evidence), settings)
        except AffordanceError as error:
            array.outcome = convert.outcome_message(error)
            return array
        self._fill(array, result, evidence)
        return array

    def _fill(self, array: msg.GraspTargetArray, result: Answer, evidence: msg.Evidence) -> None:
        pose = np.eye(4)
        if evidence.has_pose:
            pose = convert.matrix_from_transform(evidence.camera_pose)
            array.header.frame_id = evidence.camera_pose.header.frame_id
        array.targets = [convert.target_message(target, pose) for target in result.targets]
        array.abstentions = [convert.abstention_message(item) for item in result.abstentions]
        if not result.targets:
            array.outcome = convert.outcome_message(result.abstentions[0])
        array.stages = convert.stages_message(result.seconds)
        age = self.get_clock().now().nanoseconds - convert.nanoseconds_of(array.header.stamp)
        array.image_age = convert.duration_message(max(0, age))

    def _publish_path(self, evidence: msg.Evidence, targets: msg.GraspTargetArray) -> None:
        """The ends of a trace that were lifted, in the order of motion."""
        if any(item.traces for item in evidence.answer.affordances):
            points = [PoseStamped(header=targets.header, pose=target.grasp) for target in targets.targets]
            self.trajectory.publish(Path(header=targets.header, poses=points))

    async def ask(
        self, query: str, timeout_s: float, feedback: Any = None, canceled: Any = None
    ) -> msg.GraspTargetArray:
        """Ask the affordance_node and return the lifted answer; refusals come as its outcome. Never blocks the executor."""
        request = uuid.uuid4().hex
        lifted = self._waiting[request] = Future()
        array = msg.GraspTargetArray(request_id=request, query=query)
        handles: list[Any] = []
        watch = self.create_timer(0.05, lambda: self._watch(lifted, handles, canceled), callback_group=self._group)
        limit = self.create_timer(
            timeout_s,
            lambda: _give_up(lifted, Code.TIMEOUT, f'no grasp targets within {timeout_s:.1f} s'),
            callback_group=self._group,
        )
        try:
            self.require_active()
            if not self._predict.server_is_ready() and not self._predict.wait_for_server(timeout_sec=1.0):
                raise AffordanceError(
                    Code.NOT_ACTIVE, f'no affordance node answers at {self.settings.source!r}; start it or set source'
                )
            goal = PredictAffordance.Goal(query=query, request_id=request, timeout_s=float(timeout_s))
            handle = await self._predict.send_goal_async(goal, feedback_callback=feedback)
            handles.append(handle)
            handle.get_result_async().add_done_callback(lambda done: _refused(lifted, done.result().result.outcome))
            result = await lifted
            if isinstance(result, AffordanceError):
                raise result
            return result
        except AffordanceError as error:
            array.outcome = convert.outcome_message(error)
            if handles and error.code == Code.TIMEOUT:
                handles[0].cancel_goal_async()
            self.refuse(error)
            return array
        finally:
            self._waiting.pop(request, None)
            self.destroy_timer(watch)
            self.destroy_timer(limit)

    def _watch(self, lifted: Future, handles: list[Any], canceled: Any) -> None:
        if canceled is not None and canceled() and handles and not lifted.done():
            handles[0].cancel_goal_async()

    async def _get(self, request: Any, response: Any) -> Any:
        targets = await self.ask(request.query, request.timeout_s or self.settings.run_timeout_s)
        if request.max_results:
            targets.targets = targets.targets[: request.max_results]
        response.targets = targets
        return response

    async def _plan(self, goal: Any) -> PlanGrasps.Result:
        request = goal.request

        def feedback(message: Any) -> None:
            f = message.feedback
            goal.publish_feedback(PlanGrasps.Feedback(stage=f.stage, fraction=f.fraction, text=f.text))

        timeout = request.timeout_s or self.settings.run_timeout_s
        targets = await self.ask(request.query, timeout, feedback, lambda: goal.is_cancel_requested)
        if request.max_results:
            targets.targets = targets.targets[: request.max_results]
        if targets.outcome.code == Code.CANCELED and goal.is_cancel_requested:
            goal.canceled()
        elif targets.outcome.code:
            goal.abort()
        else:
            goal.succeed()
        return PlanGrasps.Result(targets=targets)


def _frame_and_prediction(evidence: msg.Evidence) -> tuple[Frame, Any]:
    """Return the frozen frame (colour is not needed any more) and what the model said."""
    answer = evidence.answer
    intrinsics = intrinsics_from_message(evidence.camera_info)
    depth = depth_from_message(evidence.depth) if evidence.depth.data else None
    pose = convert.matrix_from_transform(evidence.camera_pose) if evidence.has_pose else None
    rgb = np.broadcast_to(np.zeros(1, np.uint8), (intrinsics.height, intrinsics.width, 3))
    frame = Frame(rgb, depth, intrinsics, convert.nanoseconds_of(answer.header.stamp), answer.header.frame_id, pose)
    seconds = {stage.stage: stage.seconds for stage in answer.stages}
    return frame, convert.prediction_from(answer.affordances[0], answer.model, seconds)


def _give_up(lifted: Future, code: Code, message: str) -> None:
    if not lifted.done():
        lifted.set_result(AffordanceError(code, message))


def _refused(lifted: Future, outcome: msg.Outcome) -> None:
    error = convert.error_from(outcome)
    if error is not None:
        _give_up(lifted, error.code, error.message)


def main() -> None:
    """Run the node."""
    run_node(TargetNode)


if __name__ == '__main__':
    main()
