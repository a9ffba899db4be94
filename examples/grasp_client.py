# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A client of target_node as a planner needs it: grasp targets for a sentence, and a second look before closing.

grasp_client.py "grasp the red mug by its handle"     (Ctrl-C cancels the question)
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from affordance_ros.action import PlanGrasps
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from affordance_ros import msg, srv
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.action_client import SafeActionClient

POLL_S = 0.05
FIND_S = 10.0
LATE_S = 3.0  # an answer that comes so long after its time-out is not waited for
NAMES = ('WAITING', 'QUEUED', 'PREPROCESS', 'ENCODE', 'GENERATE', 'PARSE', 'REFINE', 'LIFT')
STAGES = {getattr(PlanGrasps.Feedback, name): name.lower() for name in NAMES}


class GraspClient:
    """Asks one target_node. A thread of its own spins, so it can be called from any program, also beside MoveItPy."""

    def __init__(self, target_node: str = 'target_node', context: Any = None) -> None:
        self.node = Node('grasp_client', context=context)
        self._plan = SafeActionClient(self.node, PlanGrasps, f'{target_node}/plan_grasps')
        self._verify = self.node.create_client(srv.VerifyContact, f'{target_node}/verify')
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(2.0)
        self.node.destroy_node()

    def plan(
        self,
        goal: PlanGrasps.Goal,
        on_feedback: Callable[[Any], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> msg.GraspTargetArray:
        """Return the targets of a goal, best first. `stop` turning true, and Ctrl-C, cancel it.

        Raises AffordanceError with the code and the sentence of the suite when there is no target.
        """
        if not self._plan.wait_for_server(FIND_S):
            raise AffordanceError(Code.NOT_ACTIVE, 'no target_node answers; start the suite, or check the namespace')
        sent = self._plan.send_goal_async(goal, feedback_callback=lambda message: on_feedback(message.feedback))
        limit = (goal.timeout_s or 30.0) + LATE_S
        try:
            result = _wait(sent, FIND_S).get_result_async()
            targets: msg.GraspTargetArray = _wait(result, limit, stop).result.targets
        except (AffordanceError, KeyboardInterrupt):
            with contextlib.suppress(AffordanceError):
                _wait(_wait(sent, LATE_S).cancel_goal_async(), LATE_S)
            raise
        if (refused := convert.error_from(targets.outcome)) is not None:
            raise refused
        return targets

    def verify(self, header: Any, target: msg.GraspTarget, timeout_s: float = 5.0) -> Any:
        """Look again where a target should be. Raises AffordanceError MOVED when the surface is elsewhere."""
        request = srv.VerifyContact.Request(header=header, target=target, timeout_s=timeout_s)
        if not self._verify.wait_for_service(FIND_S):
            raise AffordanceError(Code.NOT_ACTIVE, 'no target_node answers; start the suite, or check the namespace')
        response = _wait(self._verify.call_async(request), timeout_s + LATE_S)
        if (refused := convert.error_from(response.outcome)) is not None:
            raise refused
        return response


def wrist_poses(header: Any, target: msg.GraspTarget) -> dict[str, PoseStamped]:
    """Return where the planner brings the wrist (link `target.wrist_frame`) at 'pregrasp', 'grasp' and 'lift'."""
    if not target.wrist_frame:
        text = f'gripper {target.gripper!r} has no wrist frame; add one to its entry in grippers.yaml'
        raise AffordanceError(Code.BAD_INPUT, text)
    grasp, wrist = convert.matrix_from_pose(target.grasp), convert.matrix_from_pose(target.wrist)
    tcp_from_wrist = np.linalg.inv(grasp) @ wrist
    stations = {'pregrasp': target.pregrasp, 'grasp': target.grasp, 'lift': target.lift}
    return {
        name: PoseStamped(header=header, pose=convert.pose_message(convert.matrix_from_pose(pose) @ tcp_from_wrist))
        for name, pose in stations.items()
    }


def _wait(future: Any, seconds: float, stop: Callable[[], bool] = lambda: False) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    left = seconds
    while not done.wait(POLL_S):
        left -= POLL_S
        if stop():
            raise AffordanceError(Code.CANCELED, 'the question was given up')
        if left < 0:
            raise AffordanceError(Code.TIMEOUT, f'no answer within {seconds:.0f} s')
    return future.result()


def main(sentence: str) -> None:
    """Ask and print."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # rclpy's own would leave before the cancel is sent
    client = GraspClient()
    try:
        goal = PlanGrasps.Goal(query=sentence, timeout_s=30.0)
        targets = client.plan(goal, lambda at: print(f'{STAGES[at.stage]:10} {at.fraction:4.0%} {at.text}'))
        print(f'in {targets.header.frame_id}, of an image that was taken {targets.image_age.sec} s ago:')
        for target in targets.targets:
            p = target.grasp.position
            where = f'({p.x:.3f}, {p.y:.3f}, {p.z:.3f})'
            print(f'  {where} m, opening {1000 * target.opening_m:.0f} mm, score {target.score:.2f}')
    except AffordanceError as error:
        sys.exit(f'{error.code.name}: {error.message}')
    except KeyboardInterrupt:
        print('canceled')
    finally:
        client.close()
        rclpy.try_shutdown()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
