# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures of an answer against its label in space: contact, normal, width, and whether the grasp would hold."""

from functools import lru_cache
from typing import Any

import numpy as np

from affordance_ros.evaluation.labels import SceneSource
from affordance_ros.evaluation.measures import Case
from affordance_ros.evaluation.records import Json
from affordance_ros.evaluation.summary import best_contact
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.results import FloatArray

NEAR_M, NEAR_DEG = 0.02, 30.0  # a grasp this near a labelled one is taken for it
_PAD_M = 0.022  # length of a pad behind the fingertip


def _nearest(case: Case) -> tuple[Json, int] | None:
    """Return the contact of the best target and the index of the labelled point next to it."""
    contact = best_contact(case.line)
    if contact is None or not len(case.label.points_m):
        return None
    return contact, int(np.linalg.norm(case.label.points_m - contact['point_m'], axis=1).argmin())


def point_error_mm(case: Case) -> float | None:
    """Distance in millimetres from the best contact to the nearest labelled point."""
    found = _nearest(case)
    if found is None:
        return None
    return 1000 * float(np.linalg.norm(case.label.points_m[found[1]] - found[0]['point_m']))


def normal_error_deg(case: Case) -> float | None:
    """Angle in degrees between the normal of the best contact and the labelled one."""
    found = _nearest(case)
    if found is None or len(case.label.normals) != len(case.label.points_m):
        return None
    return _angle_deg(case.label.normals[found[1]], np.array(found[0]['normal']))


def width_error_mm(case: Case) -> float | None:
    """Difference in millimetres between the width of the best target and the labelled one."""
    if not case.line['targets'] or not np.isfinite(case.label.width_m):
        return None
    return 1000 * abs(float(case.line['targets'][0]['width_m']) - case.label.width_m)


def grasp_success(case: Case) -> float | None:
    """1 when the best grasp is one of the labelled ones: TCP within 20 mm, approach and closing axis within 30 degrees.

    The two fingers may be exchanged. No grasp counts 0.
    """
    if not len(case.label.grasps):
        return None
    pose = _best_grasp(case)
    return 0.0 if pose is None else float(any(_same_grasp(pose, truth) for truth in case.label.grasps))


def grasp_holds(case: Case, scene: SceneSource | None) -> float | None:
    """1 when the best grasp would hold the asked part of a simulated scene, on its true meshes. No grasp counts 0."""
    if case.label.seen is None or scene is None:
        return None
    pose = _best_grasp(case)
    if pose is None:
        return 0.0
    from affordance_ros.scenes.grasp_judge import OK, HandShape

    target = case.line['targets'][0]
    sweep = float(np.linalg.norm(pose[:3, 3] - target['pregrasp_in_camera']['position_m']))
    gripper = gripper_preset(target['gripper'])
    opening = min(gripper.max_aperture_m, _opening(target, gripper.max_aperture_m))
    pad = (gripper.finger_width_m, min(_PAD_M, gripper.finger_length_m))
    hand = HandShape(gripper.boxes(opening, sweep), opening, pad)
    return float(_judge(scene).judge(case.label.seen.table_from_camera @ pose, hand, case.label.seen.part) == OK)


def _opening(target: Json, widest_m: float) -> float:
    opening = target.get('opening_m')
    return widest_m if opening is None else float(opening)


@lru_cache(maxsize=2)
def _judge(source: SceneSource) -> Any:
    from affordance_ros.scenes import sample_scene
    from affordance_ros.scenes.grasp_judge import GraspJudge

    color, _, name = source.must_have.partition(' ')
    return GraspJudge(sample_scene(source.seed, source.preset, must_have=(color, name) if name else None))


def _best_grasp(case: Case) -> FloatArray | None:
    if not case.line['targets']:
        return None
    pose = case.line['targets'][0]['grasp_in_camera']
    return np.asarray(pose_from(pose['position_m'], pose['orientation_xyzw']))


def _same_grasp(pose: FloatArray, truth: FloatArray) -> bool:
    closing = _angle_deg(pose[:3, 1], truth[:3, 1])
    return (
        float(np.linalg.norm(pose[:3, 3] - truth[:3, 3])) <= NEAR_M
        and _angle_deg(pose[:3, 2], truth[:3, 2]) <= NEAR_DEG
        and min(closing, 180 - closing) <= NEAR_DEG
    )


def _angle_deg(first: FloatArray, second: FloatArray) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(first, second), -1, 1))))
