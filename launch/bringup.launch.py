# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The suite on a robot: affordance_node, target_node and overlay_node.

ros2 launch affordance_ros bringup.launch.py checkpoint:=DIR device:=cuda camera:=realsense target_frame:=base_link
"""

from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

ARGUMENTS = {
    'namespace': ('', 'namespace of all nodes and relative topics'),
    'use_sim_time': ('false', 'take the time from /clock'),
    'params_file': ('', 'parameter file; empty: config/affordance.yaml of this package'),
    'autostart': ('true', 'configure and activate the nodes; false leaves that to a lifecycle manager'),
    'log_level': ('info', 'debug, info, warn or error'),
    'model': ('', 'name of the model; empty: as in the parameter file'),
    'checkpoint': ('', "folder of the checkpoint, or 'pocket'; empty: as in the parameter file"),
    'device': ('', "'cpu', 'cuda', ...; empty: as in the parameter file"),
    'dtype': ('', "'float32', 'float16' or 'bfloat16'; empty: as in the parameter file"),
    'camera': ('', 'topics of a driver: realsense, zed, oak, kinect, gazebo; empty: image, depth/image, camera_info'),
    'target_frame': ('', 'frame of the targets; empty: the optical frame of the image'),
    'gripper': ('', 'generic, panda, robotiq_2f_85, robotiq_2f_140; empty: as in the parameter file'),
    'rviz': ('false', 'start RViz'),
}
# Launch argument -> (node, parameter); an empty argument leaves the parameter file alone.
OVERRIDES = {
    'model': ('affordance_node', 'model.name'),
    'checkpoint': ('affordance_node', 'model.checkpoint'),
    'device': ('affordance_node', 'model.device'),
    'dtype': ('affordance_node', 'model.dtype'),
    'target_frame': ('affordance_node', 'tf.target_frame'),
    'gripper': ('target_node', 'gripper'),
}


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Build the nodes once the arguments are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    config = Path(get_package_share_directory('affordance_ros')) / 'config'
    camera = _camera(config / 'cameras.yaml', value['camera'])
    parameters = {
        name: {'use_sim_time': value['use_sim_time'] == 'true', 'autostart': value['autostart'] == 'true'}
        for name in ('affordance_node', 'target_node', 'overlay_node')
    }
    for argument, (node, parameter) in OVERRIDES.items():
        if value[argument]:
            parameters[node][parameter] = value[argument]
    if camera:
        parameters['target_node']['depth.noise'] = camera.pop('noise')
    return [
        Node(
            package='affordance_ros',
            executable=name,
            name=name,
            namespace=value['namespace'],
            parameters=[value['params_file'] or str(config / 'affordance.yaml'), own],
            remappings=[*camera.items(), ('/tf', 'tf'), ('/tf_static', 'tf_static')]
            if value['namespace']
            else list(camera.items()),
            arguments=['--ros-args', '--log-level', value['log_level']],
            output='screen',
            emulate_tty=True,
        )
        for name, own in parameters.items()
    ]


def _camera(path: Path, name: str) -> dict[str, str]:
    """Return the remappings of a camera preset and its noise preset."""
    if not name:
        return {}
    presets = yaml.safe_load(path.read_text())
    if name not in presets:
        raise RuntimeError(f'unknown camera {name!r}; presets: {", ".join(presets)}')
    return dict(presets[name])


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and the nodes."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    rviz = Node(package='rviz2', executable='rviz2', condition=IfCondition(LaunchConfiguration('rviz')))
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes), rviz])
