# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of images: the same pixels are computed once, the image asked for longest ago goes first."""

import numpy as np
import pytest

from affordance_ros.models.parts.remembered import Remembered, image_key

IMAGES = [np.full((4, 6, 3), value, np.uint8) for value in range(5)]


def sums(rgbs):
    return [int(rgb.sum()) for rgb in rgbs]


def test_the_same_pixels_have_one_name_whatever_their_layout():
    wide = np.random.default_rng(0).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    assert image_key(wide[::2, ::2]) == image_key(wide[::2, ::2].copy())
    assert image_key(wide) != image_key(wide.reshape(12, 8, 3))
    assert image_key(wide) != image_key(wide[::-1])


def test_several_images_are_computed_once_each_in_their_order():
    memory, asked = Remembered[int](8), []

    def compute(rgbs):
        asked.extend(rgbs)
        return sums(rgbs)

    assert memory.get_all([IMAGES[1], IMAGES[2], IMAGES[1]], compute) == sums([IMAGES[1], IMAGES[2], IMAGES[1]])
    assert memory.get_all([IMAGES[3], IMAGES[2]], compute) == sums([IMAGES[3], IMAGES[2]])
    assert memory.computed == len(asked) == 3


def test_what_was_asked_for_longest_ago_is_dropped():
    memory = Remembered[int](2)
    for index in (0, 1, 0, 2):  # 0 was asked for after 1
        assert memory.get(IMAGES[index], lambda index=index: index) == index
    assert memory.get(IMAGES[0], lambda: -1) == 0
    assert memory.get(IMAGES[1], lambda: -1) == -1


def test_a_kind_is_remembered_by_itself():
    memory = Remembered[str](4)
    assert [memory.get(IMAGES[0], lambda kind=kind: kind, kind) for kind in ('a', 'b', 'a')] == ['a', 'b', 'a']
    assert memory.computed == 2


def test_size_zero_remembers_nothing_and_a_failure_leaves_no_trace():
    forgetful = Remembered[int](0)
    assert forgetful.get_all(IMAGES, sums) == forgetful.get_all(IMAGES, sums) == sums(IMAGES)
    assert forgetful.computed == 2 * len(IMAGES)
    memory = Remembered[int](4)
    with pytest.raises(ZeroDivisionError):
        memory.get(IMAGES[0], lambda: 1 // 0)
    assert memory.get(IMAGES[0], lambda: 7) == 7
    assert memory.computed == 1
