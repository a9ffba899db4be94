# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: described, within their range, grouped; and every parameter file names only what there is."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from affordance_ros.nodes import parameters  # noqa: E402

pytestmark = pytest.mark.ros
KINDS = {
    'affordance_node': parameters.AffordanceParameters,
    'target_node': parameters.TargetParameters,
    'overlay_node': parameters.OverlayParameters,
    'scene_node': parameters.SceneParameters,
}
CONFIG = Path(__file__).parents[2] / 'config'


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
