# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth that fits its colour image is told from depth that does not, with the way back; else nothing is told."""

import cv2
import numpy as np
import pytest

from affordance_ros.geometry.alignment import Verdict, alignment
from affordance_ros.scenes import SensorModel, sample_scene

VGA_TOLERANCE_PX = 4.2
FRAMES: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}


def measured(seed, preset='vga'):
    """Return colour and depth of a simulated camera with noise, holes and flying pixels."""
    if (seed, preset) not in FRAMES:
        frame = SensorModel().apply(sample_scene(seed, preset).render().frame, np.random.default_rng(seed))
        FRAMES[seed, preset] = frame.rgb, frame.depth
    return FRAMES[seed, preset]


def moved(depth, du=0.0, dv=0.0, scale=1.0):
    """Return the depth scaled about the middle of the image, then shifted; unknown where nothing falls."""
    height, width = depth.shape
    matrix = np.array([[scale, 0, (1 - scale) * (width - 1) / 2 + du], [0, scale, (1 - scale) * (height - 1) / 2 + dv]])
    return cv2.warpAffine(depth, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=np.nan)


@pytest.mark.parametrize(('seed', 'preset'), [(3, 'vga'), (5, 'vga'), (8, 'vga'), (11, 'vga'), (0, 'hd'), (3, 'hd')])
def test_depth_that_fits_is_aligned(seed, preset):
    rgb, depth = measured(seed, preset)
    got = alignment([(rgb, depth)])
    assert got.verdict is Verdict.ALIGNED
    assert np.hypot(*got.shift) <= VGA_TOLERANCE_PX * depth.shape[1] / 640
    assert got.scale == 1.0


@pytest.mark.parametrize('seed', [3, 5, 8, 11])
@pytest.mark.parametrize('shift', [(8, 0), (-7, 6), (3, -19)])
def test_a_shift_is_told_with_the_way_back(seed, shift):
    rgb, depth = measured(seed)
    got = alignment([(rgb, moved(depth, *shift))])
    assert got.verdict is Verdict.MISALIGNED
    assert got.scale == 1.0
    assert np.hypot(got.shift[0] + shift[0], got.shift[1] + shift[1]) <= VGA_TOLERANCE_PX
    again = alignment([(rgb, moved(moved(depth, *shift), *(round(each) for each in got.shift)))])
    assert again.verdict is Verdict.ALIGNED


@pytest.mark.parametrize('shift', [(30, 0), (-28, 28), (0, 60)])
def test_a_shift_beyond_the_reach_is_never_aligned(shift):
    for seed in (3, 5, 8, 11):
        rgb, depth = measured(seed)
        assert alignment([(rgb, moved(depth, *shift))]).verdict is not Verdict.ALIGNED


@pytest.mark.parametrize('scale', [0.9, 1.1])
def test_the_scale_of_another_lens_is_told(scale):
    rgb, depth = measured(5)
    got = alignment([(rgb, moved(depth, scale=scale))])
    assert got.verdict is Verdict.MISALIGNED
    assert got.scale == pytest.approx(1 / scale, abs=0.03)


@pytest.mark.parametrize('seed', [3, 5, 8, 11])
def test_depth_of_another_scene_tells_nothing(seed):
    assert alignment([(measured(seed)[0], measured(seed + 1)[1])]).verdict is Verdict.UNKNOWN


def test_too_little_to_see_tells_nothing():
    rgb, depth = measured(3)
    assert alignment([]).verdict is Verdict.UNKNOWN
    for colour, metres in [
        (rgb, np.full_like(depth, 0.8)),
        (rgb, np.full_like(depth, np.nan)),
        (np.full_like(rgb, 90), depth),
    ]:
        assert alignment([(colour, metres)]).verdict is Verdict.UNKNOWN


def test_a_repeated_pattern_tells_nothing():
    """Slats look the same when they are shifted by one: no shift may be told."""
    column = np.arange(640)
    slats = np.broadcast_to(column % 16 < 8, (480, 640))
    depth = np.where(slats, 0.6, 0.8).astype(np.float32)
    rgb = np.repeat(np.where(slats, 180, 60).astype(np.uint8)[..., None], 3, axis=2)
    assert alignment([(rgb, depth)]).verdict is Verdict.UNKNOWN


def test_frames_that_tell_nothing_alone_tell_together():
    """A few borders in each frame: each alone has too few, all of them have enough."""
    parts = []
    for top in (0, 120, 240, 360):
        rgb, depth = measured(8)
        shown = np.full_like(depth, np.nan)
        shown[top : top + 120] = moved(depth, 12, 0)[top : top + 120]
        parts.append((rgb, shown))
    alone = [alignment([part]) for part in parts]
    together = alignment(parts)
    assert sum(each.verdict is Verdict.UNKNOWN for each in alone) >= 2
    assert together.verdict is Verdict.MISALIGNED
    assert together.edges > max(each.edges for each in alone)
    assert np.hypot(together.shift[0] + 12, together.shift[1]) <= VGA_TOLERANCE_PX


def test_sizes_that_differ_are_refused():
    rgb, depth = measured(3)
    with pytest.raises(ValueError, match='one size'):
        alignment([(rgb, depth[::2, ::2])])
