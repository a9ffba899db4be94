# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes of the suite share: lifecycle with logged failures, live parameters and diagnostics."""

import time
import traceback
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes.parameters import changed, declare

SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
DIAGNOSTICS_S = 1.0
RESULT = QoSProfile(depth=5)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SuiteNode(LifecycleNode):
    """A lifecycle node. Subclasses fill in `start`, `activate`, `deactivate`, `stop`, `check`, `busy` and `health`.

    settings: the parameters, replaced as a whole when a live one changes.
    """

    def __init__(self, name: str, parameters: type[Any]) -> None:
        super().__init__(name)
        self.settings = declare(self, parameters)
        self.active = self.configured = self.ending = False
        self.last_refusal: AffordanceError | None = None
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_timer(DIAGNOSTICS_S, self._publish_diagnostics, callback_group=MutuallyExclusiveCallbackGroup())

    def start(self) -> None:
        """Load what takes long (lifecycle: configure)."""

    def activate(self) -> None:
        """Take input (lifecycle: activate)."""

    def deactivate(self) -> None:
        """Take no more input, keep what is loaded (lifecycle: deactivate)."""

    def stop(self) -> None:
        """Give everything back (lifecycle: cleanup and shutdown)."""

    def check(self, settings: Any) -> None:
        """Raise AffordanceError when settings do not fit together."""

    def busy(self) -> bool:
        """Whether a request runs."""
        return False

    def health(self) -> dict[str, str]:
        """Return what the diagnostics show."""
        return {}

    def trouble(self) -> str:
        """Return what is wrong although the node is active; the diagnostics warn about it."""
        return ''

    def refuse(self, error: AffordanceError) -> None:
        """Log a refusal and show it in the diagnostics."""
        self.last_refusal = error
        self.get_logger().warning(f'{error.code.name}: {error.message}')

    def require_active(self) -> None:
        """Raise NOT_ACTIVE with the reason when the node does not answer."""
        if not self.active:
            reason = f' ({self.last_refusal.message})' if self.last_refusal else ''
            text = f'{self.get_fully_qualified_name()} is not active; configure and activate it{reason}'
            raise AffordanceError(Code.NOT_ACTIVE, text)

    def autostart(self) -> None:
        """Configure and activate, as a lifecycle manager would."""
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Configure."""
        result = self._transition('configure', self.start)
        self.configured = result == TransitionCallbackReturn.SUCCESS
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate."""
        result = self._transition('activate', self.activate)
        self.active = result == TransitionCallbackReturn.SUCCESS
        super().on_activate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate."""
        self.active = False
        super().on_deactivate(state)
        return self._transition('deactivate', self.deactivate)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self.configured = False
        return self._transition('clean up', self.stop)

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back for good."""
        self.active = self.configured = False
        return self._transition('shut down', self._end)

    def on_error(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a failed transition."""
        self.active = self.configured = False
        return self._transition('recover', self._end)

    def end(self, timeout_s: float) -> None:
        """Stop serving, let running requests tell so, and give everything back: the process is about to end."""
        self.active, self.ending = False, True
        deadline = time.monotonic() + timeout_s
        while self.busy() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._end()

    def _end(self) -> None:
        self.deactivate()
        self.stop()

    def _transition(self, verb: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        if self.ending:  # a signal came while a transition was under way
            return TransitionCallbackReturn.FAILURE
        try:
            step()
        except AffordanceError as error:
            self.last_refusal = error
            if self.ending:
                return TransitionCallbackReturn.FAILURE
            self.get_logger().error(f'could not {verb}: {error.code.name}: {error.message}')
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would turn this into a state without a word
            self.last_refusal = AffordanceError(Code.INTERNAL, f'{type(error).__name__}: {error}')
            self.get_logger().error(f'could not {verb}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _on_set_parameters(self, parameters: list[Any]) -> SetParametersResult:
        try:
            settings = changed(self.settings, {entry.name: entry.value for entry in parameters})
            self.check(settings)
        except AffordanceError as error:
            return SetParametersResult(successful=False, reason=error.message)
        self.settings = settings
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        refusal, trouble = self.last_refusal, self.trouble() if self.active else 'not active'
        level = DiagnosticStatus.WARN if trouble else DiagnosticStatus.OK
        status = DiagnosticStatus(level=level, name=self.get_fully_qualified_name(), hardware_id='affordance_ros')
        status.message = trouble or 'active'
        values = self.health() | {'last refusal': f'{refusal.code.name}: {refusal.message}' if refusal else ''}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
