# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The examples for planners work against the real graph: a client, a pick with MoveIt's calls, a behaviour tree."""

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from affordance_ros.action import PlanGrasps  # noqa: E402
from synthetic_camera import ON_BAR, TOP_M, Shot  # noqa: E402

from affordance_ros import srv  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402

pytestmark = pytest.mark.ros
EXAMPLES = Path(__file__).parents[2] / 'examples'
ASK = f'point at {ON_BAR[0]:.0f},{ON_BAR[1]:.0f}'
STEPS = ['open', 'pregrasp', 'grasp', 'close', 'lift']


def example(name: str):
    """Import an example."""
    sys.path.insert(0, str(EXAMPLES))  # they import each other
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f'{name}.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def planner(fake_suite):
    """The client of the example, on the graph of the fake suite."""
    client = example('grasp_client').GraspClient(context=fake_suite.client.context)
    yield client
    client.close()


class RecordingArm:
    """Notes what it is told; `on_move` is called with the number of the move and says whether there is a way."""

    def __init__(self, on_move=lambda _: True) -> None:
        self.moves, self.openings, self._on_move = [], [], on_move

    def move(self, pose, link: str) -> bool:
        self.moves.append((link, pose.header.frame_id, convert.matrix_from_pose(pose.pose)))
        return self._on_move(len(self.moves))

    def set_opening(self, opening_m: float) -> None:
        self.openings.append(opening_m)


def shown(suite, scale: float) -> bool:
    """Let the camera show everything farther away and wait until the node sees it."""
    suite.camera.shot = Shot(scale=scale)

    def seen() -> bool:
        response = suite.client.call(srv.GetSnapshot, '/affordance_node/get_snapshot', timeout_s=5.0)
        nearest = float(np.nanmin(np.frombuffer(response.evidence.depth.data, np.float32)))
        return nearest == pytest.approx(scale * TOP_M, abs=0.002)

    return suite.client.wait_for(seen, what='the new image')


def test_the_client_asks_tells_and_looks_again(planner) -> None:
    told = []
    targets = planner.plan(PlanGrasps.Goal(query=ASK, gripper='panda', timeout_s=10.0), told.append)
    assert targets.targets[0].gripper == 'panda'
    assert any(item.text for item in told)
    assert planner.verify(targets.header, targets.targets[0]).shift_m < 0.002
    with pytest.raises(AffordanceError) as refused:
        planner.plan(PlanGrasps.Goal(query='nothing', timeout_s=10.0))
    assert refused.value.code == Code.EMPTY_MODEL_OUTPUT


def test_the_client_gives_up_and_the_suite_serves_on(planner) -> None:
    begun = time.monotonic()
    with pytest.raises(AffordanceError) as refused:
        planner.plan(PlanGrasps.Goal(query=ASK, timeout_s=10.0), stop=lambda: time.monotonic() - begun > 0.1)
    assert refused.value.code == Code.CANCELED
    assert planner.plan(PlanGrasps.Goal(query=ASK, timeout_s=10.0)).targets


def test_a_pick_goes_before_the_part_grasps_and_lifts(planner) -> None:
    arm = RecordingArm()
    target = example('moveit_pick').pick(planner, arm, PlanGrasps.Goal(query=ASK, gripper='panda', timeout_s=10.0))
    assert {(link, frame) for link, frame, _ in arm.moves} == {('panda_hand', 'camera_optical_frame')}
    before, at, lifted = (pose for _, _, pose in arm.moves)
    np.testing.assert_allclose(at, convert.matrix_from_pose(target.wrist), atol=1e-9)
    way = at[:3, 3] - before[:3, 3]
    approach = np.array([target.approach.x, target.approach.y, target.approach.z])
    np.testing.assert_allclose(way / np.linalg.norm(way), approach, atol=1e-6)
    assert np.linalg.norm(way) > 0.03
    assert np.linalg.norm(lifted[:3, 3] - at[:3, 3]) > 0.03
    assert arm.openings == [target.opening_m, target.width_m]


