# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a soft map to keypoints and boxes: known maps, and rules that hold for any map."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from affordance_ros.models.glover_maps import SPECK, find_places
from affordance_ros.results import Heatmap

MAPS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    elements=st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
)


def blobs(*blobs_at, size=(60, 80)):
    v, u = np.mgrid[: size[0], : size[1]]
    values = np.zeros(size)
    for x, y, height, sigma in blobs_at:
        values = np.maximum(values, height * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2)))
    return Heatmap(values)


def test_one_blob_is_one_point_and_its_box():
    points, boxes = find_places(blobs((30, 20, 0.8, 5)), 0.5, 5, 'mug')
    assert points.points.tolist() == [[30, 20]]
    assert np.allclose(points.scores, [0.8])
    assert points.labels == boxes.labels == ('mug',)
    assert boxes.boxes.tolist() == [[25, 15, 35, 25]]  # down to half of the peak: 5.9 pixels, of which 5 are whole


def test_two_blobs_come_best_first():
    points, boxes = find_places(blobs((12, 40, 0.6, 4), (60, 10, 0.9, 4)), 0.5, 5)
    assert points.points.tolist() == [[60, 10], [12, 40]]
    assert np.allclose(points.scores, [0.9, 0.6])
    assert len(boxes) == 2


def test_a_weak_second_blob_is_left_out_and_a_lower_ratio_finds_it():
    heatmap = blobs((12, 40, 0.3, 4), (60, 10, 0.9, 4))
    assert len(find_places(heatmap, 0.5, 5)[0]) == 1
    assert len(find_places(heatmap, 0.3, 5)[0]) == 2


def test_the_limit_keeps_the_best():
    points, _ = find_places(blobs((12, 40, 0.6, 4), (60, 10, 0.9, 4), (60, 45, 0.7, 4)), 0.5, 2)
    assert np.allclose(points.scores, [0.9, 0.7])


def test_specks_are_left_out_but_not_the_peak():
    values = np.array(blobs((40, 30, 0.8, 12)).values)
    values[2, 3] = 0.7
    assert find_places(Heatmap(values), 0.5, 5)[0].points.tolist() == [[40, 30]]
    values[2, 3] = 0.9
    assert find_places(Heatmap(values), 0.5, 5)[0].points.tolist()[0] == [3, 2]


def test_flat_and_empty_maps_name_no_place():
    for value in (0.0, 0.4, 1.0):
        points, boxes = find_places(Heatmap(np.full((5, 7), value)), 0.5, 5)
        assert len(points) == len(boxes) == 0


def test_a_plateau_is_named_by_its_first_pixel():
    values = np.zeros((6, 6))
    values[2:4, 3:5] = 1
    assert find_places(Heatmap(values), 0.5, 5)[0].points.tolist() == [[3, 2]]


@settings(max_examples=600, deadline=None)
@given(values=MAPS, ratio=st.floats(0.01, 1), limit=st.integers(1, 6))
def test_rules_that_hold_for_any_map(values, ratio, limit):
    height, width = values.shape
    points, boxes = find_places(Heatmap(values), ratio, limit, 'x')
    assert len(points) == len(boxes) <= limit
    if values.max() == values.min():
        assert len(points) == 0
        return
    first = np.unravel_index(int(values.argmax()), values.shape)
    assert tuple(points.points[0].astype(int)) == (first[1], first[0])
    u, v = points.points.astype(int).T
    assert np.array_equal(points.scores, values[v, u].astype(np.float64))
    assert (np.diff(points.scores) <= 0).all()
    assert (points.scores >= ratio * values.max()).all()
    x0, y0, x1, y1 = boxes.boxes.T
    assert ((x0 <= u) & (u <= x1) & (y0 <= v) & (v <= y1)).all()
    assert (x0 >= 0).all()
    assert (y0 >= 0).all()
    assert (x1 < width).all()
    assert (y1 < height).all()


@settings(max_examples=500, deadline=None)
@given(values=MAPS, ratio=st.floats(0.05, 1))
def test_every_region_is_found_once(values, ratio):
    """An independent count of the regions and of their highest values."""
    points, _ = find_places(Heatmap(values), ratio, 10_000)
    if values.max() == values.min():
        return
    wide = values.astype(np.float64)
    regions, count = ndimage.label(wide >= ratio * wide.max(), structure=np.ones((3, 3)))
    sizes = [int((regions == index).sum()) for index in range(1, count + 1)]
    tops = [wide[regions == index].max() for index in range(1, count + 1)]
    kept = [top for top, size in zip(tops, sizes, strict=True) if size * SPECK >= max(sizes) or top == wide.max()]
    assert sorted(points.scores.tolist(), reverse=True) == sorted(kept, reverse=True)
