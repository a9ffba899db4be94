# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every code between a pixel and a target can be reached, and says what is wrong and what to do about it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from synthetic_depth import CAMERA, cylinder, frame_of, plane, ring, slab

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.frame_files import FrameFiles, read_frame
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.grasping.gripper import GripperSettings, gripper_preset
from affordance_ros.pipeline import PipelineSettings, lift_and_grasp
from affordance_ros.results import Abstention, Frame, Keypoints, Prediction, Query

TABLE = plane((0, 0, 0.75), (0, 0, -1))
HANDLE = frame_of(TABLE, cylinder(0.62, 0.012, 0.09))
BARE = frame_of(TABLE)
CUP = PipelineSettings(gripper=gripper_preset('suction'))
MIDDLE = (320.0, 240.0)


def refused(
    frame: Frame,
    settings: PipelineSettings | None = None,
    *,
    pixel: tuple[float, float] = MIDDLE,
    text: str = 'hold it',
) -> Abstention:
    """Return the first abstention of an answer that must not hold a target."""
    points = Keypoints(np.array([pixel]) if pixel else np.zeros((0, 2)))
    found = lift_and_grasp(
        frame, Prediction('fake', Query(text=text), keypoints=points), settings or PipelineSettings()
    )
    assert not found.targets
    assert not found.places
    return found.abstentions[0]


def with_depth(change: Callable[[np.ndarray], None]) -> Frame:
    """Return the handle with its depth changed in place."""
    depth = np.array(HANDLE.depth)
    change(depth)
    return replace(HANDLE, depth=depth)


def holes(depth: np.ndarray) -> None:
    depth[225:256, 305:336] = np.nan


def scattered(depth: np.ndarray) -> None:
    """Every pixel about the point on a surface of its own."""
    rng = np.random.default_rng(3)
    depth[225:256, 305:336] = rng.uniform(0.25, 1.2, (31, 31))


def millimetres(depth: np.ndarray) -> None:
    depth *= 1000


def walled() -> Frame:
    """A bar at the bottom of a slot that no finger fits into."""
    walls = np.where(np.abs(np.arange(480) - 240)[:, None] > 18, 0.55, np.inf) * np.ones((480, 640))
    return frame_of(TABLE, slab(0.62, 0.09, 0.012), walls)


