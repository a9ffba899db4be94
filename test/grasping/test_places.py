# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Places to put down, cups that hold, and solids for a planner: where they are and what they keep clear of."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_depth import cylinder, frame_of, plane, slab

from affordance_ros.errors import Code
from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.grasping.obstacles import obstacles_of, solid_of
from affordance_ros.grasping.placing import PlaceSettings, place_contact
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp, wants_place
from affordance_ros.results import Abstention, Frame, Keypoints, PlaceTarget, Prediction, Query

TABLE = plane((0, 0, 0.75), (0, 0, -1))
BLOCK = frame_of(TABLE, slab(0.65, 0.06, 0.045))
SUCTION = PipelineSettings(gripper=gripper_preset('suction'))


def asked(
    frame: Frame, text: str, pixel: tuple[float, float] = (320, 240), settings: PipelineSettings | None = None
) -> Answer:
    points = Keypoints(np.array([pixel]))
    return lift_and_grasp(frame, Prediction('fake', Query(text=text), keypoints=points), settings or PipelineSettings())


def test_a_place_lies_on_the_surface_with_its_z_up() -> None:
    found = asked(frame_of(TABLE), 'put the mug down here')
    (place,) = found.places
    assert found.targets == ()
    np.testing.assert_allclose(place.pose[:3, 2], (0, 0, -1), atol=0.02)
    np.testing.assert_allclose(place.pose[:3, 3], (0, 0, 0.75), atol=0.002)
    assert place.score > 0.8
    assert place.score == pytest.approx(np.prod(list(place.sub_scores.values())))


@pytest.mark.parametrize('noise', [0.0, 0.0015])
def test_a_place_moves_away_from_what_stands_there(noise: float) -> None:
    scene = frame_of(TABLE, cylinder(0.70, 0.02, 0.04), sigma=noise)
    near = (320 + 0.065 / 0.75 * 600, 240.0)
    (place,) = asked(scene, 'place the cup here', near).places
    gone = np.asarray(place.pose[:3, 3])
    assert abs(gone[0]) - 0.04 > 0.035 or abs(gone[1]) - 0.02 > 0.035  # its disc of 40 mm is beside the bar
    np.testing.assert_allclose(gone[2], 0.75, atol=0.004)


def test_a_large_thing_needs_a_large_place() -> None:
    """On a block of 12 by 9 cm stands a glass, not a pot; a pot is not put half over the edge."""
    glass = PipelineSettings(place=PlaceSettings(radius_m=0.03, search_m=0.02))
    pot = PipelineSettings(place=PlaceSettings(radius_m=0.11, search_m=0.02))
    (place,) = asked(BLOCK, 'put it here', settings=glass).places
    np.testing.assert_allclose(place.pose[2, 3], 0.65, atol=0.003)
    assert asked(BLOCK, 'put it here', settings=pot).abstentions[0].code == Code.NOT_FLAT


@pytest.mark.parametrize(
    ('query', 'placing'),
    [
        (Query(text='Put the cup on the shelf'), True),
        (Query(text='place it there'), True),
        (Query(text='the plate', task='free_space'), True),
        (Query(object='table', action='place'), True),
        (Query(text='grasp the cup'), False),
        (Query(text='the placemat'), False),
    ],
)
def test_which_questions_ask_for_a_place(query: Query, placing: bool) -> None:  # noqa: FBT001
    assert wants_place(query) == placing


def test_a_cup_lies_square_on_the_face() -> None:
    (target,) = asked(BLOCK, 'lift the box', settings=SUCTION).targets
    assert target.gripper == 'suction'
    assert (target.width_m, target.opening_m) == (0.0, 0.0)
    np.testing.assert_allclose(target.approach, (0, 0, 1), atol=0.03)
    np.testing.assert_allclose(target.grasp[2, 3], 0.65, atol=0.002)
    assert target.wrist_frame == 'suction_base'
    assert target.wrist[2, 3] == pytest.approx(target.grasp[2, 3] - 0.12, abs=0.002)


