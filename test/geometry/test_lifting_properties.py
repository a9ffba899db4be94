# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What must hold whatever is seen: turned scenes give turned answers, units, monotone evidence, lenses, every code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_depth import CAMERA, cylinder, frame_of, plane, slab

from affordance_ros.errors import Code
from affordance_ros.geometry.camera import deproject, project, rays
from affordance_ros.geometry.depth import NoiseModel, metres_from_raw
from affordance_ros.geometry.lifting import LiftSettings, Spot, lift_spot, lift_spots
from affordance_ros.results import Abstention, Contact, Frame, Intrinsics

SETTINGS = LiftSettings()
TABLE = plane((0, 0, 0.75), (0, 0, -1))
SCENE = (TABLE, cylinder(0.6, 0.006, 0.09), slab(0.66, 0.02, 0.1))
LENSES = st.sampled_from([
    ((), ''),
    ((0.1, -0.2, 0.001, -0.001, 0.05), 'plumb_bob'),
    ((0.2, 0.05, 0.001, -0.002, 0.01, 0.1, 0.02, 0.01), 'rational_polynomial'),
    ((0.05, -0.01, 0.002, -0.001), 'equidistant'),
])  # fmt: skip


def contact(frame: Frame, pixel: tuple[float, float] = (320, 240), lift: LiftSettings = SETTINGS) -> Contact:
    found = lift_spot(frame, Spot(pixel), lift)
    assert isinstance(found, Contact), found
    return found


@settings(max_examples=60, deadline=None)
@given(LENSES, st.floats(300, 900), st.tuples(st.floats(5, 634), st.floats(5, 474)), st.floats(0.2, 3))
def test_pixel_and_point_are_each_other(
    lens: tuple[tuple[float, ...], str], focal: float, pixel: tuple[float, float], depth: float
) -> None:
    camera = Intrinsics(focal, 1.02 * focal, 318, 243, 640, 480, *lens)
    point = deproject([pixel], [depth], camera)
    assert point[0, 2] == pytest.approx(depth)
    np.testing.assert_allclose(project(point, camera), [pixel], atol=2e-3)


TURNS = [(0, np.eye(3)), (1, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), (2, np.diag([-1, -1, 1]))]


@pytest.mark.parametrize(('quarters', 'turn'), TURNS, ids=['0', '90', '180'])
@pytest.mark.parametrize('pixel', [(320, 240), (280, 243), (335, 270)])
def test_a_turned_image_gives_turned_contacts(quarters: int, turn: object, pixel: tuple[int, int]) -> None:
    frame = frame_of(*SCENE, sigma=0.0008)
    assert frame.depth is not None
    depth = np.ascontiguousarray(np.rot90(frame.depth, quarters))
    u, v, (width, height, cx, cy) = *pixel, (640, 480, 320.0, 240.0)
    for _ in range(quarters):
        u, v, width, height, cx, cy = v, width - 1 - u, height, width, cy, width - 1 - cx
    turned = Frame(np.zeros((height, width, 3), np.uint8), depth, Intrinsics(600, 600, cx, cy, width, height))
    first, second, matrix = contact(frame, pixel), contact(turned, (u, v)), np.asarray(turn, float)
    np.testing.assert_allclose(matrix @ first.point, second.point, atol=8e-4)
    assert (matrix @ first.normal) @ second.normal > np.cos(np.radians(6))
    if min(first.anisotropy, second.anisotropy) > 0.3:
        assert abs((matrix @ first.axis) @ second.axis) > 0.97


@settings(max_examples=25, deadline=None)
@given(st.integers(-120, 120), st.integers(-90, 90), st.integers(0, 1000))
def test_a_moved_image_moves_the_contact_along(right: int, down: int, seed: int) -> None:
    frame = frame_of(*SCENE, sigma=0.001, seed=seed)
    assert frame.depth is not None
    camera = replace(CAMERA, cx=CAMERA.cx + right, cy=CAMERA.cy + down)
    moved = Frame(frame.rgb, np.roll(frame.depth, (down, right), (0, 1)), camera)
    first, second = contact(frame), contact(moved, (320 + right, 240 + down))
    # The window is the same; the table is found from other pixels, so that not every sample need be.
    np.testing.assert_allclose(first.point, second.point, atol=6e-4)
    assert first.normal @ second.normal > np.cos(np.radians(6))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 2.0), st.integers(0, 1000))
