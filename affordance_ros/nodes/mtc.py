# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our targets as stages of the MoveIt Task Constructor, which is imported where it is used.

MTC has no stage that reads `moveit_msgs/Grasp`: every target becomes a GeneratePose in a ComputeIK, and all of them the
children of one Alternatives container. The cost of a child is 1 - score, so that among reachable targets the best wins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Vector3, Vector3Stamped
from std_msgs.msg import Header

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code


@dataclass(frozen=True)
class ArmNames:
    """Names of the robot's SRDF. group: of the arm. eef: the end effector. ik_solutions: per target."""

    group: str = 'panda_arm'
    eef: str = 'hand'
    ik_solutions: int = 4
    ik_distance: float = 0.1


def grasp_alternatives(array: msg.GraspTargetArray, current: Any, arm: ArmNames | None = None) -> Any:
    """Return `Alternatives` of ComputeIK(GeneratePose), one per target, best first: the wrist at each grasp.

    Args:
        array: what the service or the action of target_node answered.
        current: the stage whose state the poses start from, usually `task['current state']`.
        arm: names of the robot.

    Raises:
        AffordanceError: BAD_INPUT when there is no target or one has no wrist pose.
    """
    arm = arm or ArmNames()
    if not array.targets:
        raise AffordanceError(Code.BAD_INPUT, 'the answer holds no target; its abstentions say why')
    for target in array.targets:
        if not target.wrist_frame:
            text = f'gripper {target.gripper!r} names no wrist frame'
            raise AffordanceError(Code.BAD_INPUT, f'a target has no wrist pose: {text}; give it one in its YAML file')
    poses = [(PoseStamped(header=array.header, pose=item.wrist), item) for item in array.targets]
    stages = [_reached(pose, f'target {i}', current, arm, item) for i, (pose, item) in enumerate(poses)]
    return _alternatives('grasp', stages)


def straight_way(target: msg.GraspTarget, header: Header, *, lift: bool) -> tuple[Vector3Stamped, float]:
    """Return direction and length (metres) of a straight way, for MoveRelative: in to the grasp, or up from it."""
    start, end = (target.grasp, target.lift) if lift else (target.pregrasp, target.grasp)
    way = np.array([getattr(end.position, axis) - getattr(start.position, axis) for axis in 'xyz'])
    length = float(np.linalg.norm(way))
    x, y, z = (float(value) for value in way / max(length, 1e-9))
    return Vector3Stamped(header=header, vector=Vector3(x=x, y=y, z=z)), length


def _reached(pose: PoseStamped, name: str, current: Any, arm: ArmNames, target: msg.GraspTarget) -> Any:
    from moveit.task_constructor import core, stages

    generator = stages.GeneratePose(f'{name} ({target.label or "grasp"})')
    generator.setMonitoredStage(current)
    generator.pose = pose
    reached = stages.ComputeIK(f'reach {name}', generator)
    reached.group, reached.eef = arm.group, arm.eef
    reached.ik_frame = PoseStamped(header=Header(frame_id=target.wrist_frame))
    reached.max_ik_solutions, reached.min_solution_distance = arm.ik_solutions, arm.ik_distance
    reached.properties.configureInitFrom(core.Stage.PropertyInitializerSource.INTERFACE, ['target_pose'])
    reached.setCostTerm(constant(1.0 - float(target.score)))
    return reached


def _alternatives(name: str, stages: list[Any]) -> Any:
    from moveit.task_constructor import core

    container = core.Alternatives(name)
    for stage in stages:
        container.insert(stage)
    return container


def constant(cost: float) -> Callable[[Any], float]:
    """Return a cost term that is the same for every solution."""

    def term(_: Any) -> float:
        return cost

    return term
