# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An action client that loses no response when another thread spins.

rclpy 7.1 sends a request first and notes that it waits for the response afterwards. When the thread that spins takes
the response in between, it is thrown away ("Ignoring unexpected goal response") and the caller waits for ever. Service
clients hold a lock there; this gives action clients one too.
"""

import threading
from typing import Any

from rclpy.action import ActionClient


class SafeActionClient(ActionClient):
    """Holds responses back while a request is being sent."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._sending = threading.RLock()
        super().__init__(*arguments, **options)

    def send_goal_async(self, *arguments: Any, **options: Any) -> Any:
        """Send a goal; see ActionClient."""
        with self._sending:
            return super().send_goal_async(*arguments, **options)

    def _get_result_async(self, goal_handle: Any) -> Any:
        with self._sending:
            return super()._get_result_async(goal_handle)

    def _cancel_goal_async(self, goal_handle: Any) -> Any:
        with self._sending:
            return super()._cancel_goal_async(goal_handle)

    async def execute(self, taken_data: Any) -> None:
        """Hand out what has come, once the request that it may belong to is noted."""
        with self._sending:
            pass
        await super().execute(taken_data)
