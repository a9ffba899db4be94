# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running a node as a process: executor, autostart, and an end by Ctrl-C or SIGTERM with status 0 and without noise."""

import sys
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor

from affordance_ros.errors import AffordanceError


def run_node(make: Callable[[], Any], threads: int = 4) -> None:
    """Spin a node until Ctrl-C or SIGTERM, then give everything back.

    MultiThreadedExecutor with callbacks that block: a request holds one thread while the worker process thinks, the
    number of requests is bounded below `threads`, and the others go on taking images and cancels. Coroutines are no
    way out here: this rclpy polls a waiting coroutine in a loop that takes a whole core.
    """
    rclpy.init()
    status = 0
    try:
        node = make()
    except (AffordanceError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        rclpy.logging.get_logger('affordance_ros').fatal(f'the node cannot start: {error}')
        rclpy.try_shutdown()
        sys.exit(1)
    executor = MultiThreadedExecutor(threads)
    executor.add_node(node)
    if node.settings.autostart:
        timer = node.create_timer(
            0.0, lambda: (timer.cancel(), node.autostart()), callback_group=MutuallyExclusiveCallbackGroup()
        )
    try:
        _spin(executor, node)
    finally:
        node.active = False
        node.deactivate()
        node.stop()
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
    sys.exit(status)


def _spin(executor: MultiThreadedExecutor, node: Any) -> None:
    while rclpy.ok():
        try:
            executor.spin_once()
        except (KeyboardInterrupt, ExternalShutdownException):
            return  # the way to end a node
        except Exception:  # one bad callback must not end the node: rclpy raises here what any callback raised
            if rclpy.ok():
                node.get_logger().error(f'a callback failed:\n{traceback.format_exc()}')
