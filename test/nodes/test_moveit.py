# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets as messages of MoveIt and stages of MTC: the wrist's pose, straight ways, postures, solids."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')

from geometry_msgs.msg import Pose  # noqa: E402
from moveit_stand_in import COLLISION, GRASP, PLACE, TRANSLATION, installed  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from affordance_ros import msg  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.geometry.transforms import inverse, pose_from  # noqa: E402
from affordance_ros.grasping.gripper import gripper_preset  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.nodes.moveit import (  # noqa: E402
    to_collision_objects,
    to_moveit_grasp,
    to_moveit_grasps,
    to_place_location,
)
from affordance_ros.nodes.mtc import ArmNames, grasp_alternatives, straight_way  # noqa: E402
from affordance_ros.results import Contact, GraspTarget, Obstacle, PlaceTarget  # noqa: E402

pytestmark = pytest.mark.ros
HEAD = Header(frame_id='base')
# A hand that comes down on (0.5, 0.1, 0.2) of the base: z of the TCP is down.
DOWN = pose_from((0.5, 0.1, 0.2), (1.0, 0.0, 0.0, 0.0))


@pytest.fixture(autouse=True)
def moveit() -> Iterator[None]:
    with installed():
        yield


def contact() -> Contact:
    return Contact((0.5, 0.1, 0.2), (0, 0, 1), (1, 0, 0), 0.5, 0.008, np.eye(3) * 1e-6, (1.0, 2.0))


def target(gripper: str = 'panda', score: float = 0.75) -> GraspTarget:
    before, after = DOWN.copy(), DOWN.copy()
    before[2, 3] += 0.08
    after[2, 3] += 0.10
    hand = gripper_preset(gripper)
    return GraspTarget(
        contact(),
        DOWN,
        before,
        after,
        width_m=0.03,
        width_is_lower_bound=False,
        depth_m=0.01,
        clearance_m=0.01,
        score=score,
        sub_scores={'a': score},
        gripper=gripper,
        opening_m=0.05,
        wrist=hand.wrist_pose(DOWN),
        wrist_frame=hand.wrist_frame,
    )


def answer(*targets: GraspTarget) -> msg.GraspTargetArray:
    found = [convert.target_message(item, np.eye(4)) for item in targets]
    return msg.GraspTargetArray(header=HEAD, request_id='r7', targets=found)


def vector(message: object) -> np.ndarray:
    return np.array([getattr(message, axis) for axis in 'xyz'])


def test_the_pose_of_a_grasp_is_that_of_the_wrist() -> None:
    grasp = to_moveit_grasp(answer(target()).targets[0], HEAD)
    wrist = convert.matrix_from_pose(grasp.grasp_pose.pose)
    assert grasp.grasp_pose.header.frame_id == 'base'
    # The hand of a Panda ends 103.4 mm before its fingertips, and points down here.
    np.testing.assert_allclose(wrist[:3, 3], (0.5, 0.1, 0.2 + 0.1034), atol=1e-9)
    np.testing.assert_allclose(wrist @ gripper_preset('panda').wrist_from_tcp, DOWN, atol=1e-9)
    assert grasp.grasp_quality == 0.75


def test_ways_in_and_out_are_straight_and_have_their_lengths() -> None:
    grasp = to_moveit_grasp(answer(target()).targets[0], HEAD)
    np.testing.assert_allclose(vector(grasp.pre_grasp_approach.direction.vector), (0, 0, -1), atol=1e-9)
    np.testing.assert_allclose(vector(grasp.post_grasp_retreat.direction.vector), (0, 0, 1), atol=1e-9)
    assert grasp.pre_grasp_approach.direction.header.frame_id == 'base'
    assert grasp.pre_grasp_approach.desired_distance == pytest.approx(0.08)
    assert grasp.post_grasp_retreat.desired_distance == pytest.approx(0.10)
    assert 0 < grasp.pre_grasp_approach.min_distance < grasp.pre_grasp_approach.desired_distance


@pytest.mark.parametrize(
    ('gripper', 'open_at', 'closed_at'),
    [
        ('panda', {'panda_finger_joint1': 0.025, 'panda_finger_joint2': 0.025}, {'panda_finger_joint1': 0.015}),
        ('robotiq_2f_85', {'robotiq_85_left_knuckle_joint': 0.8 * (1 - 50 / 85)}, {}),
        ('robotiq_2f_140', {'finger_joint': 0.7 * (1 - 50 / 140)}, {'finger_joint': 0.7 * (1 - 30 / 140)}),
        ('suction', {}, {}),
    ],
)
def test_postures_name_the_joints_of_the_gripper(gripper: str, open_at: dict, closed_at: dict) -> None:
    grasp = to_moveit_grasp(answer(target(gripper)).targets[0], HEAD)
    before, after = (
        dict(zip(posture.joint_names, posture.points[0].positions if posture.points else [], strict=True))
        for posture in (grasp.pre_grasp_posture, grasp.grasp_posture)
    )
    assert before == pytest.approx(open_at)
    assert {name: after[name] for name in closed_at} == pytest.approx(closed_at)


