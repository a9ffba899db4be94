# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the camera did not see is not free: behind surfaces and outside of the image."""

import numpy as np
import pytest
from synthetic_depth import frame_of, plane, slab

from affordance_ros.geometry.depth import NoiseModel
from affordance_ros.geometry.scene_cloud import SceneCloud
from affordance_ros.grasping.gripper import GripperSettings
from affordance_ros.grasping.unseen import hidden_fingers, hidden_palm

HAND = GripperSettings()
TABLE = plane((0, 0, 0.75), (0, 0, -1))
# A board of 20 cm, 10 cm above the table.
CLOUD = SceneCloud(frame_of(TABLE, slab(0.65, 0.1, 0.1)), NoiseModel())


def down_at(x: float, z: float) -> np.ndarray:
    """A hand that comes along the optical axis; it closes along the image's x."""
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack(((0, -1, 0), (1, 0, 0), (0, 0, 1)))
    pose[:3, 3] = (x, 0, z)
    return pose


@pytest.mark.parametrize(
    ('x', 'z', 'share'),
    [
        (0.0, 0.60, 0.0),  # above the board
        (0.0, 0.74, 1.0),  # below it: nobody saw anything there
        (0.1, 0.70, 0.5),  # at its edge, one finger below it
        (0.2, 0.74, 0.0),  # beside it, above the table
        (0.2, 0.80, 1.0),  # in the table
        (0.5, 0.70, 1.0),  # outside of the image
    ],
)
def test_the_share_of_the_fingers_that_is_hidden(x: float, z: float, share: float) -> None:
    assert hidden_fingers(down_at(x, z), 0.06, CLOUD, HAND) == pytest.approx(share, abs=0.1)


def test_the_palm_hides_behind_things_but_not_outside_the_image() -> None:
    assert hidden_palm(down_at(0.0, 0.64), 0.08, CLOUD, HAND) == 0
    sideways = np.eye(4)
    sideways[:3, :3] = np.column_stack(((0, 0, 1), (0, 1, 0), (-1, 0, 0)))  # comes from the right, level
    sideways[:3, 3] = (-0.05, 0, 0.72)  # under the board: fingers, palm and way in come from below it
    assert hidden_palm(sideways, 0.08, CLOUD, HAND) > 0.3
    assert hidden_palm(down_at(0.9, 0.70), 0.08, CLOUD, HAND) == 0


def test_holes_of_the_depth_hide_nothing() -> None:
    frame = frame_of(TABLE, slab(0.65, 0.1, 0.1))
    assert frame.depth is not None
    frame.depth[:] = np.nan
    frame.depth[::40] = 0.75
    assert hidden_fingers(down_at(0.0, 0.70), 0.06, SceneCloud(frame, NoiseModel()), HAND) == 0
