#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""target_node: evidence in; contacts, grasp targets and poses out. Hosts the service and the action of planners."""

import time
from collections import deque
from typing import Any

from geometry_msgs.msg import PoseArray
from nav_msgs.msg import Path
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup

from affordance_ros import msg, srv
from affordance_ros.action import PlanGrasps
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.asking import Asker, Question, Snapshots, goal_of
from affordance_ros.nodes.evidence import frame_from
from affordance_ros.nodes.health import percentiles, resident_bytes
from affordance_ros.nodes.lifecycle import RESULT, SuiteNode
from affordance_ros.nodes.lifted import lift_evidence, pipeline_settings, without_targets
from affordance_ros.nodes.parameters import TargetParameters
from affordance_ros.nodes.requests import LONGEST_NAME, bounded, preset_or_own
from affordance_ros.nodes.running import run_node
from affordance_ros.nodes.verification import MAX_SHIFT_M, MAX_TURN_RAD, Expected, look_again


class TargetNode(SuiteNode):
    """Lifts every answer of one affordance_node, and asks it on behalf of planners."""

    def __init__(self) -> None:
        super().__init__('target_node', TargetParameters)
        self.lifted, self.refused = 0, 0
        self.seconds: deque[float] = deque(maxlen=200)
        self.targets = self.create_publisher(msg.GraspTargetArray, '~/grasp_targets', RESULT)
        self.poses = self.create_publisher(PoseArray, '~/grasp_poses', RESULT)
        self.wrists = self.create_publisher(PoseArray, '~/wrist_poses', RESULT)
        self.places = self.create_publisher(PoseArray, '~/place_poses', RESULT)
        self.trajectory = self.create_publisher(Path, '~/trajectory', RESULT)
        self.asker, self.snapshots = Asker(self, self.settings.source), Snapshots(self, self.settings.source)
        lifting, group = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        evidence = f'{self.settings.source}/evidence'
        self.create_subscription(msg.Evidence, evidence, self._take, RESULT, callback_group=lifting)
        self.create_service(srv.GetGraspTargets, '~/get_grasp_targets', self._get, callback_group=group)
        self.create_service(srv.VerifyContact, '~/verify', self._verify, callback_group=group)
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
        """Raise BAD_INPUT for a preset that there is not, or for a file: whoever may set parameters opens none."""
        if settings.gripper != self.settings.gripper:
            preset_or_own(settings.gripper, self.settings.gripper)
        pipeline_settings(settings)

    def busy(self) -> bool:
        """Whether a request runs."""
        return self.asker.busy

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        values = {'answers with targets': str(self.lifted), 'answers without': str(self.refused)}
        values['node MiB'] = f'{resident_bytes() / 2**20:.0f}'
        return values | percentiles({'lift and grasp': list(self.seconds)})

    def _take(self, evidence: msg.Evidence) -> None:
        """Lift one answer, publish what came of it and hand it to whoever asked."""
        if not self.active:
            return
        start, request = time.perf_counter(), evidence.answer.request_id
        question = self.asker.begin_lifting(request)
        try:
            targets, path = lift_evidence(
                evidence, pipeline_settings(self.settings, question.gripper if question else '')
            )
        except Exception as error:
            targets, path = without_targets(evidence, self.as_refusal(error)), None
        targets.image_age = self._age(evidence.answer.header)
        self.seconds.append(time.perf_counter() - start)
        self.asker.deliver(request, targets)
        self.targets.publish(targets)
        self._publish_poses(targets)
        if path is not None:
            self.trajectory.publish(path)
        if targets.outcome.code:
            self.refused += 1
            self.refuse(AffordanceError(Code(targets.outcome.code), targets.outcome.message))
        else:
            self.lifted += 1

    def _publish_poses(self, targets: msg.GraspTargetArray) -> None:
        """Publish the poses of TCP and wrist and the places, best first; empty arrays say that there is none now."""
        head, wrists = targets.header, [target.wrist for target in targets.targets if target.wrist_frame]
        self.poses.publish(PoseArray(header=head, poses=[target.grasp for target in targets.targets]))
        self.wrists.publish(PoseArray(header=head, poses=wrists))
        self.places.publish(PoseArray(header=head, poses=[place.pose for place in targets.places]))

    def _age(self, header: Any) -> Any:
        age = self.get_clock().now().nanoseconds - convert.nanoseconds_of(header.stamp)
        return convert.duration_message(max(0, age))

    def _ask(self, request: Any, feedback: Any, canceled: Any) -> msg.GraspTargetArray:
        """Return targets or the refusal as outcome."""
        try:
            self.require_active()
            timeout = convert.timeout_of(request.timeout_s, self.settings.run_timeout_s)
            gripper = preset_or_own(request.gripper, self.settings.gripper)
            question = Question(goal_of(request), timeout, gripper, feedback, canceled)
            targets = self.asker.ask(question, self.settings.run_max_requests, lambda: self.active)
        except Exception as error:
            refused = self.as_refusal(error)
            self.refuse(refused)
            return msg.GraspTargetArray(query=request.query[:LONGEST_NAME], outcome=convert.outcome_message(refused))
        if request.max_results:
            targets.targets = targets.targets[: request.max_results]
            targets.places = targets.places[: request.max_results]
        return targets

    def _get(self, request: Any, response: Any) -> Any:
        response.targets = self._ask(request, lambda _: None, lambda: False)
        return response

    def _plan(self, goal: Any) -> PlanGrasps.Result:
        targets = self._ask(goal.request, goal.publish_feedback, lambda: goal.is_cancel_requested)
        if targets.outcome.code == Code.CANCELED and goal.is_cancel_requested:
            goal.canceled()
        elif targets.outcome.code:
            goal.abort()
        else:
            goal.succeed()
        return PlanGrasps.Result(targets=targets)

    def _verify(self, request: Any, response: Any) -> Any:
        """Look at the newest depth where the contact of a target should be."""
        try:
            self.require_active()
            frame_id = bounded(request.header.frame_id, LONGEST_NAME, 'frame_id')
            contact = request.target.contact
            limits = (request.max_shift_m or MAX_SHIFT_M, request.max_turn_rad or MAX_TURN_RAD)
            point, normal = ([getattr(vector, axis) for axis in 'xyz'] for vector in (contact.point, contact.normal))
            expected = Expected(convert.vector_of(point), convert.unit_of(normal), frame_id, *limits)
            timeout = convert.timeout_of(request.timeout_s, self.settings.run_timeout_s)
            evidence = self.snapshots.get(bounded(request.camera, LONGEST_NAME, 'camera'), frame_id, timeout)
            response.image_age = self._age(evidence.answer.header)
            refused = convert.error_from(evidence.pose_outcome)
            frame = frame_from(evidence)
            if refused is not None and frame_id != frame.frame_id:
                raise refused
            verdict = look_again(frame, expected, pipeline_settings(self.settings).lift)
        except Exception as error:
            refused = self.as_refusal(error)
            self.refuse(refused)
            response.outcome = convert.outcome_message(refused)
            return response
        response.outcome = convert.outcome_message(expected.moved(verdict))
        response.contact = convert.contact_message(verdict.contact, verdict.frame_from_camera)
        response.shift_m, response.turn_rad = verdict.shift_m, verdict.turn_rad
        return response


def main() -> None:
    """Run the node: up to 8 requests, the rest takes evidence, responses and cancels."""
    run_node(TargetNode, threads=14)


if __name__ == '__main__':
    main()
