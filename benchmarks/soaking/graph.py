# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph of the soak as processes on a DDS domain of its own, and a client of it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros.cli.domains import claim_domain

ROOT = Path(__file__).resolve().parents[2]
LIFTED = 60  # codes from here on are about what was seen
CLEAN = 'point at 640,360'
WARM, PAUSE_S = 5, 0.02
LATE_S = 6.0  # how long after its time-out an answer may come before the request counts as lost
NODES = {
    'affordance_node': ['model.name:=fake', 'tf.target_frame:=base', 'run.max_pending:=2', 'run.wait_image_s:=1.0'],
    'target_node': ['run.max_requests:=3'],
    'overlay_node': [],
}


def percentile(values: list[float], point: float) -> float:
    """Return a percentile, NaN of nothing."""
    return float(np.percentile(values, point)) if values else float('nan')


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, 0 when it is gone."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident(pid: int) -> int:
    """Return the memory of a process that is no file and no shared memory, in bytes."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith('RssAnon'))


class Graph:
    """Nodes and camera while it is open; `ask` and `plan` from any thread."""

    def __init__(self, folder: Path, rate: float) -> None:
        os.environ |= {
            'ROS_DOMAIN_ID': str(claim_domain()),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(folder),
            'OMP_NUM_THREADS': '1',
        }
        from affordance_ros.nodes.running import prepare_transport

        prepare_transport()
        commands = {
            name: ['-m', f'affordance_ros.nodes.{name}', '--ros-args', *(x for p in values for x in ('-p', p))]
            for name, values in NODES.items()
        }
        commands['camera'] = [str(ROOT / 'benchmarks' / 'soaking' / 'camera.py'), str(rate)]
        self._processes = {}
        for name, command in commands.items():
            with (folder / f'{name}.log').open('wb') as log:
                self._processes[name] = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, cwd=ROOT)
        self._folder = folder

    def __enter__(self) -> 'Graph':
        import rclpy
        from affordance_ros.action import PlanGrasps
        from rclpy.callback_groups import ReentrantCallbackGroup
        from std_msgs.msg import String

        from affordance_ros import srv
        from affordance_ros.nodes.action_client import SafeActionClient

        rclpy.init()
        self._node = rclpy.create_node('soak_client')
        group = ReentrantCallbackGroup()
        self._get = self._node.create_client(
            srv.GetGraspTargets, '/target_node/get_grasp_targets', callback_group=group
        )
        self._plan = SafeActionClient(self._node, PlanGrasps, '/target_node/plan_grasps', callback_group=group)
        self._fault = self._node.create_publisher(String, '/fault', 10)
        self._executor = rclpy.executors.SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        import rclpy

        for process in self._processes.values():
            process.terminate()
        for name, process in self._processes.items():
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                print(f'{name} did not end', file=sys.stderr)
                process.kill()
        # A thread that still spins while the interpreter ends would abort the process.
        self._executor.shutdown(timeout_sec=5.0)
        self._thread.join(10.0)
        self._plan.destroy()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def wait_active(self) -> None:
        """Wait until an answer comes."""
        deadline = time.monotonic() + 90.0
        assert self._get.wait_for_service(60.0), 'target_node is not there'
        time.sleep(1.0)
        while time.monotonic() < deadline:
            targets = self.ask(CLEAN, 5.0)
            if answered(targets):
                return
            time.sleep(0.3)
        raise SystemExit((self._folder / 'affordance_node.log').read_text()[-3000:])

    def serves(self) -> bool:
        """Tell whether the graph still answers, given a few seconds to recover."""
        for _ in range(10):
            targets = self.ask(CLEAN, 5.0)
            if answered(targets):
                return True
            time.sleep(0.5)
        return False

    def ask(self, query: str, timeout_s: float) -> Any:
        """Return the targets of the service, None when no response comes."""
        from affordance_ros import srv

        future = self._get.call_async(srv.GetGraspTargets.Request(query=query, timeout_s=timeout_s))
        response = _wait(future, timeout_s + LATE_S)
        if response is None:
            self._get.remove_pending_request(future)
        return None if response is None else response.targets

    def plan(self, query: str, timeout_s: float, cancel_after_s: float | None) -> Any:
        """Return the targets of the action, None when no result comes; cancel on the way when told to."""
        from affordance_ros.action import PlanGrasps

        handle = _wait(self._plan.send_goal_async(PlanGrasps.Goal(query=query, timeout_s=timeout_s)), LATE_S)
        if handle is None:
            return None
        result = handle.get_result_async()
        if cancel_after_s is not None:
            time.sleep(cancel_after_s)
            _wait(handle.cancel_goal_async(), LATE_S)
        response = _wait(result, timeout_s + LATE_S)
        return None if response is None else response.result.targets

    def code_name(self, targets: Any) -> str:
        """Return the name of an outcome."""
        from affordance_ros.errors import Code

        return Code(targets.outcome.code).name

    def fault(self, name: str) -> None:
        """Tell the camera what to do wrong."""
        from std_msgs.msg import String

        self._fault.publish(String(data=name))

    def worker(self) -> int:
        """Return the process of the model, 0 when there is none."""
        listed = subprocess.run(
            ['ps', '-o', 'pid=', '--ppid', str(self._processes['affordance_node'].pid)], capture_output=True, text=True
        )
        return int((listed.stdout.split() or ['0'])[0])

    def cpu(self) -> dict[str, float]:
        """Return CPU seconds so far of every node."""
        return {name: cpu_seconds(self._processes[name].pid) for name in NODES}

    def cpu_share(self, seconds: float) -> dict[str, float]:
        """Return the share of one core that every node takes while nothing is asked."""
        before = self.cpu()
        time.sleep(seconds)
        return {name: (cpu - before[name]) / seconds for name, cpu in self.cpu().items()}

    def clean_requests(self, count: int, idle: dict[str, float]) -> dict[str, list[float]]:
        """Ask one after the other without faults; the first five warm up.

        Returns:
            Seconds per request: 'whole', 'overhead' (whole without what the model took in its process), and 'cpu', one
            number: CPU time of all nodes per request, without what they take while `idle`.
        """
        whole, overhead = [], []
        for number in range(count + WARM):
            if number == WARM:
                before, begun = self.cpu(), time.monotonic()
            start = time.perf_counter()
            targets = self.ask(CLEAN, 20.0)
            seconds = time.perf_counter() - start
            if not answered(targets) or number < WARM:
                continue
            stages = {stage.stage: stage.seconds for stage in targets.stages}
            whole.append(seconds)
            overhead.append(seconds - stages.get('total', 0.0))
            time.sleep(PAUSE_S)
        elapsed = time.monotonic() - begun
        spent = sum(cpu - before[name] - idle[name] * elapsed for name, cpu in self.cpu().items())
        return {'whole': whole, 'overhead': overhead, 'cpu': [spent / max(1, len(whole))]}

    def memory(self) -> dict[str, int]:
        """Return the bytes of every node."""
        return {name: resident(self._processes[name].pid) for name in NODES}


def answered(targets: Any) -> bool:
    """Tell whether the model was asked and its answer was lifted, whatever came of it."""
    return targets is not None and (targets.outcome.code == 0 or targets.outcome.code >= LIFTED)


def _wait(future: Any, seconds: float) -> Any:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return future.result() if done.wait(seconds) else None
