# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores are products of named parts; the hand comes in along its own z."""

import numpy as np
import pytest
from synthetic_depth import cylinder, frame_of, plane

from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.lifting import LiftSettings, Spot, lift_spot
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.ranking import grasp_contact
from affordance_ros.results import Contact


@pytest.mark.parametrize('score', [float('nan'), 0.5])
def test_score_is_the_product_of_its_parts(score: float) -> None:
    frame = frame_of(plane((0, 0, 0.75), (0, 0, -1)), cylinder(0.62, 0.012, 0.09))
    contact = lift_spot(frame, Spot((320, 240), score), LiftSettings())
    assert isinstance(contact, Contact)
    found = grasp_contact(SceneCloud(frame, NoiseModel()), contact, None, GripperSettings(), GraspSettings())
    assert isinstance(found, list)
    (target,) = found
    assert target.score == pytest.approx(np.prod(list(target.sub_scores.values())))
    assert ('model' in target.sub_scores) == np.isfinite(score)
    back = target.grasp[:3, 3] - target.pregrasp[:3, 3]
    np.testing.assert_allclose(back, 0.08 * target.grasp[:3, 2], atol=1e-9)


def test_the_best_of_one_is_the_best_of_many() -> None:
    """What is left out because it cannot beat the targets found so far would not have been the best."""
    frame = frame_of(plane((0, 0, 0.75), (0, 0, -1)), cylinder(0.62, 0.012, 0.09))
    contact = lift_spot(frame, Spot((320, 240)), LiftSettings())
    assert isinstance(contact, Contact)
    cloud, never = SceneCloud(frame, NoiseModel()), 2.0
    best = []
    for per_contact in (1, 3, 1000):
        found = grasp_contact(
            cloud, contact, None, GripperSettings(), GraspSettings(per_contact=per_contact, good=never)
        )
        assert isinstance(found, list)
        assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
        best.append(found[0])
    for other in best[1:]:
        assert other.score == pytest.approx(best[0].score)
        np.testing.assert_allclose(other.grasp, best[0].grasp, atol=1e-9)
