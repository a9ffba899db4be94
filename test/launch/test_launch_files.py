# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files: readable, with the usual arguments; where `launch` is installed they really start the suite."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from affordance_ros.cli.domains import claim_domain
from affordance_ros.geometry.depth import NOISE_PRESETS

ROOT = Path(__file__).parents[2]
LAUNCH, CONFIG = ROOT / 'launch', ROOT / 'config'
ARGUMENTS = {'namespace', 'use_sim_time', 'params_file', 'autostart', 'log_level', 'model', 'checkpoint', 'device'}
ARGUMENTS |= {'dtype', 'camera', 'target_frame', 'gripper', 'rviz'}


def constant(name: str) -> Any:
    """Return a literal of bringup.launch.py without importing it: it needs `launch`."""
    for node in ast.parse((LAUNCH / 'bringup.launch.py').read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f'no {name} in bringup.launch.py')


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.py')), ids=lambda path: path.name)
def test_launch_files_compile_and_offer_a_description(path: Path) -> None:
    tree = ast.parse(path.read_text())
    compile(tree, str(path), 'exec')
    assert 'generate_launch_description' in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert 'ros2 launch affordance_ros' in (ast.get_docstring(tree) or '')


def test_bringup_has_the_arguments_that_nav2_users_know() -> None:
    arguments = constant('ARGUMENTS')
    assert set(arguments) == ARGUMENTS
    assert all(text for _, text in arguments.values())


def test_arguments_override_parameters_that_exist() -> None:
    pytest.importorskip('rclpy')
    from dataclasses import fields

    from affordance_ros.nodes import parameters

    kinds = {'affordance_node': parameters.AffordanceParameters, 'target_node': parameters.TargetParameters}
    for node, name in constant('OVERRIDES').values():
        assert name in {parameters.ros_name(entry.name) for entry in fields(kinds[node])}


def test_camera_presets_name_three_topics_and_a_noise_model() -> None:
    presets = yaml.safe_load((CONFIG / 'cameras.yaml').read_text())
    assert set(presets) == {'realsense', 'zed', 'oak', 'kinect', 'gazebo'}
    for name, preset in presets.items():
        assert set(preset) == {'image', 'depth/image', 'camera_info', 'noise'}, name
        assert all(preset[topic].startswith('/') for topic in ('image', 'depth/image', 'camera_info')), name
        assert preset['noise'] in NOISE_PRESETS
        assert f'{name}' in constant('ARGUMENTS')['camera'][1]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A ROS prefix that holds this package as it lies in the tree."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'affordance_ros').touch()
    (tmp_path / 'share' / 'affordance_ros').mkdir()
    for folder in (LAUNCH, CONFIG):
        (tmp_path / 'share' / 'affordance_ros' / folder.name).symlink_to(folder)
    executables = tmp_path / 'lib' / 'affordance_ros'
    executables.mkdir(parents=True)
    for node in ('affordance_node', 'target_node', 'overlay_node', 'scene_node'):
        script = executables / node
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m affordance_ros.nodes.{node} "$@"\n')
        script.chmod(0o755)
    return tmp_path


RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *arguments = sys.argv[1:]
service = LaunchService()
source = PythonLaunchDescriptionSource(path)
pairs = dict(argument.split(':=') for argument in arguments)
included = IncludeLaunchDescription(source, launch_arguments=pairs.items())
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.mark.ros
@pytest.mark.parametrize(
    ('file', 'arguments', 'said'),
    [
        (
            'bringup.launch.py',
            ('model:=fake', 'namespace:=robot1', 'camera:=realsense'),
            '[robot1.affordance_node]: fake',
        ),
        ('demo.launch.py', ('seed:=3',), '[affordance_node]: robopoint is loaded'),
    ],
)
def test_launch_starts_and_ends_the_suite(prefix: Path, tmp_path: Path, file: str, arguments: tuple, said: str) -> None:
    pytest.importorskip('launch_ros')
    pytest.importorskip('rclpy')
    log = tmp_path / 'log'
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(claim_domain()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    environment['AMENT_PREFIX_PATH'] = f'{prefix}:{os.environ.get("AMENT_PREFIX_PATH", sys.prefix)}'
    environment['ROS_LOG_DIR'] = str(tmp_path)
    command = [sys.executable, '-c', RUN, str(LAUNCH / file), *arguments]
    with log.open('wb') as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while said not in log.read_text() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        assert said in log.read_text(), log.read_text()
    finally:
        process.send_signal(2)
        status = process.wait(20)
    text = log.read_text()
    assert status == 0, text
    started, clean = text.count('process started'), text.count('process has finished cleanly')
    assert started == clean >= 3, text
