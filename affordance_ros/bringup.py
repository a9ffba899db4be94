# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the suite on a robot consists of: nodes, parameters and remappings, from the arguments of bringup.

`bringup.launch.py` and `affordance up` both start what is planned here. Strings in, plain values out: no ROS.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from affordance_ros.errors import AffordanceError, Code

# Argument -> (default, meaning). The names are those that users of Nav2 know.
ARGUMENTS = {
    'namespace': ('', 'namespace of all nodes and relative topics'),
    'use_sim_time': ('false', 'take the time from /clock'),
    'params_file': ('', 'parameter file; empty: config/affordance.yaml of this package'),
    'autostart': ('true', 'configure and activate the nodes; false leaves that to a lifecycle manager'),
    'use_respawn': ('false', 'start a node again that has died'),
    'log_level': ('info', 'debug, info, warn or error'),
    'model': ('', 'name of the model; empty: as in the parameter file'),
    'checkpoint': ('', "folder of the checkpoint, or 'pocket'; empty: as in the parameter file"),
    'device': ('', "'cpu', 'cuda', ...; empty: as in the parameter file"),
    'dtype': ('', "'float32', 'float16' or 'bfloat16'; empty: as in the parameter file"),
    'camera': (
        '',
        'topics of a driver: realsense, realsense_unaligned, zed, oak, kinect, gazebo; '
        'empty: image, depth/image, camera_info',
    ),
    'target_frame': ('', 'frame of the targets; empty: as in the parameter file'),
    'gripper': ('', 'generic, panda, robotiq_2f_85, robotiq_2f_140, suction; empty: as in the parameter file'),
    'rviz': ('false', 'start RViz'),
}
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
# Argument -> (node, parameter); an empty argument leaves the parameter file alone.
OVERRIDES = {
    'model': ('affordance_node', 'model.name'),
    'checkpoint': ('affordance_node', 'model.checkpoint'),
    'device': ('affordance_node', 'model.device'),
    'dtype': ('affordance_node', 'model.dtype'),
    'target_frame': ('affordance_node', 'tf.target_frame'),
    'gripper': ('target_node', 'gripper'),
}
NODES = ('affordance_node', 'target_node', 'overlay_node')
TRANSFORMS = {'/tf': 'tf', '/tf_static': 'tf_static'}  # with a namespace: the transforms of that robot


@dataclass(frozen=True)
class NodePlan:
    """One node: executable and name, its parameter file, what wins over the file, and topic remappings."""

    name: str
    params_file: Path
    namespace: str = ''
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    log_level: str = 'info'

    @property
    def full_name(self) -> str:
        """Namespace and name, as ROS writes them."""
        return '/'.join(['', *filter(None, self.namespace.split('/')), self.name])

    def winning_file(self, folder: Path) -> Path:
        """Write what wins over the parameter file and return the file, for `ros_arguments`.

        `-p` would not do: ROS puts it where `/**` stands in the parameter file, and any later section wins over it.
        The full name comes last, as launch_ros writes it.
        """
        file = folder / f'{self.name}.yaml'
        file.write_text(yaml.safe_dump({self.full_name: {'ros__parameters': dict(self.parameters)}}))
        return file

    def ros_arguments(self, winning: Path) -> list[str]:
        """Return the command line of the node, from --ros-args on. winning: what `winning_file` wrote."""
        words = ['--ros-args', '-r', f'__node:={self.name}']
        words += ['--params-file', str(self.params_file), '--params-file', str(winning)]
        words += ['-r', f'__ns:=/{self.namespace.strip("/")}'] if self.namespace else []
        for name, topic in self.remappings.items():
            words += ['-r', f'{name}:={topic}']
        return [*words, '--log-level', self.log_level]


def config_folder() -> Path:
    """Return the folder of the parameter files: beside the sources, or in the ROS prefix that holds this package.

    Raises:
        AffordanceError: BAD_INPUT when there is neither.
    """
    prefixes = [
        Path(prefix) / 'share' / 'affordance_ros' for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(':')
    ]
    for root in (Path(__file__).resolve().parents[1], *prefixes):
        if (root / 'config' / 'cameras.yaml').is_file():
            return root / 'config'
    text = 'the parameter files of affordance_ros are not found; source the workspace, or run from the source tree'
    raise AffordanceError(Code.BAD_INPUT, text)


def planned(arguments: Mapping[str, str], config: Path) -> list[NodePlan]:
    """Return the nodes of the suite for the arguments of bringup; those left out have their defaults.

    Raises:
        AffordanceError: BAD_INPUT for an argument, a camera or a file that there is not.
    """
    if unknown := set(arguments) - set(ARGUMENTS):
        raise AffordanceError(Code.BAD_INPUT, f'unknown: {", ".join(sorted(unknown))}; known: {", ".join(ARGUMENTS)}')
    value = {name: arguments.get(name, default) for name, (default, _) in ARGUMENTS.items()}
    _check_words(value)
    file = Path(value['params_file']) if value['params_file'] else config / 'affordance.yaml'
    if not file.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no parameter file {file}; see config/ for examples')
    parameters: dict[str, dict[str, Any]] = {name: {} for name in NODES}
    for own in parameters.values():
        own |= {'use_sim_time': _truth(value, 'use_sim_time'), 'autostart': _truth(value, 'autostart')}
    for argument, (node, parameter) in OVERRIDES.items():
        if value[argument]:
            parameters[node][parameter] = value[argument]
    remappings = camera_topics(config / 'cameras.yaml', value['camera'])
    if noise := remappings.pop('noise', ''):
        parameters['target_node']['depth.noise'] = noise
    remappings |= TRANSFORMS if value['namespace'] else {}
    shared = (remappings, value['log_level'])
    return [NodePlan(name, file, value['namespace'], own, *shared) for name, own in parameters.items()]


def camera_topics(file: Path, name: str) -> dict[str, str]:
    """Return the topics of a camera preset and its `noise`; nothing without a name. Raises BAD_INPUT."""
    if not name:
        return {}
    presets = yaml.safe_load(file.read_text())
    if name not in presets:
        raise AffordanceError(Code.BAD_INPUT, f'unknown camera {name!r}; presets: {", ".join(presets)}')
    return dict(presets[name])


def _check_words(value: Mapping[str, str]) -> None:
    """Raise BAD_INPUT for what ROS would refuse in every node with a traceback."""
    if not re.fullmatch(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?/?', value['namespace'], re.ASCII):
        text = f'namespace {value["namespace"]!r} is none of ROS: letters, digits and _, joined by /'
        raise AffordanceError(Code.BAD_INPUT, text)
    if value['log_level'].lower() not in LOG_LEVELS:
        raise AffordanceError(Code.BAD_INPUT, f'log_level must be one of {", ".join(LOG_LEVELS)}')


def _truth(value: Mapping[str, str], name: str) -> bool:
    word = value[name].lower()
    if word not in ('true', 'false'):
        raise AffordanceError(Code.BAD_INPUT, f'{name} must be true or false, got {value[name]!r}')
    return word == 'true'