def test_a_cup_stays_clear_of_the_edge() -> None:
    """Pointed at the rim of a face, the cup is laid where all of its lip is on it."""
    rim = (320 + 0.058 / 0.65 * 600, 240.0)
    (target,) = asked(BLOCK, 'lift the box', rim, SUCTION).targets
    assert abs(float(target.grasp[0, 3])) + 0.015 < 0.0625


def test_the_table_and_the_thing_are_solids() -> None:
    brick = frame_of(TABLE, slab(0.65, 0.06, 0.03))
    found = asked(brick, 'take it', settings=PipelineSettings(obstacles=True))
    names = [item.name for item in found.obstacles]
    assert names == ['table', *(f'target_{index}' for index in range(len(found.targets)))]
    assert asked(brick, 'take it').obstacles == ()
    table, thing = found.obstacles[:2]
    # The top of the slab is the plane, a little lower, so that what stands on it does not touch it.
    top = np.asarray(table.pose) @ (0, 0, table.size_m[2] / 2, 1)
    assert top[2] == pytest.approx(0.752, abs=0.001)
    np.testing.assert_allclose(table.pose[:3, 2], (0, 0, -1), atol=0.01)
    corners = np.asarray(thing.vertices) + thing.pose[:3, 3]
    # It reaches from the face that was seen down to the table.
    np.testing.assert_allclose(np.ptp(corners, axis=0), (0.12, 0.06, 0.10), atol=0.008)


def test_the_triangles_of_a_solid_face_outwards() -> None:
    rng = np.random.default_rng(4)
    solid = solid_of('ball', rng.normal(size=(300, 3)) * 0.02 + (0.1, -0.2, 0.6))
    assert solid is not None
    corners = np.asarray(solid.vertices)[np.asarray(solid.triangles)]
    outwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum('ij,ij->i', outwards, corners.mean(axis=1)) > 0).all()
    np.testing.assert_allclose(solid.pose[:3, 3], (0.1, -0.2, 0.6), atol=0.01)


def test_what_spans_no_volume_is_no_solid() -> None:
    flat = np.random.default_rng(1).uniform(size=(50, 3)) * (1, 1, 0)
    assert solid_of('sheet', flat) is None
    assert solid_of('dot', flat[:3]) is None


def test_without_a_table_there_is_only_the_thing() -> None:
    alone = replace(BLOCK, depth=np.where(np.asarray(BLOCK.depth) < 0.7, BLOCK.depth, np.nan).astype(np.float32))
    cloud = SceneCloud(alone, NoiseModel())
    found = asked(alone, 'take it')
    names = [item.name for item in obstacles_of(cloud, [found.contacts[0]])]
    assert 'target_0' in names or names == ['table']  # a lone face may itself be the plane


def test_a_slope_is_refused_however_little_of_its_normal_is_known() -> None:
    """Up is 18 degrees off the normal: a normal in doubt makes that no level ground."""
    turn = np.radians(18)
    pose = np.eye(4)
    pose[:3, :3] = np.diag((1, -1, -1)) @ np.array(
        [[1, 0, 0], [0, np.cos(turn), np.sin(turn)], [0, -np.sin(turn), np.cos(turn)]]
    )
    frame = replace(frame_of(TABLE), target_from_camera=pose, target_frame='world')
    refused = asked(frame, 'put the mug down here').abstentions[0]
    assert refused.code == Code.NOT_FLAT
    assert refused.evidence['slope'] == pytest.approx(18, abs=1.5)
    (contact,) = asked(frame, 'touch this').contacts
    doubtful = replace(contact, evidence=dict(contact.evidence) | {'normal_sigma': 0.2})
    cloud = SceneCloud(frame, NoiseModel())
    assert isinstance(place_contact(cloud, doubtful, PlaceSettings()), Abstention)
    assert isinstance(place_contact(cloud, doubtful, PlaceSettings(level_deg=15)), PlaceTarget)
