# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks, heatmaps and boxes: on the surface of what they mean, never in the air, several modes kept."""

import numpy as np
import pytest
from synthetic_depth import CAMERA, cylinder, frame_of, plane, ring, slab

from affordance_ros.geometry.box_region import object_in_box
from affordance_ros.geometry.lifting import LiftSettings, lift, spots_of
from affordance_ros.geometry.region import eroded
from affordance_ros.geometry.table import table_of
from affordance_ros.results import Boxes, Contact, Frame, Heatmap, Keypoints, Masks, Prediction, Query

SETTINGS = LiftSettings()
SIGMA = 0.0015
TABLE = plane((0, 0, 0.75), (0, 0, -1))
LEANING = plane((0, 0, 0.8), (0, -0.6, -0.8))


def answer(**places: object) -> Prediction:
    return Prediction('fake', Query(text='x'), **places)  # type: ignore[arg-type]


def contacts(frame: Frame, prediction: Prediction) -> list[Contact]:
    items = lift(frame, prediction, SETTINGS)
    assert all(isinstance(item, Contact) for item in items), items
    return items  # type: ignore[return-value]


def blob(u: float, v: float, width: float = 12.0) -> np.ndarray:
    rows, columns = np.indices((480, 640))
    return np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * width**2))


def test_the_middle_of_a_ring_is_on_the_ring() -> None:
    frame = frame_of(TABLE, ring(0.6, 0.03, 0.05), sigma=SIGMA)
    mask = np.isfinite(ring(0.6, 0.03, 0.05))
    (found,) = contacts(frame, answer(masks=Masks(mask[None])))
    assert found.point[2] == pytest.approx(0.6, abs=0.003)
    away = np.hypot(*(np.array(found.pixel) - (320, 240))) * 0.6 / 600
    assert 0.03 < away < 0.05
    assert found.method == 'mask'


def test_a_mask_that_bleeds_onto_the_table_stays_on_the_handle() -> None:
    handle = cylinder(0.6, 0.006, 0.08)
    rows, columns = np.nonzero(np.isfinite(handle))
    mask = np.zeros((480, 640), bool)
    mask[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = True
    (found,) = contacts(frame_of(TABLE, handle, sigma=SIGMA), answer(masks=Masks(mask[None])))
    assert found.point[2] == pytest.approx(0.594, abs=2 * SIGMA + 0.001)
    assert abs(found.point[1]) < 0.003  # on its middle line
    assert abs(found.axis[0]) > 0.95


def test_every_mode_of_a_heatmap_is_kept_and_the_stronger_comes_first() -> None:
    frame = frame_of(TABLE, slab(0.6, 0.15, 0.1), sigma=SIGMA)
    heat = np.maximum(0.7 * blob(250, 240), blob(400, 230))
    found = contacts(frame, answer(heatmap=Heatmap(heat)))
    assert [item.score for item in found] == pytest.approx([1.0, 0.7], abs=0.01)
    for item, (u, v) in zip(found, ((400, 230), (250, 240)), strict=True):
        assert np.hypot(item.pixel[0] - u, item.pixel[1] - v) < 6
        assert item.method == 'heatmap'
    weak = np.maximum(0.3 * blob(250, 240), blob(400, 230))
    assert len(spots_of(answer(heatmap=Heatmap(weak)))) == 1


def test_a_wide_heatmap_is_less_certain() -> None:
    frame = frame_of(TABLE, slab(0.6, 0.15, 0.1), sigma=SIGMA)
    narrow, wide = (contacts(frame, answer(heatmap=Heatmap(blob(320, 240, width))))[0] for width in (5, 16))
    assert np.trace(wide.covariance) > 2 * np.trace(narrow.covariance)


@pytest.mark.parametrize('table', [TABLE, LEANING], ids=['square', 'leaning'])
def test_a_box_about_a_thin_tool_is_the_tool(table: np.ndarray) -> None:
    shaft = cylinder(0.62, 0.006, 0.09)
    frame = frame_of(np.where(np.isfinite(table), np.maximum(table, 0.64), np.inf), shaft, sigma=SIGMA)
    rows, columns = np.nonzero(np.isfinite(shaft))
    box = [columns.min() - 5.0, rows.min() - 60.0, columns.max() + 5.0, rows.max() + 60.0]
    (found,) = contacts(frame, answer(boxes=Boxes(np.array([box]))))
    assert found.point[2] == pytest.approx(0.614, abs=2 * SIGMA + 0.001)
    assert abs(found.point[1]) < 0.004
    assert found.method == 'box'


def test_what_goes_on_beyond_a_box_is_not_what_it_means() -> None:
    far = slab(0.65, 0.06, 0.02)
    rows, columns = np.nonzero(np.isfinite(far))
    pillar = np.full((480, 640), np.inf)
    pillar[150:420, 325:355] = 0.5
    frame = frame_of(TABLE, far, pillar, sigma=SIGMA)
    box = (float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))
    region = object_in_box(frame, box, SETTINGS, table_of(frame, SETTINGS.noise, SETTINGS.range_m))
    assert region is not None
    assert np.median(frame.depth[region]) == pytest.approx(0.65, abs=0.005)
    assert region.sum() > 0.3 * len(rows)


def test_a_box_without_depth_gives_no_region() -> None:
    frame = frame_of(TABLE, holes=1.0)
    assert object_in_box(frame, (100, 100, 200, 200), SETTINGS) is None
    assert object_in_box(frame_of(TABLE), (700, 100, 800, 200), SETTINGS) is None


def test_a_flat_tool_on_the_table_is_told_from_it_by_the_noise_of_many_pixels() -> None:
    tool = slab(0.74, 0.10, 0.012)
    frame = frame_of(TABLE, tool, sigma=0.004)
    noisy = LiftSettings(noise=type(SETTINGS.noise)(0.004, 0.0))
    errors = []
    for u in range(270, 371, 10):
        for v in (235, 240, 245):
            points = Keypoints(points=np.array([[u, v]], float))
            (item,) = lift(frame, answer(keypoints=points), noisy)
            assert isinstance(item, Contact)
            errors.append(item.point[2] - 0.74)
    assert abs(np.median(errors)) < 0.0015
    assert np.abs(errors).max() < 0.005


def test_erosion_takes_the_border_and_spares_thin_regions() -> None:
    wide = np.zeros((100, 100), bool)
    wide[20:60, 20:60] = True
    assert eroded(wide).sum() == 36 * 36
    thin = np.zeros((100, 100), bool)
    thin[50:53, 10:90] = True
    assert eroded(thin).sum() == thin.sum()


def test_the_table_is_found_and_a_wall_of_things_is_not() -> None:
    found = table_of(frame_of(TABLE, slab(0.6, 0.05, 0.05), sigma=0.002), SETTINGS.noise, SETTINGS.range_m)
    assert found is not None
    assert found.offset == pytest.approx(-0.75, abs=0.001)
    depth = np.random.default_rng(0).uniform(0.4, 1.5, (480, 640)).astype(np.float32)
    frame = Frame(np.zeros((480, 640, 3), np.uint8), depth, CAMERA)
    assert table_of(frame, SETTINGS.noise, SETTINGS.range_m) is None
    assert table_of(frame_of(TABLE, holes=1.0), SETTINGS.noise, SETTINGS.range_m) is None
