# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running a node as a process: executor, autostart, and an end by Ctrl-C or SIGTERM with status 0 and without noise."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from affordance_ros.errors import AffordanceError
from affordance_ros.memory import keep_freed_memory

TRANSPORT_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS')
PROFILES_HERE = ('DEFAULT_FASTRTPS_PROFILES.xml', 'DEFAULT_FASTDDS_PROFILES.xml')  # Fast DDS reads these by itself
ARENAS = 2  # for the memory of all threads of a node
SIGNALS = (signal.SIGINT, signal.SIGTERM)
END_S = 1.0  # how long running callbacks may take to notice the end


def prepare_transport() -> None:
    """Give Fast DDS room for images between processes, unless the user has set up its transports."""
    if not any(name in os.environ for name in TRANSPORT_VARIABLES) and not any(map(os.path.exists, PROFILES_HERE)):
        os.environ[TRANSPORT_VARIABLES[0]] = str(Path(__file__).with_name('fastdds_images.xml'))


def run_node(make: Callable[[], Any], threads: int = 4) -> None:
    """Spin a node until Ctrl-C or SIGTERM, then give everything back.

    MultiThreadedExecutor with callbacks that block: a request holds one thread while the worker process thinks, the
    number of requests is bounded below `threads`, and the others go on taking images and cancels. Coroutines are no
    way out here: this rclpy polls a waiting coroutine in a loop that takes a whole core.
    """
    # rclpy's own handlers shut the context down at once: running requests could not tell how they ended.
    prepare_transport()
    keep_freed_memory(ARENAS)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    hear, tell = os.pipe()  # a handler may interrupt itself: it must not take a lock
    for number in SIGNALS:
        signal.signal(number, lambda *_: os.write(tell, b'.'))
    try:
        node = make()
    except (AffordanceError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        rclpy.logging.get_logger('affordance_ros').fatal(f'the node cannot start: {error}')
        rclpy.shutdown()
        sys.exit(1)
    executor = MultiThreadedExecutor(threads)
    executor.add_node(node)
    if node.settings.autostart:
        timer = node.create_timer(
            0.0, lambda: (timer.cancel(), node.autostart()), callback_group=MutuallyExclusiveCallbackGroup()
        )
    closed = threading.Event()
    spinner = threading.Thread(target=_spin, args=(executor, node, closed))
    spinner.start()
    os.read(hear, 1)  # signals interrupt this, not a wait inside rclpy
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not cut the end short
    node.end(END_S)
    closed.set()
    executor.create_task(lambda: None)  # lets the spinner look at `closed`
    spinner.join()
    executor._executor.shutdown(cancel_futures=True)  # noqa: SLF001 - rclpy leaves callbacks running here
    executor.shutdown(timeout_sec=0)
    node.destroy_node()
    rclpy.shutdown()
    sys.exit(0)


def _spin(executor: MultiThreadedExecutor, node: Any, closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            executor.spin_once()
        except Exception:  # one bad callback must not end the node: rclpy raises here what any callback raised
            node.get_logger().error(f'a callback failed:\n{traceback.format_exc()}')
