# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our targets as messages of MoveIt. `moveit_msgs` is imported where it is used: nothing else needs it installed.

`moveit_msgs/Grasp.grasp_pose` is the pose of the wrist link, not of the fingertips: it is `wrist` of our targets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, Vector3, Vector3Stamped
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from affordance_ros import msg
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.grasping.gripper import GripperSettings, gripper_preset
from affordance_ros.nodes.conversions.basic import duration_message

CLOSING_S = 1.0  # in which the fingers are to open or close
LEAST = 0.5  # of a straight way has to be possible at least


def to_moveit_grasps(
    array: msg.GraspTargetArray, gripper: GripperSettings | None = None, touch: Sequence[str] = ()
) -> list[Any]:
    """Return `moveit_msgs/Grasp` for every target of an array, best first; see to_moveit_grasp."""
    return [
        to_moveit_grasp(target, array.header, gripper, name=f'{array.request_id or "target"}_{index}', touch=touch)
        for index, target in enumerate(array.targets)
    ]


def to_moveit_grasp(
    target: msg.GraspTarget,
    header: Header,
    gripper: GripperSettings | None = None,
    *,
    name: str = 'target_0',
    touch: Sequence[str] = (),
) -> Any:
    """Return a target as `moveit_msgs/Grasp`.

    Args:
        target: one of a GraspTargetArray.
        header: of that array: stamp and frame of every pose.
        gripper: whose joints the postures are for; None: the preset that the target names.
        name: id of the grasp.
        touch: collision objects that the hand may touch, for example the ids of obstacles.

    Raises:
        AffordanceError: BAD_INPUT when the target has no wrist pose or its gripper is not a preset.
    """
    from moveit_msgs.msg import Grasp

    if not target.wrist_frame:
        text = f'the target has no wrist pose: gripper {target.gripper!r} names no wrist frame'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; give it one in its YAML file')
    hand = gripper or gripper_preset(target.gripper)
    come, lift = _way(target.pregrasp, target.grasp), _way(target.grasp, target.lift)
    return Grasp(
        id=name,
        pre_grasp_posture=posture(hand, target.opening_m, header),
        grasp_posture=posture(hand, target.width_m, header),
        grasp_pose=PoseStamped(header=header, pose=target.wrist),
        grasp_quality=float(target.score),
        pre_grasp_approach=translation(come, header),
        post_grasp_retreat=translation(lift, header),
        post_place_retreat=translation(-come, header),
        allowed_touch_objects=list(touch),
    )


def to_place_location(
    place: msg.PlaceTarget, object_pose: Any, header: Header, gripper: GripperSettings, *, name: str = 'place_0'
) -> Any:
    """Return a free place as `moveit_msgs/PlaceLocation`: down along the normal of the surface, and away from it.

    Args:
        place: one of a GraspTargetArray.
        object_pose: pose that the held object is to have, standing at `place.pose` (its origin is the surface).
        header: of that array.
        gripper: whose joints open.
        name: id of the location.
    """
    from moveit_msgs.msg import PlaceLocation

    q = place.pose.orientation
    up = np.array((2 * (q.x * q.z + q.y * q.w), 2 * (q.y * q.z - q.x * q.w), 1 - 2 * (q.x**2 + q.y**2)))
    return PlaceLocation(
        id=name,
        post_place_posture=posture(gripper, gripper.max_aperture_m, header),
        place_pose=PoseStamped(header=header, pose=object_pose),
        quality=float(place.score),
        pre_place_approach=translation(-0.1 * up, header),
        post_place_retreat=translation(0.1 * up, header),
    )


def to_collision_objects(array: msg.GraspTargetArray) -> list[Any]:
    """Return the obstacles of an array as `moveit_msgs/CollisionObject`s to add to a planning scene."""
    from geometry_msgs.msg import Pose
    from moveit_msgs.msg import CollisionObject

    return [
        CollisionObject(
            header=array.header,
            id=item.id,
            pose=item.pose,
            primitives=item.primitives,
            primitive_poses=[Pose() for _ in item.primitives],
            meshes=item.meshes,
            mesh_poses=[Pose() for _ in item.meshes],
            operation=CollisionObject.ADD,
        )
        for item in array.obstacles
    ]


def posture(gripper: GripperSettings, opening_m: float, header: Header) -> JointTrajectory:
    """Return the finger joints at an opening; no joints for a gripper without rules, such as a cup."""
    joints = gripper.joint_positions(float(opening_m))
    point = JointTrajectoryPoint(positions=list(joints.values()))
    point.time_from_start = duration_message(int(CLOSING_S * 1e9))
    points = [point] if joints else []
    return JointTrajectory(header=Header(frame_id=header.frame_id), joint_names=list(joints), points=points)


def translation(way: Any, header: Header) -> Any:
    """Return a straight way (3,) in metres as `moveit_msgs/GripperTranslation` in the frame of a header."""
    from moveit_msgs.msg import GripperTranslation

    length = float(np.linalg.norm(way))
    x, y, z = (float(value) for value in np.asarray(way) / max(length, 1e-9))
    return GripperTranslation(
        direction=Vector3Stamped(header=header, vector=Vector3(x=x, y=y, z=z)),
        desired_distance=length,
        min_distance=LEAST * length,
    )


def _way(start: Any, end: Any) -> Any:
    return np.array([getattr(end.position, axis) - getattr(start.position, axis) for axis in 'xyz'])
