# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files: readable, with the usual arguments; where `launch` is installed they really start the suite."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from affordance_ros.bringup import ARGUMENTS
from affordance_ros.cli.domains import claim_domain

ROOT = Path(__file__).parents[2]
LAUNCH, CONFIG = ROOT / 'launch', ROOT / 'config'
FAMILIAR = {'namespace', 'use_sim_time', 'params_file', 'autostart', 'use_respawn', 'log_level'}  # of Nav2's bringup


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.py')), ids=lambda path: path.name)
def test_launch_files_compile_and_offer_a_description(path: Path) -> None:
    tree = ast.parse(path.read_text())
    compile(tree, str(path), 'exec')
    assert 'generate_launch_description' in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert 'ros2 launch affordance_ros' in (ast.get_docstring(tree) or '')


def test_bringup_has_the_arguments_that_nav2_users_know() -> None:
    assert set(ARGUMENTS) >= FAMILIAR | {'model', 'checkpoint', 'device', 'dtype', 'camera', 'target_frame', 'rviz'}
    assert all(text for _, text in ARGUMENTS.values())


def test_the_rviz_layout_shows_what_the_nodes_publish() -> None:
    layout = yaml.safe_load((ROOT / 'rviz' / 'affordance.rviz').read_text())
    displays = layout['Visualization Manager']['Displays']
    topics = {display['Topic']['Value'] for display in displays if 'Topic' in display}
    api = (ROOT / 'docs' / 'ros_api.md').read_text()
    for topic in topics:
        node, name = topic.split('/', 1)
        section = api.split(f'## {node}\n')[1].split('\n## ')[0]
        assert f'| publishes | `~/{name}` |' in section, topic
    markers = next(display for display in displays if display['Class'].endswith('/MarkerArray'))
    pytest.importorskip('rclpy')
    from affordance_ros.nodes.overlay_markers import NAMESPACES

    assert set(markers['Namespaces']) == set(NAMESPACES)
    assert not any(topic.startswith('/') for topic in topics)  # so that a namespace moves the layout too


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A ROS prefix that holds this package as it lies in the tree."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'affordance_ros').touch()
    (tmp_path / 'share' / 'affordance_ros').mkdir()
    for folder in (LAUNCH, CONFIG, ROOT / 'rviz'):
        (tmp_path / 'share' / 'affordance_ros' / folder.name).symlink_to(folder)
    executables = tmp_path / 'lib' / 'affordance_ros'
    executables.mkdir(parents=True)
    for node in ('affordance_node', 'target_node', 'overlay_node', 'scene_node'):
        script = executables / node
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m affordance_ros.nodes.{node} "$@"\n')
        script.chmod(0o755)
    shim = tmp_path / 'bin' / 'ros2'  # the player itself is not what is tested
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "ros2 $*" >> {tmp_path}/ros2.txt\nsleep 1\n')
    shim.chmod(0o755)
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


def environment(prefix: Path) -> dict[str, str]:
    """Return the environment of a launch: a domain of its own, this tree as an installed package."""
    values = {**os.environ, 'ROS_DOMAIN_ID': str(claim_domain()), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    values['AMENT_PREFIX_PATH'] = f'{prefix}:{os.environ.get("AMENT_PREFIX_PATH", sys.prefix)}'
    values['PATH'] = f'{prefix}/bin:{os.environ["PATH"]}'
    return values | {'ROS_LOG_DIR': str(prefix)}


def launched(prefix: Path, file: str, arguments: tuple, until: Callable[[str], bool], number: int | None) -> str:
    """Launch a file, wait until the log is as wanted, end it (number None: it ends by itself); return the log."""
    log = prefix / 'log'
    command = [sys.executable, '-c', RUN, str(LAUNCH / file), *arguments]
    with log.open('wb') as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment(prefix), cwd=prefix)
    try:
        deadline = time.monotonic() + 60
        while not until(log.read_text()) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        assert until(log.read_text()), log.read_text()
    finally:
        if number is not None:
            process.send_signal(number)
        status = process.wait(30)
    assert status == 0, log.read_text()
    return log.read_text()


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
def test_launch_starts_and_ends_the_suite(prefix: Path, file: str, arguments: tuple, said: str) -> None:
    pytest.importorskip('launch_ros')
    pytest.importorskip('rclpy')
    text = launched(prefix, file, arguments, lambda text: said in text, signal.SIGINT)
    started, clean = text.count('process started'), text.count('process has finished cleanly')
    assert started == clean >= 3, text


@pytest.mark.ros
def test_replay_plays_the_bag_once_the_model_is_loaded_and_ends_with_it(prefix: Path) -> None:
    pytest.importorskip('launch_ros')
    pytest.importorskip('rclpy')
    arguments = ('bag:=/bags/shelf', 'rate:=0.5', 'model:=fake', "prompt:=it is the mug's handle", 'namespace:=r1')
    text = launched(prefix, 'replay.launch.py', arguments, lambda text: 'sending signal' in text, None)
    assert text.index('is loaded:') < text.index('process started with pid', text.index('is loaded:'))
    played, asked = sorted((prefix / 'ros2.txt').read_text().splitlines())
    whole = '--clock --rate 0.5 --start-offset 0.0 --disable-keyboard-controls'
    assert played == f'ros2 bag play /bags/shelf --exclude-topics /clock {whole}'
    assert asked == "ros2 topic pub --once /r1/prompt std_msgs/msg/String {data: 'it is the mug''s handle'}"
