# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node on /diagnostics, once a second: OK, what is wrong (WARN), or why it could not be configured (ERROR)."""

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

PERIOD_S = 1.0
ACTIVE, NOT_ACTIVE = 'active', 'not active'


class DiagnosticReporter:
    """Publishes what the `health`, `trouble`, state and last refusal of a SuiteNode are, as one status of its name."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(PERIOD_S, self._publish, callback_group=MutuallyExclusiveCallbackGroup())

    def _publish(self) -> None:
        array = DiagnosticArray(status=[self.status()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def status(self) -> DiagnosticStatus:
        """Return level, message and values."""
        node = self._node
        level, message = self._verdict()
        status = DiagnosticStatus(level=level, name=node.get_fully_qualified_name(), hardware_id='affordance_ros')
        status.message = message
        refusal = node.last_refusal
        values = {'state': node.state_label} | node.health()
        values['last refusal'] = f'{refusal.code.name}: {refusal.message}' if refusal else ''
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return status

    def _verdict(self) -> tuple[bytes, str]:
        node = self._node
        if node.active:
            trouble = node.trouble()
            return (DiagnosticStatus.WARN, trouble) if trouble else (DiagnosticStatus.OK, ACTIVE)
        if node.failure:
            return DiagnosticStatus.ERROR, f'{NOT_ACTIVE} ({node.state_label}): {node.failure}'
        return DiagnosticStatus.WARN, f'{NOT_ACTIVE} ({node.state_label})'
