# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: described, within their range, grouped; and every parameter file names only what there is."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from affordance_ros.nodes import parameters  # noqa: E402

pytestmark = pytest.mark.ros
KINDS = parameters.OF_NODES
CONFIG = Path(__file__).parents[2] / 'config'
TOOL = CONFIG.parent / 'tools' / 'parameter_file.py'


def names_of(kind: type) -> set[str]:
    return {parameters.ros_name(entry.name) for entry in fields(kind)}


@pytest.mark.parametrize('kind', KINDS.values(), ids=KINDS)
def test_every_parameter_has_a_description_and_a_default_in_range(kind: type) -> None:
    for entry in fields(kind):
        assert len(entry.metadata['doc']) > 8, entry.name
        if isinstance(entry.default, float):
            assert entry.metadata['low'] is not None, f'{entry.name} has no range'
        if entry.metadata['low'] is not None:
            assert entry.metadata['low'] <= entry.default <= entry.metadata['high']


def test_changed_replaces_only_what_is_ours() -> None:
    before = parameters.TargetParameters()
    after = parameters.changed(before, {'run.timeout_s': 3.0, 'use_sim_time': True})
    assert after.run_timeout_s == 3.0
    assert before.run_timeout_s != 3.0


def test_the_file_of_all_parameters_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, TOOL, '--check'], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    content = yaml.safe_load((CONFIG / 'all_parameters.yaml').read_text())
    for name, kind in KINDS.items():
        given = content[f'/**/{name}']['ros__parameters']
        assert given == {parameters.ros_name(entry.name): entry.default for entry in fields(kind)}


def test_a_user_sees_description_range_and_what_may_change(suite) -> None:
    from rcl_interfaces.srv import DescribeParameters

    kinds = {name: kind for name, kind in KINDS.items() if name in ('affordance_node', 'target_node')}
    for name, kind in kinds.items():
        suite.start(name, {'autostart': False})
        names = sorted(names_of(kind))
        described = suite.client.call(DescribeParameters, f'/{name}/describe_parameters', names=names).descriptors
        by_name = {descriptor.name: descriptor for descriptor in described}
        assert all(by_name[one].description for one in names)
        for entry in fields(kind):
            shown = by_name[parameters.ros_name(entry.name)]
            ranges = [*shown.floating_point_range, *shown.integer_range]
            assert [(one.from_value, one.to_value) for one in ranges] == (
                [] if entry.metadata['low'] is None else [(entry.metadata['low'], entry.metadata['high'])]
            )
            assert all(choice in shown.additional_constraints for choice in entry.metadata['choices'])
            assert shown.read_only == (not entry.metadata['live'] and not entry.metadata['configure'])
    assert by_name['gripper'].description
    paths = [f'model.{name}' for name in ('checkpoint', 'python', 'options', 'sam', 'sam2', 'folders')]
    asked = suite.client.call(DescribeParameters, '/affordance_node/describe_parameters', names=paths).descriptors
    assert all(descriptor.read_only for descriptor in asked)  # nobody on the network can have a file opened


def test_live_changes_take_effect_and_refusals_say_why(suite) -> None:
    from synthetic_camera import Shot

    from affordance_ros import srv
    from affordance_ros.errors import Code

    client, name = suite.client, '/affordance_node'
    suite.start_camera().shot = Shot(depth_delay_ns=15_000_000)
    suite.start('affordance_node', {'model.name': 'fake', 'input.slop_s': 0.005, 'run.wait_image_s': 1.0})
    client.wait_active(name)

    def ask() -> tuple[Code, str]:
        outcome = client.call(srv.QueryAffordance, f'{name}/query', query='at 1,1').outcome
        return Code(outcome.code), outcome.message

    code, sentence = ask()
    assert code == Code.UNALIGNED
    assert 'raise input.slop_s' in sentence
    assert client.set_parameters(name, input__slop_s=0.02)[0].successful
    assert ask()[0] == Code.OK
    for wanted, told in (
        ({'run__policy': 'whatever'}, 'queue, reject, replace'),
        ({'run__max_pending': 99}, 'run.max_pending'),
        ({'run__timeout_s': 'soon'}, 'Wrong parameter type'),
        ({'model__name': 'x' * 5000}, '5000 characters'),
        ({'input__cameras': 'wrist'}, 'read-only'),
    ):
        result = client.set_parameters(name, **wanted)[0]
        assert not result.successful
        assert told in result.reason, result.reason
    assert ask()[0] == Code.OK


@pytest.mark.parametrize('path', sorted(CONFIG.glob('*.yaml')), ids=lambda path: path.name)
def test_parameter_files_name_what_there_is(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    for selector, entry in content.items():
        if 'ros__parameters' not in entry:
            continue
        name = selector.rsplit('/', 1)[-1]
        kinds = [KINDS[name]] if name in KINDS else list(KINDS.values())
        for kind in kinds:
            assert set(entry['ros__parameters']) <= names_of(kind), f'{path.name}: {selector}'
            kind(
                **{
                    field.name: entry['ros__parameters'].get(parameters.ros_name(field.name), field.default)
                    for field in fields(kind)
                }
            )
