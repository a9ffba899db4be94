# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A misspelled parameter is told, not left out in silence."""

import pytest

pytest.importorskip('rclpy')

from affordance_ros.nodes.unknown_parameters import unknown  # noqa: E402

pytestmark = pytest.mark.ros


def test_what_no_node_has_is_named_with_what_was_meant() -> None:
    given = ['model.chekpoint', 'model.name', 'gripper', 'use_sim_time', 'qos_overrides./image.subscription.depth']
    assert unknown([*given, 'speed']) == ['model.chekpoint (did you mean model.checkpoint?)', 'speed']


def test_the_log_of_the_node_says_so(suite) -> None:
    node = suite.start('affordance_node', {'model.name': 'fake', 'model.warmpu': False})
    suite.client.wait_active('/affordance_node')
    assert 'they do nothing: model.warmpu (did you mean model.warmup?)' in node.text
    assert 'autostart' not in node.text
