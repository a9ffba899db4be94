# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pick what a sentence names with MoveIt: ask, go before it, look again, grasp, lift.

moveit_pick.py "grasp the red mug by its handle" --group panda_arm     (a launch file gives MoveItPy its parameters)
moveit_pick.py "grasp the red mug by its handle" --dry-run             (prints the moves, needs no MoveIt)
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Protocol

import rclpy
from affordance_ros.action import PlanGrasps
from geometry_msgs.msg import PoseStamped
from rclpy.utilities import remove_ros_args

from affordance_ros.errors import AffordanceError, Code

sys.path.insert(0, str(Path(__file__).resolve().parent))

from grasp_client import GraspClient, wrist_poses  # noqa: E402

ATTEMPTS = 3  # how often the model is asked anew when the object has moved


class Arm(Protocol):
    """What a pick needs of a robot."""

    def move(self, pose: PoseStamped, link: str) -> bool:
        """Bring a link to a pose; False when there is no way."""

    def set_opening(self, opening_m: float) -> None:
        """Move the fingers."""


class MoveItArm:
    """The arm behind MoveItPy. The gripper is that of your robot: fill in `set_opening`."""

    def __init__(self, group: str) -> None:
        try:
            from moveit.planning import MoveItPy
        except ImportError as error:
            text = 'MoveItPy is not installed: apt install ros-jazzy-moveit-py, or try --dry-run'
            raise AffordanceError(Code.BAD_INPUT, text) from error
        self._moveit = MoveItPy(node_name='moveit_pick')
        self._group = self._moveit.get_planning_component(group)

    def move(self, pose: PoseStamped, link: str) -> bool:
        """Plan from where the arm is, and go."""
        self._group.set_start_state_to_current_state()
        self._group.set_goal_state(pose_stamped_msg=pose, pose_link=link)
        plan = self._group.plan()
        return bool(plan) and bool(self._moveit.execute(plan.trajectory, controllers=[]))

    def set_opening(self, opening_m: float) -> None:
        """Say what the gripper should do; a Panda takes the action /panda_gripper/move."""
        print(f'gripper to {1000 * opening_m:.0f} mm: call the gripper action of your robot here')


class DryArm:
    """Prints the moves."""

    def move(self, pose: PoseStamped, link: str) -> bool:
        """Print where a link would go."""
        p = pose.pose.position
        print(f'move {link} to ({p.x:.3f}, {p.y:.3f}, {p.z:.3f}) in {pose.header.frame_id}', flush=True)
        return True

    def set_opening(self, opening_m: float) -> None:
        """Print how far the fingers would open."""
        print(f'open {1000 * opening_m:.0f} mm', flush=True)


def pick(client: GraspClient, arm: Arm, goal: PlanGrasps.Goal) -> Any:
    """Return the target that was grasped. Raises AffordanceError when nothing can be, with the reason.

    The targets are tried best first. If the object has moved when the hand is in front of it, the model is asked anew.
    """
    for _ in range(ATTEMPTS):
        targets = client.plan(goal)
        for target in targets.targets:
            poses = wrist_poses(targets.header, target)
            arm.set_opening(target.opening_m)
            if not arm.move(poses['pregrasp'], target.wrist_frame):
                continue  # out of reach: the next best
            try:
                client.verify(targets.header, target)
            except AffordanceError as error:
                if error.code != Code.MOVED:
                    raise
                print(error.message, flush=True)
                break
            if arm.move(poses['grasp'], target.wrist_frame):
                arm.set_opening(target.width_m)
                arm.move(poses['lift'], target.wrist_frame)
                return target
    raise AffordanceError(Code.NO_CLEARANCE, 'no target could be reached; move the robot or the camera')


def main() -> None:
    """Pick once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sentence')
    parser.add_argument('--gripper', default='', help='preset, empty: the parameter of target_node')
    parser.add_argument('--group', default='panda_arm', help='planning group of MoveIt')
    parser.add_argument('--dry-run', action='store_true', help='print the moves')
    rclpy.init(args=sys.argv)
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    client = GraspClient()
    try:
        arm = DryArm() if options.dry_run else MoveItArm(options.group)
        goal = PlanGrasps.Goal(query=options.sentence, gripper=options.gripper, max_results=5, timeout_s=30.0)
        target = pick(client, arm, goal)
        print(f'holding {target.label or options.sentence!r}')
    except AffordanceError as error:
        sys.exit(f'{error.code.name}: {error.message}')
    finally:
        client.close()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
