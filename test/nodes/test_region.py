# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A region of interest and a threshold change what is seen and what stays, and nothing else."""

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.camera import deproject
from affordance_ros.nodes.region import Region, above, cut, put_back
from affordance_ros.results import Boxes, Frame, Heatmap, Intrinsics, Keypoints, Masks, Prediction, Query, Trace

K = Intrinsics(100.0, 110.0, 40.0, 30.0, 80, 60)
QUERY = Query(text='x')


def frame() -> Frame:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    return Frame(rgb, rng.uniform(0.5, 1.0, (60, 80)).astype(np.float32), K, 5, 'camera')


def test_a_cut_out_shows_the_same_points_in_space() -> None:
    whole, region = frame(), Region(20, 10, 30, 25)
    part = cut(whole, region)
    assert part.rgb.shape == (25, 30, 3)
    np.testing.assert_array_equal(part.rgb[3, 4], whole.rgb[13, 24])
    here, there = (deproject(np.array([[4.0 + x, 3.0 + y]]), np.array([0.7]), k) for x, y, k in (
        (0, 0, part.intrinsics), (20, 10, whole.intrinsics),
    ))  # fmt: skip
    np.testing.assert_allclose(here, there)
    assert (part.stamp_ns, part.frame_id) == (whole.stamp_ns, whole.frame_id)


def test_a_region_is_cut_to_the_image_and_refused_outside_it() -> None:
    assert Region(-5, 40, 30, 100).within(80, 60) == Region(0, 40, 25, 20)
    with pytest.raises(AffordanceError, match='80x60') as refused:
        Region(70, 0, 30, 30).within(80, 60)
    assert refused.value.code == Code.BAD_INPUT


def test_an_answer_about_a_cut_out_is_put_back_with_all_its_parts() -> None:
    whole, region = frame(), Region(20, 10, 30, 25)
    values = np.zeros((25, 30))
    values[5, 6] = 1.0
    answer = Prediction(
        model='m',
        query=QUERY,
        keypoints=Keypoints(np.array([[6.0, 5.0]]), np.array([0.5]), ('a',)),
        boxes=Boxes(np.array([[1.0, 2.0, 8.0, 9.0]])),
        traces=(Trace(np.array([[0.0, 0.0], [3.0, 4.0]])),),
        heatmap=Heatmap(values),
        masks=Masks(values[None] > 0),
    )
    back = put_back(answer, region, whole)
    assert back.keypoints is not None
    assert back.boxes is not None
    assert back.traces is not None
    np.testing.assert_array_equal(back.keypoints.points, [[26.0, 15.0]])
    assert back.keypoints.labels == ('a',)
    np.testing.assert_array_equal(back.boxes.boxes, [[21.0, 12.0, 28.0, 19.0]])
    np.testing.assert_array_equal(back.traces[0].points, [[20.0, 10.0], [23.0, 14.0]])
    assert back.heatmap is not None
    assert back.masks is not None
    assert back.heatmap.values.shape == (60, 80)
    assert np.unravel_index(back.heatmap.values.argmax(), (60, 80)) == (15, 26)
    assert np.argwhere(back.masks.masks[0]).tolist() == [[15, 26]]


def test_a_threshold_leaves_out_what_is_scored_lower_and_keeps_what_has_no_score() -> None:
    points = Keypoints(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), np.array([0.2, np.nan, 0.8]), ('a', 'b', 'c'))
    boxes = Boxes(np.array([[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 5.0, 5.0]]), np.array([0.9, 0.1]), ('p', 'q'))
    answer = Prediction(model='m', query=QUERY, keypoints=points, boxes=boxes)
    kept = above(answer, 0.5)
    assert kept.keypoints is not None
    assert kept.boxes is not None
    assert kept.keypoints.labels == ('b', 'c')
    assert kept.boxes.labels == ('p',)
    assert above(answer, 0.0) is answer
    nothing = above(answer, 1.0)
    assert nothing.boxes is not None
    assert len(nothing.boxes) == 0
