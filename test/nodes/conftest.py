# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node tests share: a DDS domain of their own, nodes as processes, a client and a synthetic camera.

`suite` is what a test of the whole graph needs: `suite.start('scene_node', {...})`, `suite.client.wait_active(...)`,
`suite.client.call(...)`. Everything that was started ends with the test, and the logs are shown when it fails.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from affordance_ros.cli.domains import claim_domain
from affordance_ros.errors import Code

sys.path.insert(0, str(Path(__file__).parent))  # for node_processes, ros_client, synthetic_camera

PROFILE = Path(__file__).parents[2] / 'affordance_ros' / 'nodes' / 'fastdds_images.xml'
FAKE = {'model.name': 'fake'}


@pytest.fixture(scope='session')
def ros_domain(tmp_path_factory) -> Iterator[int]:
    """A domain that no other test run on this machine uses, and no network."""
    pytest.importorskip('rclpy')
    pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')
    domain = claim_domain()
    values = {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(PROFILE),
        'ROS_LOG_DIR': str(tmp_path_factory.mktemp('ros_logs')),
        'PYTHONUNBUFFERED': '1',
        'PYTHONFAULTHANDLER': '1',
        'OMP_NUM_THREADS': '1',
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    yield domain
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@dataclass
class Suite:
    """Processes and the client of one test or one module of tests."""

    processes: Any
    client: Any
    camera: Any = None

    def start(self, executable: str, parameters: dict | None = None, **options: Any) -> Any:
        """Start a node process; see NodeProcesses.start."""
        return self.processes.start(executable, parameters, **options)

    def start_camera(self, namespace: str = '') -> Any:
        """Start the synthetic camera."""
        from synthetic_camera import SyntheticCamera

        self.camera = SyntheticCamera(self.client, namespace)
        return self.camera

    def start_fake(self, affordance: dict | None = None, target: dict | None = None) -> None:
        """Start a camera if there is none, a fake affordance_node and target_node, and wait until they are active."""
        if self.camera is None:
            self.start_camera()
        self.start('affordance_node', FAKE | (affordance or {}))
        self.start('target_node', target)
        self.client.wait_active('/affordance_node', '/target_node')
        self.client.wait_for(self._joined, 60.0, 'the nodes finding each other')

    def _joined(self) -> bool:
        """Tell whether target_node reaches affordance_node."""
        from affordance_ros import srv

        name = '/target_node/get_grasp_targets'
        targets = self.client.call(srv.GetGraspTargets, name, query='nothing', timeout_s=1.0).targets
        return targets.outcome.code != Code.NOT_ACTIVE


def _suite(folder: Path, domain: int) -> Iterator[Suite]:
    from node_processes import NodeProcesses
    from ros_client import RosClient

    assert os.environ['ROS_DOMAIN_ID'] == str(domain)
    suite = Suite(NodeProcesses(folder), RosClient())
    try:
        yield suite
    finally:
        if suite.camera is not None:
            suite.camera.close()
        try:
            suite.processes.stop()
        finally:
            suite.client.close()
            print(suite.processes.logs())  # pytest shows it when the test fails


@pytest.fixture
def suite(ros_domain: int, tmp_path: Path) -> Iterator[Suite]:
    """An empty graph for one test."""
    yield from _suite(tmp_path, ros_domain)


@pytest.fixture(scope='module')
def module_suite(ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """An empty graph for all tests of a module."""
    yield from _suite(tmp_path_factory.mktemp('nodes'), ros_domain)


@pytest.fixture(scope='module')
def fake_suite(module_suite) -> Suite:
    """Camera, fake model and targets, active."""
    module_suite.start_fake({'model.options': '{"delay_s": 0.2}'})
    return module_suite
