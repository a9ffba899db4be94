# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes of the suite share: lifecycle with logged failures, live parameters and diagnostics."""

import time
import traceback
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes.diagnostics import DiagnosticReporter
from affordance_ros.nodes.parameters import changed, declare, refuse_unless_live
from affordance_ros.nodes.refusal_log import RefusalLog
from affordance_ros.nodes.unknown_parameters import warn_of_unknown

SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
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
        self._refusals = RefusalLog(lambda text: self.get_logger().warning(text))
        self.failure = ''  # why the last transition failed
        self._answer_transitions_always()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = DiagnosticReporter(self)
        warn_of_unknown(self)

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

    def apply(self) -> None:
        """Act on `settings` that have changed, where it is not enough to read them anew."""

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
        self.last_refusal = error.bare()
        self._refusals.tell(error)

    def as_refusal(self, error: Exception) -> AffordanceError:
        """Return an error as a refusal, since whoever asked must get a code; a defect is logged with its traceback."""
        if isinstance(error, AffordanceError):
            return error.bare()
        self.get_logger().error(f'a request failed:\n{traceback.format_exc()}')
        text = f'{type(error).__name__}: {error}; please report it with the log of the node'
        return AffordanceError(Code.INTERNAL, text)

    def require_active(self) -> None:
        """Raise NOT_ACTIVE with the reason when the node does not answer."""
        if not self.active:
            reason = f' ({self.failure})' if self.failure else ''
            name, state = self.get_fully_qualified_name(), self.state_label
            text = f'{name} is not active but {state}; configure and activate it{reason}'
            raise AffordanceError(Code.NOT_ACTIVE, text)

    @property
    def state_label(self) -> str:
        """'unconfigured', 'configuring', 'inactive', 'active', ..."""
        return str(self._state_machine.current_state[1])

    def _answer_transitions_always(self) -> None:
        """Answer a request for a transition in any case, and others while one is under way.

        rclpy raises for a transition that the state does not allow, so that whoever asked would wait for ever; and it
        would serve neither states nor parameters while a transition, such as loading a model, takes its time.
        """
        service = self._service_change_state
        change = service.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError as error:
                asked = request.transition.label or request.transition.id
                self.get_logger().warning(f'no transition {asked!r} from the state {self.state_label!r}: {error}')
                response.success = False
                return response

        service.callback, service.callback_group = answer, ReentrantCallbackGroup()  # the states are the lock
        service.callback_group.add_entity(service)

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
        result = self._transition('activate', self.activate, undo=self.deactivate)
        self.active = result == TransitionCallbackReturn.SUCCESS
        super().on_activate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate."""
        self.active = False
        super().on_deactivate(state)
        return self._release('deactivate', self.deactivate)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self.configured = False
        return self._release('clean up', self.stop)

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back for good."""
        self.active = self.configured = False
        return self._release('shut down', self._end)

    def on_error(self, _: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured after a failed transition."""
        self.active = self.configured = False
        return self._release('recover', self._end)

    def end(self, timeout_s: float) -> None:
        """Stop serving, let running requests tell so, and give everything back: the process is about to end."""
        self.active, self.ending = False, True
        deadline = time.monotonic() + timeout_s
        while self.busy() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._release('end', self._end)

    def _end(self) -> None:
        try:
            self.deactivate()
        finally:
            self.stop()

    def _transition(self, verb: str, step: Callable[[], None], undo: Callable[[], None] | None = None) -> Any:
        """Run a step; when it fails, undo what it has done, and the node stays in the state it was in."""
        if self.ending:  # a signal came while a transition was under way
            return TransitionCallbackReturn.FAILURE
        try:
            step()
        except Exception as error:  # rclpy would turn this into a state without a word
            if not self.ending:
                self._say(verb, error)
            if undo is not None:
                self._release('undo', undo)
            return TransitionCallbackReturn.FAILURE
        self.failure = ''
        return TransitionCallbackReturn.SUCCESS

    def _release(self, verb: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Run a step that gives something back; a failure takes the node to its error state, and from there back."""
        try:
            step()
        except Exception as error:
            self._say(verb, error)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _say(self, verb: str, error: Exception) -> None:
        """Log why a transition failed: a refusal with its sentence, a defect with its traceback."""
        known = isinstance(error, AffordanceError)
        why = error if known else AffordanceError(Code.INTERNAL, f'{type(error).__name__}: {error}')
        assert isinstance(why, AffordanceError)
        self.last_refusal, self.failure = why, why.message
        told = f': {why.code.name}: {why.message}' if known else f':\n{traceback.format_exc()}'
        self.get_logger().error(f'could not {verb}{told}')

    def _on_set_parameters(self, parameters: list[Any]) -> SetParametersResult:
        before = self.settings
        try:
            settings = changed(before, {entry.name: entry.value for entry in parameters})
            refuse_unless_live(before, settings, unconfigured=self.state_label == 'unconfigured')
            self.check(settings)
        except AffordanceError as error:
            return SetParametersResult(successful=False, reason=error.message)
        self.settings = settings
        self.apply()
        return SetParametersResult(successful=True)