def test_what_is_out_of_reach_gives_way_to_the_next_best(planner) -> None:
    arm = RecordingArm(lambda number: number > 1)
    goal = PlanGrasps.Goal(query='point at 320,240 and at 320,180', timeout_s=10.0)
    best, second = planner.plan(goal).targets[:2]
    picked = example('moveit_pick').pick(planner, arm, goal)
    assert picked.contact.v == second.contact.v != best.contact.v
    assert len(arm.moves) == 4
    with pytest.raises(AffordanceError, match='no target could be reached'):
        example('moveit_pick').pick(planner, RecordingArm(lambda _: False), goal)


def test_an_object_that_moves_before_the_hand_is_asked_about_anew(fake_suite, planner) -> None:
    arm = RecordingArm(lambda number: number > 1 or shown(fake_suite, 1.06))
    try:
        picked = example('moveit_pick').pick(planner, arm, PlanGrasps.Goal(query=ASK, timeout_s=10.0))
        assert len(arm.moves) == 4  # before it, before it where it is now, grasp, lift
        assert picked.contact.point.z == pytest.approx(1.06 * TOP_M, abs=0.003)
    finally:
        shown(fake_suite, 1.0)


@pytest.mark.usefixtures('fake_suite')
def test_a_dry_run_tells_the_moves() -> None:
    command = [sys.executable, str(EXAMPLES / 'moveit_pick.py'), ASK, '--dry-run', '--gripper', 'panda']
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ['open', 'move', 'move', 'open', 'move', 'holding']
    assert 'move panda_hand to (' in done.stdout


def test_ctrl_c_cancels_the_question(fake_suite) -> None:
    client, node = fake_suite.client, fake_suite.processes.running[0]
    fake_suite.camera.shot = Shot(color=False, depth=False, info=False)
    assert client.change('/affordance_node', 4)
    assert client.change('/affordance_node', 3)  # it has seen no image now and waits for one
    before = node.text.count('CANCELED')
    command = [sys.executable, '-u', str(EXAMPLES / 'grasp_client.py'), ASK]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            assert asking.stdout.readline().startswith('waiting')
            asking.send_signal(signal.SIGINT)
            assert asking.wait(20.0) == 0
            assert asking.stdout.read().strip().endswith('canceled')
        client.wait_for(lambda: node.text.count('CANCELED') > before, what='the cancel')
    finally:
        fake_suite.camera.shot = Shot()


@pytest.fixture
def tree_node(fake_suite):
    """A node in the default context, as in a program of one's own."""
    pytest.importorskip('py_trees')
    rclpy.init()
    node = rclpy.create_node('pick_tree')
    yield fake_suite, node
    node.destroy_node()
    rclpy.shutdown()


def test_a_behaviour_tree_picks(tree_node) -> None:
    _, node = tree_node
    trees, arm = example('pick_tree'), RecordingArm()
    tree = trees.pick_tree(PlanGrasps.Goal(query=ASK, timeout_s=10.0), arm)
    assert trees.run(tree, node, 30.0) == trees.Status.SUCCESS
    assert len(arm.moves) == 3
    assert arm.openings[0] > arm.openings[1]


def test_a_behaviour_tree_begins_anew_when_the_object_has_moved(tree_node) -> None:
    suite, node = tree_node
    trees = example('pick_tree')
    arm = RecordingArm(lambda number: number > 1 or shown(suite, 1.06))
    tree = trees.pick_tree(PlanGrasps.Goal(query=ASK, timeout_s=10.0), arm)
    try:
        assert trees.run(tree, node, 30.0) == trees.Status.SUCCESS
        assert len(arm.moves) == 4
    finally:
        shown(suite, 1.0)


def test_a_behaviour_tree_that_finds_nothing_says_why(tree_node) -> None:
    _, node = tree_node
    trees = example('pick_tree')
    tree = trees.pick_tree(PlanGrasps.Goal(query='nothing', timeout_s=10.0), RecordingArm(), attempts=2)
    assert trees.run(tree, node, 30.0) == trees.Status.FAILURE
    asked = next(each for each in tree.iterate() if each.name == 'ask for grasps')
    assert 'found nothing' in asked.feedback_message
