# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What bringup starts: the same nodes, parameters and topics for `ros2 launch` and for `affordance up`."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from affordance_ros.bringup import ARGUMENTS, NODES, OVERRIDES, camera_topics, config_folder, planned
from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.depth import NOISE_PRESETS

CONFIG = Path(__file__).parents[1] / 'config'


def test_defaults_are_the_parameter_file_and_nothing_else() -> None:
    plans = planned({}, CONFIG)
    assert [plan.name for plan in plans] == list(NODES)
    for plan in plans:
        assert plan.params_file == CONFIG / 'affordance.yaml'
        assert plan.parameters == {'use_sim_time': False, 'autostart': True}
        assert plan.remappings == {}


def test_arguments_win_over_the_file_where_they_belong() -> None:
    arguments = {'model': 'fake', 'target_frame': 'base_link', 'gripper': 'panda', 'use_sim_time': 'true'}
    affordance, target, overlay = planned(arguments, CONFIG)
    assert affordance.parameters['model.name'] == 'fake'
    assert affordance.parameters['tf.target_frame'] == 'base_link'
    assert target.parameters['gripper'] == 'panda'
    assert 'gripper' not in affordance.parameters
    assert all(plan.parameters['use_sim_time'] is True for plan in (affordance, target, overlay))


def test_a_namespace_moves_the_transforms_too(tmp_path: Path) -> None:
    for plan in planned({'namespace': 'robot1'}, CONFIG):
        assert plan.remappings == {'/tf': 'tf', '/tf_static': 'tf_static'}
        assert '__ns:=/robot1' in plan.ros_arguments(tmp_path / 'own.yaml')


def test_a_camera_is_topics_and_noise() -> None:
    affordance, target, overlay = planned({'camera': 'realsense'}, CONFIG)
    assert affordance.remappings['image'] == overlay.remappings['image'] == '/camera/camera/color/image_raw'
    assert target.parameters['depth.noise'] == 'realsense_d435'
    assert 'noise' not in affordance.remappings


def test_words_of_the_command_line_are_what_ros_reads(tmp_path: Path) -> None:
    affordance = planned({'checkpoint': '/data/my models/x', 'camera': 'zed', 'namespace': '/robot1/'}, CONFIG)[0]
    words = affordance.ros_arguments(winning := affordance.winning_file(tmp_path))
    assert words[0] == '--ros-args'
    files = [words[index + 1] for index, word in enumerate(words) if word == '--params-file']
    assert files == [str(CONFIG / 'affordance.yaml'), str(winning)]  # the later one wins
    own = yaml.safe_load(winning.read_text())['/robot1/affordance_node']['ros__parameters']
    assert own == {'model.checkpoint': '/data/my models/x', 'use_sim_time': False, 'autostart': True}
    assert 'depth/image:=/zed/zed_node/depth/depth_registered' in words


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        ({'camera': 'kodak'}, 'realsense'),
        ({'params_file': '/nowhere.yaml'}, '/nowhere.yaml'),
        ({'autostart': 'maybe'}, 'autostart must be true or false'),
        ({'modle': 'fake'}, 'modle'),
        ({'namespace': 'my robot'}, "'my robot' is none of ROS"),
        ({'namespace': 'left/2nd'}, 'left/2nd'),
        ({'log_level': 'loud'}, 'debug, info, warn'),
    ],
)
def test_what_there_is_not_is_refused_by_name(arguments: dict, named: str) -> None:
    with pytest.raises(AffordanceError, match=named):
        planned(arguments, CONFIG)


def test_the_parameter_files_are_found_beside_the_sources() -> None:
    assert (config_folder() / 'affordance.yaml').is_file()


def test_arguments_override_parameters_that_exist() -> None:
    pytest.importorskip('rclpy')
    from affordance_ros.nodes import parameters

    kinds = {'affordance_node': parameters.AffordanceParameters, 'target_node': parameters.TargetParameters}
    for node, name in OVERRIDES.values():
        assert name in {parameters.ros_name(entry.name) for entry in fields(kinds[node])}


PRESETS = yaml.safe_load((CONFIG / 'cameras.yaml').read_text())


@pytest.mark.parametrize('name', PRESETS)
def test_camera_presets_name_their_topics_and_a_noise_model(name: str) -> None:
    preset = camera_topics(CONFIG / 'cameras.yaml', name)
    assert set(preset) - {'depth/camera_info'} == {'image', 'depth/image', 'camera_info', 'noise'}
    assert preset['noise'] in NOISE_PRESETS
    del preset['noise']
    assert all(topic.startswith('/') for topic in preset.values())
    assert name in ARGUMENTS['camera'][1]


def test_the_drivers_that_were_promised_have_a_preset() -> None:
    assert {'realsense', 'zed', 'oak', 'kinect', 'gazebo'} <= set(PRESETS)
