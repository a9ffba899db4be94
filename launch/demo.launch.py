# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated camera over a procedural table and the suite with the pocket checkpoint: no hardware, no GPU.

ros2 launch affordance_ros demo.launch.py seed:=7
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from affordance_ros.bringup import TRANSFORMS
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Start scene_node and include the bringup with the demo's parameters."""
    share = Path(get_package_share_directory('affordance_ros'))
    params = str(share / 'config' / 'demo.yaml')
    seed = ParameterValue(LaunchConfiguration('seed'), value_type=int)
    scene = Node(
        package='affordance_ros',
        executable='scene_node',
        namespace=LaunchConfiguration('namespace'),
        parameters=[params, {'scene.seed': seed}],
        remappings=list(TRANSFORMS.items()),  # a namespace has transforms of its own
        output='screen',
        emulate_tty=True,
    )
    suite = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / 'launch' / 'bringup.launch.py')),
        launch_arguments={
            'params_file': params,
            'namespace': LaunchConfiguration('namespace'),
            'target_frame': 'table',
        }.items(),
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('seed', default_value='5', description='which scene'),
            DeclareLaunchArgument('namespace', default_value='', description='namespace of all nodes'),
            scene,
            suite,
        ]
    )
