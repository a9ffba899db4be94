# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The suite on a robot: affordance_node, target_node and overlay_node.

ros2 launch affordance_ros bringup.launch.py checkpoint:=DIR device:=cuda camera:=realsense target_frame:=base_link
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from affordance_ros.bringup import ARGUMENTS, TRANSFORMS, NodePlan, planned
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

RESPAWN_S = 2.0


def _suite(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Make the nodes once the arguments are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    share = Path(get_package_share_directory('affordance_ros'))
    respawn = value['use_respawn'] == 'true'
    nodes = [_node(plan, respawn=respawn) for plan in planned(value, share / 'config')]
    return [*nodes, *([_rviz(value, share)] if value['rviz'] == 'true' else [])]


def _node(plan: NodePlan, *, respawn: bool) -> Node:
    return Node(
        package='affordance_ros',
        executable=plan.name,
        name=plan.name,
        namespace=plan.namespace,
        parameters=[str(plan.params_file), dict(plan.parameters)],
        remappings=list(plan.remappings.items()),
        arguments=['--ros-args', '--log-level', plan.log_level],
        respawn=respawn,
        respawn_delay=RESPAWN_S,
        output='screen',
        emulate_tty=True,
    )


def _rviz(value: dict[str, str], share: Path) -> Node:
    fixed = ['-f', value['target_frame']] if value['target_frame'] else []
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=value['namespace'],
        remappings=list(TRANSFORMS.items()) if value['namespace'] else [],
        parameters=[{'use_sim_time': value['use_sim_time'] == 'true'}],
        arguments=['-d', str(share / 'rviz' / 'affordance.rviz'), *fixed],
    )


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_suite)])
