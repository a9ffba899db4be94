# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes of the suite share: lifecycle with logged failures, autostart, diagnostics, and an end without noise."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from affordance_ros.errors import AffordanceError, Code

SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RESULT = QoSProfile(depth=5)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SuiteNode(LifecycleNode):
    """A lifecycle node. Subclasses fill in `start`, `activate`, `deactivate`, `stop` and `health`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.active = False
        self.last_refusal: AffordanceError | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_timer(1.0, self._publish_diagnostics)

    def start(self) -> None:
        """Load what takes long (lifecycle: configure)."""

    def activate(self) -> None:
        """Take input (lifecycle: activate)."""

    def deactivate(self) -> None:
        """Take no more input, keep what is loaded (lifecycle: deactivate)."""

    def stop(self) -> None:
        """Give everything back (lifecycle: cleanup and shutdown)."""

    def health(self) -> dict[str, str]:
        """Return what the diagnostics show."""
        return {}

    def refuse(self, error: AffordanceError) -> None:
        """Log a refusal and show it in the diagnostics."""
        self.last_refusal = error
        self.get_logger().warning(f'{error.code.name}: {error.message}')

    def require_active(self) -> None:
        """Raise NOT_ACTIVE with the reason when the node does not answer."""
        if not self.active:
            reason = f' ({self.last_refusal.message})' if self.last_refusal else ''
            raise AffordanceError(
                Code.NOT_ACTIVE, f'{self.get_name()} is not active; configure and activate it{reason}'
            )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure."""
        return self._transition('configure', self.start)

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

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        return self._transition('clean up', self.stop)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back for good."""
        self.active = False
        return self._transition('shut down', self.stop)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a failed transition."""
        return self._transition('recover', self.stop)

    def _transition(self, verb: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except AffordanceError as error:
            self.last_refusal = error
            self.get_logger().error(f'could not {verb}: {error.code.name}: {error.message}')
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would turn this into a state without a word
            self.last_refusal = AffordanceError(Code.INTERNAL, f'{type(error).__name__}: {error}')
            self.get_logger().error(f'could not {verb}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _publish_diagnostics(self) -> None:
        refusal = self.last_refusal
        level = DiagnosticStatus.OK if self.active else DiagnosticStatus.WARN
        status = DiagnosticStatus(
            level=level, name=self.get_fully_qualified_name(), message='active' if self.active else 'not active'
        )
        values = self.health() | {'last refusal': f'{refusal.code.name}: {refusal.message}' if refusal else ''}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def run_node(make: Callable[[], Any], threads: int = 4) -> None:
    """Spin a node until Ctrl-C or SIGTERM, then give everything back.

    A request blocks one executor thread while the worker process thinks; the others go on taking images and cancels.
    """
    rclpy.init()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    node = make()
    executor = MultiThreadedExecutor(threads)
    executor.add_node(node)
    if node.settings.autostart:
        timer = node.create_timer(0.0, lambda: (timer.cancel(), node.trigger_configure() and None, _activate(node)))
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # the way to end a node
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
        node.active = False
        node.stop()
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()


def _activate(node: SuiteNode) -> None:
    if node._state_machine.current_state[1] == 'inactive':  # noqa: SLF001 - rclpy offers no other way to ask itself
        node.trigger_activate()
