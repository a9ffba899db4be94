# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Misspelled parameters: ROS leaves out what no node declares, and a robot would run with the default instead."""

import difflib
from collections.abc import Iterable
from dataclasses import fields

from rclpy.node import Node

from affordance_ros.nodes.parameters import OF_NODES, ros_name

OF_ROS = ('use_sim_time', 'start_type_description_service')


def unknown(given: Iterable[str]) -> list[str]:
    """Return the names that no node of the suite has, each with the one that was perhaps meant.

    A parameter of another node of ours may stand in the section for all nodes, and ROS has some of its own.
    """
    ours = [ros_name(entry.name) for kind in OF_NODES.values() for entry in fields(kind)]
    found = []
    for name in given:
        if name in ours or name in OF_ROS or name.startswith('qos_overrides.'):
            continue
        near = difflib.get_close_matches(name, ours, n=1)
        found.append(f'{name} (did you mean {near[0]}?)' if near else name)
    return found


def warn_of_unknown(node: Node) -> None:
    """Log the parameters in the files and on the command line of a node that do nothing."""
    if names := unknown(node._parameter_overrides):  # noqa: SLF001 - rclpy tells nowhere else what was given
        node.get_logger().warning(f'no node of this suite has these parameters, they do nothing: {", ".join(names)}')