def test_a_scene_twice_as_large_and_as_far_is_the_same_picture(scale: float, seed: int) -> None:
    frame = frame_of(*SCENE, sigma=0.001, seed=seed)
    assert frame.depth is not None
    larger = Frame(frame.rgb, (frame.depth * scale).astype(np.float32), CAMERA)
    noise = NoiseModel(0.001, 0.0)
    lift = LiftSettings(noise=noise, range_m=(0.1, 6))
    wide = replace(lift, window_m=0.008 * scale, noise=NoiseModel(0.001 * scale, 0.0))
    first, second = contact(frame, lift=lift), contact(larger, lift=wide)
    np.testing.assert_allclose(first.point * scale, second.point, atol=2e-3 * scale)
    assert first.normal @ second.normal > 0.9


def test_millimetres_and_metres_give_the_same_contact() -> None:
    frame = frame_of(*SCENE, sigma=0.001)
    assert frame.depth is not None
    millimetres = np.nan_to_num(np.rint(1000 * frame.depth)).astype(np.uint16)
    a = contact(replace(frame, depth=metres_from_raw(millimetres, '16UC1')))
    b = contact(replace(frame, depth=metres_from_raw((millimetres / 1000).astype(np.float32), '32FC1')))
    np.testing.assert_allclose(a.point, b.point, atol=1e-6)
    np.testing.assert_allclose(a.normal, b.normal, atol=1e-4)


@pytest.mark.parametrize('tilt', [0, 40])
def test_more_holes_less_evidence(tilt: float) -> None:
    normal = (0, float(np.sin(np.radians(tilt))), -float(np.cos(np.radians(tilt))))
    body = plane((0, 0, 0.6), normal)
    found = [contact(frame_of(body, sigma=0.0015, holes=share)) for share in (0.0, 0.2, 0.4, 0.6)]
    ratios = [item.valid_ratio for item in found]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == 1
    points = [item.evidence['surface_points'] for item in found]
    assert points == sorted(points, reverse=True)


@pytest.mark.parametrize('pixel', [(320, 240), (250, 200)])
def test_more_noise_or_a_vaguer_answer_is_less_certain(pixel: tuple[float, float]) -> None:
    frame = frame_of(plane((0, 0, 0.6), (0, 0, -1)), sigma=0.001)
    traces = [
        np.trace(contact(frame, pixel, LiftSettings(noise=NoiseModel(floor, 0))).covariance)
        for floor in (0.001, 0.004, 0.016)
    ]
    assert traces == sorted(traces)
    vague = [lift_spot(frame, Spot(pixel, spread_px=spread), SETTINGS) for spread in (0.5, 3.0, 10.0)]
    wide = [np.trace(item.covariance) for item in vague if isinstance(item, Contact)]
    assert len(wide) == 3
    assert wide == sorted(wide)
    still, shaky = (contact(frame, pixel, LiftSettings(pose_sigma_m=value)) for value in (0.0, 0.01))
    np.testing.assert_allclose(shaky.covariance - still.covariance, 1e-4 * np.eye(3), atol=1e-12)


def test_the_covariance_holds_the_error_it_tells() -> None:
    lift, inside, count = LiftSettings(noise=NoiseModel(0.002, 0.0), pose_sigma_m=0.0), 0, 60
    for seed in range(count):
        found = contact(frame_of(plane((0, 0, 0.6), (0, 0.5, -0.8660254)), sigma=0.002, seed=seed), lift=lift)
        off = found.point - (0, 0, 0.6)
        inside += int(off @ np.linalg.solve(found.covariance, off) < 7.81)
    assert inside >= 0.88 * count


