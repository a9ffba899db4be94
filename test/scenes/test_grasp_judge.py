# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The judge of the benchmarks knows good hands and cups from bad ones, on the meshes of a scene."""

from functools import cache

import numpy as np
import pytest

from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.scenes import Scene, sample_scene
from affordance_ros.scenes.grasp_judge import HITS, LEAKS, OK, TABLE, WRONG, CupShape, GraspJudge, HandShape

CUP = gripper_preset('suction')
HAND = gripper_preset('generic')


@cache
def judged() -> tuple[Scene, GraspJudge, int, np.ndarray]:
    """A scene with a box, its judge, the id of the box's lid and the middle of the lid's top."""
    scene = sample_scene(5, must_have=('red', 'box'))
    lid = next(part for part in scene.placed if (part.info.object_name, part.info.part) == ('box', 'lid'))
    corners = lid.mesh.vertices
    top = corners[corners[:, 2] > corners[:, 2].max() - 1e-6]
    return scene, GraspJudge(scene), lid.info.id, np.array([*top[:, :2].mean(axis=0), corners[:, 2].max()])


def down(at: np.ndarray, yaw: float = 0.0, lean: float = 0.0) -> np.ndarray:
    """A hand that comes from above, turned by yaw, leaning by an angle."""
    c, s, k, t = np.cos(yaw), np.sin(yaw), np.cos(lean), np.sin(lean)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[c, s, 0], [s, -c, 0], [0, 0, -1.0]]) @ np.array([[1, 0, 0], [0, k, -t], [0, t, k]])
    pose[:3, 3] = at
    return pose


def cup(sweep_m: float = 0.08) -> CupShape:
    return CupShape(CUP.boxes(0.0, sweep_m), CUP.cup_radius_m, CUP.cup_give_m)


def test_a_cup_on_the_flat_lid_holds() -> None:
    _, judge, lid, top = judged()
    assert judge.seals(down(top), cup(), lid) == OK
    assert judge.seals(down(top, yaw=1.0), cup(), lid) == OK
    assert judge.sealable(lid, cup())


@pytest.mark.parametrize('yaw', [0.0, 2.0])
def test_a_cup_that_leans_or_hangs_over_the_edge_leaks(yaw: float) -> None:
    _, judge, lid, top = judged()
    assert judge.seals(down(top + (0, 0, 0.004), yaw, lean=0.3), cup(), lid) in (LEAKS, HITS)
    away = top.copy()
    away[:2] += 0.2  # beside the box, high above the table: there is nothing to suck at
    assert judge.seals(down(away, yaw), cup(), lid) != OK
    assert judge.seals(down(top + (0, 0, 0.01), yaw), cup(), lid) == LEAKS


def test_a_cup_in_the_wrong_place() -> None:
    scene, judge, lid, top = judged()
    other = next(part.id for part in scene.parts if part.id != lid)
    assert judge.seals(down(top), cup(), other) == WRONG
    assert judge.seals(down(top - (0, 0, 0.01)), cup(), lid) == HITS
    assert judge.seals(down(top * (1, 1, 0) - (0, 0, 0.02)), cup(), lid) == TABLE


def test_jaws_that_fit_and_jaws_that_hit() -> None:
    _, judge, lid, top = judged()
    wide = HandShape(HAND.boxes(0.08, 0.08), 0.08, (HAND.finger_width_m, 0.022))
    into = judge.judge(down(top - (0, 0, 0.02)), wide, lid)
    assert into in (HITS, TABLE)  # the lid is wider than the jaws open
    above = judge.judge(down(top + (0, 0, 0.03)), wide, lid)
    assert above not in (OK, HITS)  # it closes on air