def test_every_target_becomes_a_grasp_best_first_with_its_own_id() -> None:
    grasps = to_moveit_grasps(answer(target(score=0.9), target(score=0.4)), touch=('target_0',))
    assert [grasp.grasp_quality for grasp in grasps] == [0.9, pytest.approx(0.4)]
    assert [grasp.id for grasp in grasps] == ['r7_0', 'r7_1']
    assert grasps[0].allowed_touch_objects == ['target_0']


def test_a_target_without_a_wrist_is_refused_by_name() -> None:
    blind = answer(replace(target(), wrist=None))
    for convert_it in (lambda: to_moveit_grasps(blind), lambda: grasp_alternatives(blind, 'now')):
        with pytest.raises(AffordanceError, match='panda') as caught:
            convert_it()
        assert caught.value.code == Code.BAD_INPUT


def test_a_place_goes_down_along_the_normal() -> None:
    slanted = pose_from((0.3, 0.0, 0.1), (np.sin(np.radians(5)), 0, 0, np.cos(np.radians(5))))
    place = convert.place_message(PlaceTarget(contact(), slanted, 0.04, 0.03, 0.5, {}), np.eye(4))
    found = to_place_location(place, Pose(), HEAD, gripper_preset('panda'))
    np.testing.assert_allclose(vector(found.pre_place_approach.direction.vector), -slanted[:3, 2], atol=1e-9)
    np.testing.assert_allclose(vector(found.post_place_retreat.direction.vector), slanted[:3, 2], atol=1e-9)
    assert list(found.post_place_posture.points[0].positions) == [0.04, 0.04]
    assert found.quality == 0.5


def test_solids_become_collision_objects() -> None:
    corners = np.array([(0, 0, 0), (0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1)])
    faces = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
    solids = (Obstacle('table', DOWN, (1.0, 0.5, 0.02)), Obstacle('target_0', DOWN, None, corners, faces))
    array = answer(target())
    array.obstacles = [convert.obstacle_message(solid, np.eye(4)) for solid in solids]
    table, held = to_collision_objects(array)
    assert (table.id, held.id, table.header.frame_id) == ('table', 'target_0', 'base')
    assert list(table.primitives[0].dimensions) == [1.0, 0.5, 0.02]
    assert len(table.primitive_poses) == len(table.primitives) == len(held.mesh_poses) == 1
    assert len(held.meshes[0].triangles) == 4
    assert list(held.meshes[0].triangles[3].vertex_indices) == [1, 2, 3]
    np.testing.assert_allclose(convert.matrix_from_pose(table.pose), DOWN, atol=1e-12)


def test_every_target_is_an_alternative_with_its_cost() -> None:
    array = answer(target(score=0.9), target(score=0.4))
    container = grasp_alternatives(array, 'current state', ArmNames('arm', 'gripper', 2))
    assert [stage.cost(None) for stage in container.children] == pytest.approx([0.1, 0.6])
    for stage, wanted in zip(container.children, array.targets, strict=True):
        assert stage.child.monitored == 'current state'
        assert stage.child.pose.pose == wanted.wrist
        assert stage.child.pose.header.frame_id == 'base'
        # The frame that is brought to the pose is the wrist, whose pose it is.
        assert stage.ik_frame.header.frame_id == 'panda_hand'
        assert stage.ik_frame.pose == Pose()
        assert (stage.group, stage.eef, stage.max_ik_solutions) == ('arm', 'gripper', 2)
        assert stage.properties.sources == {'target_pose': 'interface'}
    with pytest.raises(AffordanceError, match='no target'):
        grasp_alternatives(answer(), 'current state')


def test_straight_ways_for_relative_moves() -> None:
    item = answer(target()).targets[0]
    come, far = straight_way(item, HEAD, lift=False)
    up, high = straight_way(item, HEAD, lift=True)
    np.testing.assert_allclose((vector(come.vector), vector(up.vector)), ((0, 0, -1), (0, 0, 1)), atol=1e-9)
    assert (far, high) == (pytest.approx(0.08), pytest.approx(0.10))
    assert come.header.frame_id == 'base'


def test_the_stand_in_is_what_the_real_package_has() -> None:
    real = pytest.importorskip('moveit_msgs.msg')
    if not hasattr(real.Grasp, 'get_fields_and_field_types'):
        pytest.skip('moveit_msgs is not installed')
    for name, fields in (
        ('Grasp', GRASP),
        ('PlaceLocation', PLACE),
        ('GripperTranslation', TRANSLATION),
        ('CollisionObject', COLLISION),
    ):
        # The type of an object in a data base is the one field that the stand-in leaves out.
        assert set(getattr(real, name).get_fields_and_field_types()) - {'type'} == set(fields)


def test_poses_keep_their_sense() -> None:
    """The TCP of a message is the one of the wrist turned back: nobody mixes target_from and from_target."""
    item = answer(target()).targets[0]
    wrist, tcp = convert.matrix_from_pose(item.wrist), convert.matrix_from_pose(item.grasp)
    np.testing.assert_allclose(inverse(wrist) @ tcp, gripper_preset('panda').wrist_from_tcp, atol=1e-9)