def test_a_hole_under_the_pixel_is_marked_and_counts_less() -> None:
    frame = frame_of(plane((0, 0, 0.6), (0, 0, -1)), sigma=0.0005)
    assert frame.depth is not None
    whole = contact(frame)
    frame.depth[238:243, 318:323] = np.nan
    holed = contact(frame)
    assert holed.evidence['filled'] == 1
    assert whole.evidence['filled'] == 0
    assert holed.pixel == (320, 240)
    assert holed.valid_ratio < whole.valid_ratio
    np.testing.assert_allclose(holed.point, (0, 0, 0.6), atol=0.001)


@pytest.mark.parametrize('pixel', [(320, 240), (90, 70), (560, 400)])
def test_a_lens_changes_nothing_of_what_is_there(pixel: tuple[int, int]) -> None:
    camera = Intrinsics(600, 600, 320, 240, 640, 480, (-0.3, 0.1, 0.001, -0.001, 0.0), 'plumb_bob')
    pixels = np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1).reshape(-1, 2)
    seen = rays(pixels, camera)
    normal = np.array([0.0, -0.5, -np.sqrt(0.75)])
    table, sheet = (offset / (seen @ normal) for offset in (-0.6, -0.59))
    own = np.abs(pixels - pixel).max(axis=1) < 25  # a sheet 10 mm above the table
    depth = np.where(own, sheet, table) + np.random.default_rng(0).normal(0, 0.001, len(own))
    frame = Frame(np.zeros((480, 640, 3), np.uint8), depth.reshape(480, 640).astype(np.float32), camera)
    found = contact(frame, pixel)
    np.testing.assert_allclose(found.point, (seen * sheet[:, None])[pixel[1] * 640 + pixel[0]], atol=0.0012)
    assert found.normal @ normal > np.cos(np.radians(5))


def test_a_tie_gives_both_surfaces_or_none() -> None:
    frame = frame_of(
        plane((0, 0, 0.6), (0, 0, -1)), np.where(np.arange(640)[None] < 319.5, 0.5, np.inf) * np.ones((480, 1))
    )
    both = lift_spots(frame, Spot((320, 240)), SETTINGS)
    assert [round(float(item.point[2]), 1) for item in both if isinstance(item, Contact)] == [0.5, 0.6]
    assert all(item.evidence['tie'] for item in both)
    (none,) = lift_spots(frame, Spot((320, 240)), replace(SETTINGS, ties='abstain'))
    assert isinstance(none, Abstention)
    assert none.code == Code.MULTI_SURFACE
    assert len(lift_spots(frame, Spot((320, 240)), replace(SETTINGS, ties='first'))) == 1
    assert len(lift_spots(frame, Spot((340, 240)), SETTINGS)) == 1


def refused(frame: Frame, pixel: tuple[float, float] = (320, 240), lift: LiftSettings = SETTINGS) -> Abstention:
    found = lift_spot(frame, Spot(pixel), lift)
    assert isinstance(found, Abstention), found
    return found


def test_depth_out_of_range_is_told_with_what_the_camera_says() -> None:
    assert '4.5 m' in refused(frame_of(plane((0, 0, 4.5), (0, 0, -1)))).message


def test_a_surface_too_small_to_tell_is_not_what_lies_beside_it() -> None:
    frame = frame_of(plane((0, 0, 0.8), (0, 0, -1)))
    assert frame.depth is not None
    frame.depth[:, :317] = 0.5
    frame.depth[:, 317:324] = np.nan
    frame.depth[238:242, 319:322] = 0.65
    (none,) = lift_spots(frame, Spot((320, 240)), SETTINGS)
    assert isinstance(none, Abstention)
    assert none.code == Code.MULTI_SURFACE


@pytest.mark.parametrize('bad', [{'ties': 'maybe'}, {'window_m': 0.0}, {'range_m': (3.0, 1.0)}, {'pose_sigma_m': -1.0}])
def test_settings_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match='got'):
        LiftSettings(**bad)  # type: ignore[arg-type]
