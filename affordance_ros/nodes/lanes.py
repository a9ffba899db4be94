# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several executors for one node: for requests, for what hardly ever happens, and for the one topic that is in a hurry.

rclpy builds its wait set anew, in Python, about three times for every callback. Parameter and lifecycle services and
the events of publishers (a QoS that does not fit) are three quarters of what a node waits for: whoever waits for
requests should not wait for them too. And an answer on its way to lifting should not queue behind feedback and results.
"""

from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import EventHandler
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor

RARE_PACKAGES = ('rcl_interfaces', 'lifecycle_msgs', 'type_description_interfaces')


class Rare(MutuallyExclusiveCallbackGroup):
    """What hardly ever happens. The lanes share no group: the end of a callback wakes only the executor that ran it."""


class Hurried(MutuallyExclusiveCallbackGroup):
    """What a thread of its own waits for and runs."""


class RequestLane(MultiThreadedExecutor):
    """Runs everything that has no lane of its own; a callback may block."""

    def can_execute(self, entity: Any) -> bool:
        """Leave out what has a lane."""
        return not isinstance(entity.callback_group, (Rare, Hurried)) and super().can_execute(entity)


class SideLane(SingleThreadedExecutor):
    """Runs what is in groups of one kind, of a node that belongs to another executor."""

    def __init__(self, node: Any, kind: type[MutuallyExclusiveCallbackGroup]) -> None:
        super().__init__()
        self._node, self._kind = node, kind

    def get_nodes(self) -> list[Any]:
        """Return the node, without taking it away from its executor."""
        return [] if self._is_shutdown else [self._node]

    def can_execute(self, entity: Any) -> bool:
        """Take only groups of the kind."""
        return isinstance(entity.callback_group, self._kind) and super().can_execute(entity)


def set_rare_apart(node: Any) -> None:
    """Give what is rare of a node a group of its own; services that block, in reentrant groups, stay where they are."""
    rare = Rare()
    services = [service for service in node.services if service.srv_type.__module__.split('.')[0] in RARE_PACKAGES]
    events = [waitable for waitable in node.waitables if isinstance(waitable, EventHandler)]
    for entity in (*services, *events):
        if isinstance(entity.callback_group, MutuallyExclusiveCallbackGroup):
            entity.callback_group = rare
            rare.add_entity(entity)
