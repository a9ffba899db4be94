# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The types that the stages exchange: frozen, validated, numpy only.

Pixels are (u, v) of the ORIGINAL image with pixel centres at integers, arrays are indexed [v, u], boxes are xyxy,
lengths are metres, depth is along the optical Z axis, transforms are named target_from_source, unset numbers are NaN.
"""

from affordance_ros.results.checks import NAN, FloatArray
from affordance_ros.results.frames import Frame, Intrinsics, Query
from affordance_ros.results.predictions import Boxes, HandTrajectory, Heatmap, Keypoints, Masks, Prediction, Trace
from affordance_ros.results.targets import Abstention, Contact, GraspTarget, LiftedPath, Obstacle, PlaceTarget

__all__ = [
    'Abstention',
    'Boxes',
    'Contact',
    'FloatArray',
    'Frame',
    'GraspTarget',
    'HandTrajectory',
    'Heatmap',
    'Intrinsics',
    'Keypoints',
    'LiftedPath',
    'Masks',
    'NAN',
    'Obstacle',
    'PlaceTarget',
    'Prediction',
    'Query',
    'Trace',
]
