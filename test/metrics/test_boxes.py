# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Box scores: known values, and that failures cannot raise them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affordance_ros.metrics.boxes import box_iou, box_score
from affordance_ros.results import Boxes

BOXES = st.tuples(*[st.integers(0, 50)] * 4).map(lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]])


def test_known_overlaps():
    assert box_iou([0, 0, 2, 2], [1, 1, 3, 3]) == pytest.approx(1 / 7)
    assert box_iou([0, 0, 2, 2], [0, 0, 2, 2]) == 1
    assert box_iou([0, 0, 2, 2], [2, 0, 4, 2]) == 0
    assert box_iou([1, 1, 1, 1], [1, 1, 1, 1]) == 0


@given(BOXES, BOXES)
def test_the_order_of_two_boxes_does_not_matter(first, second):
    iou = box_iou(first, second)
    assert iou == box_iou(second, first)
    assert 0 <= iou <= 1


@pytest.mark.parametrize('box', [[2, 2, 0, 0], [0, 0, np.nan, 1], [0, 0, 1], [[0, 0], [1, 1]]])
def test_what_is_no_box_is_refused(box):
    with pytest.raises(ValueError, match='a box must be'):
        box_iou(box, [0, 0, 1, 1])


def test_failures_count_as_zero():
    truth = [0, 0, 10, 10]
    answers = [Boxes([truth]), None, Boxes(np.zeros((0, 4))), Boxes([[0, 0, 10, 4], truth])]
    score = box_score(answers, [truth] * 4)
    assert score.ious == (1, 0, 0, pytest.approx(0.4))
    assert score.unreadable == 1
    assert score.mean_iou == pytest.approx(1.4 / 4)
    assert score.accuracy(0.1) == 0.5
    assert score.accuracy(0.5) == 0.25
    assert np.isnan(box_score([], []).mean_iou)
