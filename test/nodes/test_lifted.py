# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What target_node makes of one answer, without a graph: targets, places, paths and solids in the target frame."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('affordance_ros.msg', reason='the interfaces are not built: make setup')

from synthetic_depth import cylinder, frame_of, plane, slab  # noqa: E402

from affordance_ros import msg  # noqa: E402
from affordance_ros.geometry.transforms import pose_from  # noqa: E402
from affordance_ros.nodes import conversions as convert  # noqa: E402
from affordance_ros.nodes.evidence import evidence_message  # noqa: E402
from affordance_ros.nodes.lifted import lift_evidence, pipeline_settings  # noqa: E402
from affordance_ros.nodes.parameters import TargetParameters  # noqa: E402
from affordance_ros.results import Frame, Keypoints, Prediction, Query, Trace  # noqa: E402

pytestmark = pytest.mark.ros
TABLE = plane((0, 0, 0.75), (0, 0, -1))
SCENE = frame_of(TABLE, cylinder(0.70, 0.012, 0.09), slab(0.68, 0.02, 0.02))
# The camera looks straight down from 75 cm above the table of the base.
POSE = pose_from((0.4, 0.0, 0.75), (1.0, 0.0, 0.0, 0.0))
BAR, BLOCK, FREE = (370.0, 240.0), (320.0, 240.0), (320.0, 420.0)


def frame() -> Frame:
    return replace(SCENE, target_from_camera=POSE, target_frame='base', frame_id='camera', stamp_ns=5_000_000_000)


def lifted(*predictions: Prediction, settings: TargetParameters | None = None):  # noqa: ANN201
    asked = [convert.affordance_message(prediction) for prediction in predictions]
    array = msg.AffordanceArray(header=convert.header_of(frame()), request_id='r1', model='fake', affordances=asked)
    return lift_evidence(evidence_message(frame(), array, None), pipeline_settings(settings or TargetParameters()))


def point(text: str, pixel: tuple[float, float]) -> Prediction:
    return Prediction('fake', Query(text=text), keypoints=Keypoints(np.array([pixel])))


def test_targets_are_in_the_target_frame_with_their_wrist() -> None:
    array, path = lifted(point('take the bar', BAR), settings=TargetParameters(gripper='panda', per_contact=3))
    assert path is None
    assert array.header.frame_id == 'base'
    assert array.outcome.code == 0
    scores = [target.score for target in array.targets]
    assert 1 <= len(scores) <= 3
    assert scores == sorted(scores, reverse=True)
    best = array.targets[0]
    assert 0.0 < best.grasp.position.z < 0.08  # on the table, whose height is 0
    assert best.wrist.position.z - best.grasp.position.z == pytest.approx(0.1034, abs=0.03)
    assert best.wrist_frame == 'panda_hand'
    assert best.approach.z < -0.7
    assert array.obstacles == []


def test_a_question_for_a_place_gives_places_only() -> None:
    array, _ = lifted(point('put the cup down here', FREE))
    assert (array.outcome.code, array.targets) == (0, [])
    (place,) = array.places
    up = convert.matrix_from_pose(place.pose)[:3, 2]
    np.testing.assert_allclose(up, (0, 0, 1), atol=0.03)
    assert place.pose.position.z == pytest.approx(0, abs=0.003)


def test_solids_keep_the_number_of_their_target_over_questions() -> None:
    settings = TargetParameters(obstacles=True)
    array, _ = lifted(point('take the bar', BAR), point('take the block', BLOCK), settings=settings)
    assert {target.query_index for target in array.targets} == {0, 1}
    names = [item.id for item in array.obstacles]
    assert names == ['table', *(f'target_{index}' for index in range(len(array.targets)))]
    for target, solid in zip(array.targets, array.obstacles[1:], strict=True):
        where = convert.matrix_from_pose(solid.pose)[:3, 3]
        corners = where + [(vertex.x, vertex.y, vertex.z) for vertex in solid.meshes[0].vertices]
        held = (target.contact.point.x, target.contact.point.y)
        assert (corners[:, :2].min(axis=0) - 0.01 <= held).all()
        assert (held <= corners[:, :2].max(axis=0) + 0.01).all()
    slab_top = array.obstacles[0].pose.position.z + array.obstacles[0].primitives[0].dimensions[2] / 2
    assert slab_top == pytest.approx(-0.002, abs=0.002)


def test_a_trace_becomes_a_timed_path_above_the_table() -> None:
    trace = Trace(np.array([BAR, (360.0, 300.0), (340.0, 360.0), FREE]), 'push')
    array, path = lifted(Prediction('fake', Query(text='push it'), traces=(trace,)))
    assert path is not None
    assert path.header.frame_id == 'base'
    assert len(path.poses) == 4
    stamps = [convert.nanoseconds_of(pose.header.stamp) for pose in path.poses]
    assert stamps[0] == convert.nanoseconds_of(array.header.stamp)
    assert stamps == sorted(stamps)
    assert stamps[-1] > stamps[0]
    assert all(pose.pose.position.z > -0.003 for pose in path.poses)
    assert max(pose.pose.position.z for pose in path.poses[1:-1]) > 0.02  # in between it is in free space


def test_a_refusal_is_the_outcome() -> None:
    array, _ = lifted(point('take it', (320.0, 5000.0)))
    assert array.targets == []
    assert array.outcome.code == array.abstentions[0].outcome.code != 0
