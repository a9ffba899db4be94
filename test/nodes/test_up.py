# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance up` starts the graph of a parameter file, keeps it alive, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from ros_client import RosClient  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import Code  # noqa: E402

pytestmark = pytest.mark.ros
PARAMETERS = {
    '/**/scene_node': {'ros__parameters': {'scene.seed': 5, 'scene.must_have': 'red mug', 'scene.noise': False}},
    '/**/affordance_node': {'ros__parameters': {'model.name': 'fake', 'tf.target_frame': 'table', 'tf.timeout_s': 1.0}},
    '/**/target_node': {'ros__parameters': {'gripper': 'panda'}},
}


class Up:
    """One run of the command; `text` is what it has written."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._log = folder / 'up.log'
        command = [sys.executable, '-c', 'from affordance_ros.cli import main; main()', 'up', *words]
        with self._log.open('wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def text(self) -> str:
        return self._log.read_text(errors='replace')

    def descendants(self) -> dict[int, str]:
        """Return the processes under it and their command lines, in full: readline, once imported, sets COLUMNS=80."""
        listed = subprocess.run(['ps', '-eww', '-o', 'pid=,ppid=,args='], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        found, parents = {}, {self.process.pid}
        while parents:
            new = {int(row[0]): row[2] for row in rows if int(row[1]) in parents}
            found |= new
            parents = set(new)
        return found

    def pid_of(self, node: str) -> int | None:
        """Return the process of a node, None when there is none."""
        found = (pid for pid, words in self.descendants().items() if f'affordance_ros.nodes.{node}' in words)
        return next(found, None)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for yet has ended."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def started(folder: Path, *words: str) -> Iterator[Up]:
    up = Up(folder, *words)
    try:
        yield up
    finally:
        left = up.descendants()
        up.process.kill()
        up.process.wait()
        for pid in left:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        print(up.text[-4000:])


@pytest.fixture
def up(ros_domain: int, tmp_path: Path) -> Iterator[Up]:
    assert os.environ['ROS_DOMAIN_ID'] == str(ros_domain)
    file = tmp_path / 'robot.yaml'
    file.write_text(yaml.safe_dump(PARAMETERS))
    yield from started(tmp_path, '--params', str(file), '--scene', '--namespace', 'robot1')


def ask(suite):
    return suite.client.call(
        srv.GetGraspTargets, '/robot1/target_node/get_grasp_targets', query='point at 320,240', timeout_s=10.0
    ).targets


def test_it_serves_survives_a_dead_node_and_ends_without_a_trace(suite, up) -> None:
    client = suite.client
    nodes = [f'/robot1/{name}' for name in ('scene_node', 'affordance_node', 'target_node', 'overlay_node')]
    client.wait_active(*nodes)
    client.wait_for(lambda: ask(suite).outcome.code not in (Code.NOT_ACTIVE, Code.NO_IMAGE, Code.TF), 60.0, 'an answer')
    before = client.wait_for(lambda: up.pid_of('target_node'), what='the process')  # kill(0) would end the tests
    os.kill(before, signal.SIGKILL)
    client.wait_for(lambda: 'target_node ended with status -9; it starts again' in up.text, what='the note')
    client.wait_for(lambda: up.pid_of('target_node') not in (None, before), what='the new process')
    fresh = RosClient('fresh_client')  # it has never heard of the process that was killed
    try:
        fresh.wait_active('/robot1/target_node')
    finally:
        fresh.close()
    left = up.descendants()
    assert len(left) >= 5  # four nodes and the model
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(15.0) == 0
    assert [words for pid, words in left.items() if alive(pid)] == []


@pytest.mark.usefixtures('ros_domain')
def test_nodes_end_with_it_even_when_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(yaml.safe_dump(PARAMETERS))
    for up in started(tmp_path, '--params', str(file)):
        deadline = time.monotonic() + 60.0
        while 'fake is loaded' not in up.text and time.monotonic() < deadline:
            time.sleep(0.05)
        left = up.descendants()
        assert len(left) >= 4, up.text  # three nodes and the model
        up.process.kill()
        up.process.wait()
        while any(map(alive, left)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [words for pid, words in left.items() if alive(pid)] == []


@pytest.mark.usefixtures('ros_domain')
def test_a_node_that_cannot_start_ends_it_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / 'bad.yaml'
    file.write_text(yaml.safe_dump({'/**/affordance_node': {'ros__parameters': {'model.threads': 'many'}}}))
    for up in started(tmp_path, '--params', str(file), '--no-respawn'):
        assert up.process.wait(60.0) == 1
        assert 'model.threads' in up.text
        assert 'affordance_node ended with status 1; everything ends' in up.text


@pytest.mark.usefixtures('ros_domain')
@pytest.mark.parametrize(
    ('text', 'named'), [('affordance_node: 3', 'ros__parameters'), ('a: [', 'no YAML')], ids=['no nodes', 'no YAML']
)
def test_a_file_that_is_no_parameter_file_is_refused(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / 'bad.yaml'
    file.write_text(text)
    for up in started(tmp_path, '--params', str(file)):
        assert up.process.wait(60.0) == 2
        assert named in ' '.join(up.text.split())


@pytest.mark.parametrize('namespace', ['', 'robot1'])
def test_arguments_win_over_the_parameter_file_of_the_package(suite, tmp_path: Path, namespace: str) -> None:
    words = ('--checkpoint', str(tmp_path / 'not_there'), '--gripper', 'panda', '--namespace', namespace)
    for up in started(tmp_path, *words):
        names = [f'{"/" + namespace if namespace else ""}/{name}' for name in ('affordance_node', 'target_node')]
        assert suite.client.get_parameters(names[1], 'gripper') == ['panda']
        assert suite.client.get_parameters(names[0], 'model.checkpoint') == [str(tmp_path / 'not_there')]
        suite.client.wait_for(lambda: 'MISSING_WEIGHTS' in up.text, 60.0, 'the refusal of the checkpoint')  # noqa: B023


@pytest.mark.usefixtures('ros_domain')
def test_a_misspelled_node_in_the_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(yaml.safe_dump({'/**/affordance_nod': {'ros__parameters': {'model.name': 'fake'}}}))
    for up in started(tmp_path, '--params', str(file), '--model', 'fake'):
        deadline = time.monotonic() + 60.0
        while 'fake is loaded' not in up.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert 'no node here is called affordance_nod' in up.text
        assert 'did you mean affordance_node?' in up.text
