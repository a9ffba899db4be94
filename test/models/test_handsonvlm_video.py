# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames and which part of them the model sees, and that ten frames give the tokens of a hundred."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models.handsonvlm_video import (  # noqa: E402
    ANCHORS,
    TRAINED_ASPECT,
    choose_crop,
    frame_tokens,
    take_clip,
    visual_tokens,
)
from affordance_ros.results import Frame  # noqa: E402


def frame(value=0, stamp_ns=0, size=(6, 8)):
    return Frame(np.full((*size, 3), value, np.uint8), stamp_ns=stamp_ns)


def values(frames):
    return [int(each.rgb[0, 0, 0]) for each in frames]


def test_a_still_is_a_clip_of_ten_equal_frames_and_says_so():
    frames, notes = take_clip(frame(7))
    assert values(frames) == [7] * 10
    assert 'no motion' in notes[0]


def test_ten_frames_stay_as_they_are():
    frames, notes = take_clip([frame(i, 1 + i * 250_000_000) for i in range(10)])
    assert values(frames) == list(range(10))
    assert notes == ()


def test_too_few_frames_repeat_the_oldest_and_too_many_are_thinned_evenly():
    frames, notes = take_clip([frame(i) for i in (3, 4, 5)])
    assert values(frames) == [3] * 8 + [4, 5]
    assert 'repeated' in notes[0]
    frames, notes = take_clip([frame(i) for i in range(28)])
    assert values(frames) == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert '10 evenly spaced frames of 28' in notes[0]


@pytest.mark.parametrize(('period_ms', 'noted'), [(250, False), (200, False), (100, True), (1000, True)])
def test_a_clip_of_another_speed_is_told(period_ms, noted):
    _, notes = take_clip([frame(0, 1 + i * period_ms * 1_000_000) for i in range(10)])
    assert bool(notes) == noted
    assert all('not reliable' in note for note in notes)


def test_impossible_clips_are_refused():
    for clip, code, words in (
        ([], Code.NO_IMAGE, 'no frame'),
        ([frame(0, size=(6, 8)), frame(0, size=(6, 9))], Code.BAD_INPUT, '8x6, 9x6'),
        ([frame(0, 2), frame(0, 1)], Code.BAD_INPUT, 'oldest first'),
    ):
        with pytest.raises(AffordanceError, match=words) as caught:
            take_clip(clip)
        assert caught.value.code == code


def test_training_shape_and_nearly_it_are_not_cut():
    for width, height in ((456, 256), (1280, 720), (1920, 1080)):
        crop = choose_crop(width, height, 'aspect', 'center')
        assert (crop.left, crop.top, crop.width, crop.height) == (0, 0, width, height)


@pytest.mark.parametrize(('anchor', 'top'), [('top', 0), ('center', 60), ('bottom', 121)])
def test_a_four_to_three_camera_is_cut_where_one_wants(anchor, top):
    crop = choose_crop(640, 480, 'aspect', anchor)
    assert (crop.left, crop.top, crop.width, crop.height) == (0, top, 640, 359)
    assert choose_crop(640, 480, 'direct', anchor).height == 480


def test_a_wide_camera_loses_its_sides():
    crop = choose_crop(2000, 500, 'aspect', 'top')
    assert (crop.top, crop.height, crop.width) == (0, 500, 891)
    assert crop.left == (2000 - 891) // 2


@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from(sorted(ANCHORS)), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=500, deadline=None)
def test_any_part_lies_in_the_image_and_maps_back_exactly(width, height, anchor, x, y):
    crop = choose_crop(width, height, 'aspect', anchor)
    assert 0 <= crop.left <= crop.left + crop.width <= width
    assert 0 <= crop.top <= crop.top + crop.height <= height
    assert crop.width == width or crop.height == height
    if min(width, height) > 200 and (crop.width, crop.height) != (width, height):
        assert crop.width / crop.height == pytest.approx(TRAINED_ASPECT, rel=0.01)
    u, v = crop.to_pixels(np.array([x, y]))
    assert crop.left <= u <= crop.left + crop.width
    assert (u - crop.left) / crop.width == pytest.approx(x, abs=1e-9)
    assert (v - crop.top) / crop.height == pytest.approx(y, abs=1e-9)


def test_the_part_is_what_the_model_is_shown():
    rgb = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
    crop = choose_crop(640, 480, 'aspect', 'center')
    part = crop.cut(rgb)
    u, v = crop.to_pixels(np.array([10 / crop.width, 20 / crop.height]))
    assert np.array_equal(part[20, 10], rgb[round(v), round(u)])


def test_ten_frames_give_the_tokens_of_the_hundred():
    torch.manual_seed(1)
    unique = torch.randn(10, 256, 6)
    hundred = unique.repeat(10, 1, 1)  # f0 to f9, again f0 to f9, ...
    fast = hundred.mean(dim=1)
    slow = []
    for index in (0, 33, 66, 99):
        grid = hundred[index].reshape(16, 16, 6)
        slow += [grid[r : r + 2, c : c + 2].mean(dim=(0, 1)) for r in range(0, 16, 2) for c in range(0, 16, 2)]
    wanted = torch.cat([fast, torch.stack(slow)])
    got = visual_tokens([frame_tokens(features) for features in unique])
    assert got.shape == (356, 6)
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
