# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A behaviour tree that picks what a sentence names (pip install py_trees): ask, go, look again, grasp, or begin anew.

pick_tree.py "grasp the red mug by its handle"     (prints the moves; give `pick_tree` your own arm)
"""

import sys
import time
from pathlib import Path
from typing import Any

import py_trees
import rclpy
from action_msgs.msg import GoalStatus
from affordance_ros.action import PlanGrasps
from py_trees.common import Access, Status
from rclpy.action import ActionClient
from rclpy.node import Node

from affordance_ros import srv
from affordance_ros.errors import Code

sys.path.insert(0, str(Path(__file__).resolve().parent))

from grasp_client import wrist_poses  # noqa: E402
from moveit_pick import Arm, DryArm  # noqa: E402

TICK_S, FIND_S = 0.05, 10.0


class AskForGrasps(py_trees.behaviour.Behaviour):
    """Runs while the model thinks; then the targets are on the blackboard. Interrupted, it cancels the question."""

    def __init__(self, goal: PlanGrasps.Goal) -> None:
        super().__init__('ask for grasps')
        self._goal, self._handle, self._result = goal, None, None
        self._board = self.attach_blackboard_client()
        self._board.register_key('targets', access=Access.WRITE)

    def setup(self, **kwargs: Any) -> None:
        """Take the node that the tree runs in, and find the suite."""
        self._client = ActionClient(kwargs['node'], PlanGrasps, 'target_node/plan_grasps')
        if not self._client.wait_for_server(FIND_S):
            raise RuntimeError('no target_node answers; start the suite, or check the namespace')

    def initialise(self) -> None:
        """Send the question."""
        self._handle = self._result = None
        self._begun = time.monotonic()
        self._sent = self._client.send_goal_async(self._goal, feedback_callback=self._told)

    def _told(self, message: Any) -> None:
        self.feedback_message = f'{message.feedback.fraction:.0%} {message.feedback.text}'

    def update(self) -> Status:
        """Look whether the answer is there."""
        if self._handle is None:
            if not self._sent.done():
                return Status.RUNNING if time.monotonic() - self._begun < FIND_S else Status.FAILURE
            self._handle = self._sent.result()
            self._result = self._handle.get_result_async()
        if not self._result.done():
            return Status.RUNNING
        response = self._result.result()
        self._board.targets = response.result.targets
        outcome = response.result.targets.outcome
        self.feedback_message = outcome.message or f'{len(response.result.targets.targets)} targets'
        return Status.SUCCESS if response.status == GoalStatus.STATUS_SUCCEEDED else Status.FAILURE

    def terminate(self, new_status: Status) -> None:
        """Cancel a question that nobody waits for any more."""
        if new_status == Status.INVALID and self._handle is not None and not self._result.done():
            self._handle.cancel_goal_async()


class LookAgain(py_trees.behaviour.Behaviour):
    """Succeeds when the contact of the best target is still where it was."""

    def __init__(self) -> None:
        super().__init__('look again')
        self._board = self.attach_blackboard_client()
        self._board.register_key('targets', access=Access.READ)

    def setup(self, **kwargs: Any) -> None:
        """Take the node that the tree runs in."""
        self._client = kwargs['node'].create_client(srv.VerifyContact, 'target_node/verify')
        if not self._client.wait_for_service(FIND_S):
            raise RuntimeError('no target_node answers; start the suite, or check the namespace')

    def initialise(self) -> None:
        """Send the target."""
        targets = self._board.targets
        request = srv.VerifyContact.Request(header=targets.header, target=targets.targets[0], timeout_s=5.0)
        self._sent = self._client.call_async(request)

    def update(self) -> Status:
        """Look whether the verdict is there."""
        if not self._sent.done():
            return Status.RUNNING
        outcome = self._sent.result().outcome
        self.feedback_message = outcome.message
        return Status.SUCCESS if outcome.code == Code.OK else Status.FAILURE


class Act(py_trees.behaviour.Behaviour):
    """One step of the arm with the best target: 'open', 'pregrasp', 'grasp', 'close' or 'lift'."""

    def __init__(self, step: str, arm: Arm) -> None:
        super().__init__(step)
        self._arm = arm
        self._board = self.attach_blackboard_client()
        self._board.register_key('targets', access=Access.READ)

    def update(self) -> Status:
        """Do it."""
        targets = self._board.targets
        best = targets.targets[0]
        if self.name in ('open', 'close'):
            self._arm.set_opening(best.opening_m if self.name == 'open' else best.width_m)
            return Status.SUCCESS
        reached = self._arm.move(wrist_poses(targets.header, best)[self.name], best.wrist_frame)
        return Status.SUCCESS if reached else Status.FAILURE


def pick_tree(goal: PlanGrasps.Goal, arm: Arm, attempts: int = 3) -> py_trees.behaviour.Behaviour:
    """Return the tree: one attempt is a sequence, and a failed one begins anew with a new question."""
    attempt = py_trees.composites.Sequence('pick', memory=True)
    attempt.add_children([AskForGrasps(goal), Act('open', arm), Act('pregrasp', arm), LookAgain()])
    attempt.add_children([Act('grasp', arm), Act('close', arm), Act('lift', arm)])
    return py_trees.decorators.Retry('until it works', attempt, attempts)


def run(tree: py_trees.behaviour.Behaviour, node: Node, timeout_s: float = 120.0) -> Status:
    """Tick until the tree is done; the node is spun between the ticks. Returns how it ended."""
    for each in tree.iterate():
        each.setup(node=node)
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        tree.tick_once()
        if tree.status != Status.RUNNING:
            return tree.status
        rclpy.spin_once(node, timeout_sec=TICK_S)
    tree.stop(Status.INVALID)
    return Status.INVALID


def main(sentence: str) -> None:
    """Pick once with an arm that prints."""
    rclpy.init()
    node = Node('pick_tree')
    tree = pick_tree(PlanGrasps.Goal(query=sentence, timeout_s=30.0), DryArm())
    status = run(tree, node)
    print(py_trees.display.unicode_tree(tree, show_status=True))
    node.destroy_node()
    rclpy.try_shutdown()
    sys.exit(0 if status == Status.SUCCESS else 1)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
