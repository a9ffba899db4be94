# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded bag and the suite on the time of the bag: what would the robot have been told?

ros2 launch affordance_ros replay.launch.py bag:=DIR camera:=realsense target_frame:=base_link prompt:='take the mug'

The bag begins once the model is loaded, and everything ends with it (loop:=true: never). With `prompt` the sentence is
asked about the newest image over and over; without it ask as you like: affordance call 'grasp the red mug'.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from affordance_ros.bringup import ARGUMENTS
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

OWN = {
    'bag': (None, 'folder of the bag'),
    'rate': ('1.0', 'how fast the bag is played; a slow model sees more images of a slow bag'),
    'loop': ('false', 'begin again at the end of the bag'),
    'start_offset': ('0.0', 'seconds of the bag that are left out'),
    'prompt': ('', 'sentence that is asked about the newest image over and over; empty: none'),
}
LOADED = 'is loaded:'  # affordance_node says so when it has its model
PASSED_ON = [name for name in ARGUMENTS if name not in ('use_sim_time', 'autostart')]


def _player(context: LaunchContext) -> ExecuteProcess:
    value = {name: LaunchConfiguration(name).perform(context) for name in OWN}
    # A clock in the bag is left out: two of them would take turns.
    command = ['ros2', 'bag', 'play', value['bag'], '--exclude-topics', '/clock', '--clock', '--rate', value['rate']]
    command += ['--start-offset', value['start_offset'], '--disable-keyboard-controls']
    return ExecuteProcess(cmd=[*command, *(['--loop'] if value['loop'] == 'true' else [])], output='screen')


def _asker(context: LaunchContext) -> list[ExecuteProcess]:
    prompt, namespace = (LaunchConfiguration(name).perform(context) for name in ('prompt', 'namespace'))
    if not prompt:
        return []
    topic = '/'.join(('', *filter(None, (namespace.strip('/'), 'prompt'))))
    sentence = prompt.replace("'", "''")
    return [
        ExecuteProcess(cmd=['ros2', 'topic', 'pub', '--once', topic, 'std_msgs/msg/String', f"{{data: '{sentence}'}}"])
    ]


def _replay(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Play once the model is loaded; end with the bag."""
    player = _player(context)
    waiting = [player, *_asker(context)]

    def heard(event: object) -> list[LaunchDescriptionEntity]:
        found = waiting if LOADED in event.text.decode(errors='replace') else []
        begun, waiting[:] = list(found), waiting if not found else []
        return begun

    ended = OnProcessExit(target_action=player, on_exit=[EmitEvent(event=Shutdown(reason='the bag has ended'))])
    return [
        RegisterEventHandler(OnProcessIO(on_stdout=heard, on_stderr=heard)),
        RegisterEventHandler(ended),
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, include the bringup on simulated time, and play."""
    share = Path(get_package_share_directory('affordance_ros'))
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in OWN.items()
    ]
    passed = {name: LaunchConfiguration(name, default=ARGUMENTS[name][0]) for name in PASSED_ON}
    suite = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / 'launch' / 'bringup.launch.py')),
        launch_arguments={**passed, 'use_sim_time': 'true'}.items(),
    )
    return LaunchDescription([*declared, OpaqueFunction(function=_replay), suite])