def crowded() -> Frame:
    """A table with a thing at every place near the point."""
    rows, columns = np.mgrid[:480, :640]
    studs = np.where(((rows // 12) % 3 == 0) & ((columns // 12) % 3 == 0), 0.69, np.inf)
    return frame_of(TABLE, studs)


def gappy() -> Frame:
    """The handle seen by a camera that misses a third of the pixels."""
    return frame_of(TABLE, cylinder(0.62, 0.012, 0.09), sigma=0.001, holes=0.3)


def few() -> Frame:
    """A camera that measured ten pixels about the point and nothing else."""
    depth = np.full((480, 640), np.nan, np.float32)
    depth[238:241, 319:322] = depth[241, 320] = 2.5
    return replace(HANDLE, depth=depth)


GRASP = GraspSettings()
CASES: dict[str, tuple[Code, Callable[[], Abstention], str]] = {
    'no depth image': (Code.NO_DEPTH, lambda: refused(replace(HANDLE, depth=None)), 'publish'),
    'no depth at the point': (Code.NO_DEPTH, lambda: refused(with_depth(holes)), 'depth'),
    'no intrinsics': (Code.BAD_INPUT, lambda: refused(replace(HANDLE, intrinsics=None)), 'camera_info'),
    'millimetres': (Code.UNITS, lambda: refused(with_depth(millimetres)), 'metres'),
    'no place named': (Code.EMPTY_MODEL_OUTPUT, lambda: refused(HANDLE, pixel=()), 'rephrase'),
    'outside': (Code.OUT_OF_IMAGE, lambda: refused(HANDLE, pixel=(700.0, 240.0)), 'image'),
    'many surfaces': (Code.MULTI_SURFACE, lambda: refused(with_depth(scattered)), 'move the camera'),
    'too far': (Code.TOO_FEW_POINTS, lambda: refused(few(), PipelineSettings(LiftSettings(min_valid=0.05))), 'closer'),
    'a bare table': (Code.TOO_THIN, lambda: refused(BARE), 'stands out'),
    'wider than the jaws': (Code.TOO_WIDE, lambda: refused(frame_of(TABLE, slab(0.6, 0.075, 0.075))), 'opens 85 mm'),
    'in a slot': (Code.NO_CLEARANCE, lambda: refused(walled()), 'clear the space'),
    'below the least score': (
        Code.LOW_SCORE,
        lambda: refused(gappy(), PipelineSettings(grasp=replace(GRASP, min_score=0.999))),
        'scores',
    ),
    'smaller than the cup': (Code.TOO_THIN, lambda: refused(frame_of(TABLE, cylinder(0.62, 0.004, 0.09)), CUP), 'cup'),
    'rounder than the lip': (
        Code.NOT_FLAT,
        lambda: refused(frame_of(TABLE, cylinder(0.62, 0.018, 0.09)), CUP),
        'uneven',
    ),
    'a cup in a well': (Code.NO_CLEARANCE, lambda: refused(frame_of(TABLE, ring(0.66, 0.022, 0.2)), CUP), 'touch'),
    'put on a slope': (
        Code.NOT_FLAT,
        lambda: refused(tilted(), text='put the mug down here'),
        'slopes',
    ),
    'put on a bar': (Code.NOT_FLAT, lambda: refused(HANDLE, text='place the mug here'), 'flat'),
    'put where things stand': (Code.NOT_FREE, lambda: refused(crowded(), text='place the mug here'), 'free'),
}


def tilted() -> Frame:
    """A board that leans by 30 degrees, seen by a camera that knows where up is."""
    lean = np.radians(30)
    board = plane((0, 0, 0.7), (0, np.sin(lean), -np.cos(lean)))
    up = np.eye(4)
    up[:3, :3] = np.diag((1.0, -1.0, -1.0))  # the camera looks straight down
    return replace(frame_of(board), target_from_camera=up, target_frame='base')


@pytest.mark.parametrize('case', list(CASES))
def test_the_code_is_reached_and_names_the_way_out(case: str) -> None:
    code, ask, words = CASES[case]
    found = ask()
    assert found.code == code, found
    assert words in found.message
    assert all(np.isfinite(value) for value in found.evidence.values()), found.evidence


def test_a_depth_image_of_another_size_is_not_aligned(tmp_path) -> None:  # noqa: ANN001
    import cv2

    cv2.imwrite(str(tmp_path / 'rgb.png'), np.zeros((480, 640, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'depth.png'), np.full((240, 320), 700, np.uint16))
    with pytest.raises(AffordanceError) as caught:
        read_frame(FrameFiles(tmp_path / 'rgb.png', tmp_path / 'depth.png', '500,500,320,240'))
    assert caught.value.code == Code.UNALIGNED


def test_a_pose_that_nobody_sent_is_tf() -> None:
    with pytest.raises(AffordanceError) as caught:
        PoseBuffer().lookup('base', 'camera', 0)
    assert caught.value.code == Code.TF


def test_every_code_on_the_way_to_a_target_has_a_case() -> None:
    """MOVED needs a second look, STALE and UNALIGNED streams: `test/nodes` and `test/bags` reach them."""
    here = {code for code, _, _ in CASES.values()}
    on_the_way = {code for code in Code if Code.OUT_OF_IMAGE <= code < Code.INTERNAL} | {Code.NO_DEPTH, Code.UNITS}
    assert on_the_way - here == {Code.MOVED}


def test_a_wider_gripper_takes_what_was_too_wide() -> None:
    """The way out that TOO_WIDE names is one."""
    block = frame_of(TABLE, slab(0.6, 0.075, 0.05))
    assert refused(block).code == Code.TOO_WIDE
    points = Keypoints(np.array([MIDDLE]))
    wider = PipelineSettings(gripper=GripperSettings(max_aperture_m=0.16, palm_m=(0.06, 0.2, 0.06)))
    assert lift_and_grasp(block, Prediction('fake', Query(text='x'), keypoints=points), wider).targets
    assert CAMERA.width == 640
