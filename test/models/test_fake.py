# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fake model: what other tests build on."""

import time

import numpy as np
import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model
from affordance_ros.results import Frame, Query

FRAME = Frame(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ('text', 'points'),
    [
        ('point at 3,4', [[3, 4]]),
        ('grasp the mug', [[31.5, 23.5]]),
        ('at 1,2 and at 3.5, 4', [[1, 2], [3.5, 4]]),
        ('at 640,480', np.zeros((0, 2))),
        ('nothing', np.zeros((0, 2))),
    ],
)
def test_answers_follow_from_the_sentence(text, points):
    assert np.array_equal(load_model('fake').predict(FRAME, Query(text)).keypoints.points, points)


def test_delay_streams_text_and_honours_stop():
    steps = []
    answer = load_model('fake', delay_s=0.2).predict(FRAME, Query('at 3,4'), progress=steps.append)
    assert steps[-1].text == answer.text == '[(3.0, 4.0)]'
    assert len({step.text for step in steps}) > 3
    start = time.monotonic()
    with pytest.raises(AffordanceError) as caught:
        load_model('fake', delay_s=10.0).predict(FRAME, Query('x'), stop=lambda: time.monotonic() - start > 0.1)
    assert caught.value.code == Code.CANCELED
    assert time.monotonic() - start < 2


def test_fails_as_told():
    with pytest.raises(AffordanceError) as caught:
        load_model('fake', fail='OOM').predict(FRAME, Query('x'))
    assert caught.value.code == Code.OOM
    with pytest.raises(AffordanceError, match='NO_SUCH'):
        load_model('fake', fail='NO_SUCH')
