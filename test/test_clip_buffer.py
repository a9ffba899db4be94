# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clip has the right frames at the right times, or there is none and the sentence says why."""

import pytest

pytest.importorskip('hypothesis')
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from affordance_ros.clip_buffer import ClipBuffer, ClipShape  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402

MS, S = 1_000_000, 1_000_000_000


def filled(stamps_ms, shape=None):
    buffer = ClipBuffer(shape or ClipShape())
    for stamp in stamps_ms:
        buffer.add(round(stamp * MS), stamp)
    return buffer


def refusal(buffer, now_ms, max_age_s=1.0, ending=None):
    with pytest.raises(AffordanceError) as caught:
        buffer.clip(round(now_ms * MS), max_age_s, ending)
    assert caught.value.code == Code.NO_CLIP
    return caught.value.message


def test_a_camera_at_four_frames_per_second_gives_its_last_ten():
    stamps = [1000 + 250 * index for index in range(14)]
    assert filled(stamps).clip(4300 * MS, 1.0) == stamps[-10:]


@pytest.mark.parametrize('rate', [5, 10, 15, 30, 60, 90])
def test_any_faster_camera_gives_frames_a_quarter_second_apart(rate):
    stamps = [10_000 + 1000 * index / rate for index in range(6 * rate)]
    clip = filled(stamps).clip(round(stamps[-1] * MS), 1.0)
    assert len(clip) == 10
    assert clip[-1] == stamps[-1]
    for index, stamp in enumerate(clip):
        assert abs(stamp - (stamps[-1] - 250 * (9 - index))) <= (250 / 4 + 1000 / rate) / 2


def test_memory_does_not_grow_with_the_rate_of_the_camera():
    sizes = [len(filled([1000 * index / rate for index in range(10 * rate)])) for rate in (30, 90, 300)]
    assert max(sizes) <= 50
    assert max(sizes) - min(sizes) <= 8


def test_too_short_says_how_long_it_is_and_how_long_to_wait():
    message = refusal(filled([1000, 1250, 1500, 1750]), 1750)
    assert '0.75 s long so far' in message
    assert '10 frames at 4 Hz over 2.25 s' in message
    assert 'ask again in 1.50 s' in message
    assert 'no image' in refusal(ClipBuffer(), 0)


def test_too_old_and_from_the_future_are_told_apart():
    buffer = filled([250 * index for index in range(12)])
    assert '3.25 s old' in refusal(buffer, 6000)
    assert '1.75 s in the future' in refusal(buffer, 1000)


def test_a_gap_is_a_jump_and_no_clip():
    stamps = [250 * index for index in range(20) if index not in (12, 13, 14)]
    message = refusal(filled(stamps), 4750)
    assert 'jump by 1.00 s, 1.00 s before the newest' in message


def test_a_camera_that_is_too_slow_is_told_so():
    assert 'raise the rate' in refusal(filled([500 * index for index in range(12)]), 5500)


def test_a_jump_back_in_time_begins_anew_and_says_so():
    buffer = filled([250 * index for index in range(12)])
    for index in range(4):
        buffer.add((500 + 250 * index) * MS, f'new {index}')
    message = refusal(buffer, 1250)
    assert 'jumped back by 2.25 s' in message
    for index in range(4, 12):
        buffer.add((500 + 250 * index) * MS, f'new {index}')
    assert buffer.clip(3250 * MS, 1.0) == [f'new {index}' for index in range(2, 12)]


def test_a_message_that_was_overtaken_changes_nothing():
    buffer = filled([250 * index for index in range(12)])
    before = buffer.clip(2750 * MS, 1.0)
    buffer.add(2600 * MS, 'late')
    buffer.add(2750 * MS, 'again')
    assert buffer.clip(2750 * MS, 1.0) == before


def test_a_clip_ends_with_the_image_that_a_request_froze():
    stamps = [100 * index for index in range(40)]
    buffer = filled(stamps)
    clip = buffer.clip(3900 * MS, 1.0, ending=(3600 * MS, 'frozen'))
    assert clip[-1] == 'frozen'
    assert clip[:-1] == sorted(clip[:-1])
    assert max(clip[:-1]) < 3600
    assert len(clip) == 10


def test_clear_forgets_everything():
    buffer = filled([250 * index for index in range(12)])
    buffer.clear()
    assert len(buffer) == 0
    assert 'no image' in refusal(buffer, 3000)


@pytest.mark.parametrize('wrong', [{'frames': 0}, {'rate_hz': 0.0}, {'slack': 0.0}, {'slack': 1.5}])
def test_impossible_shapes_are_refused(wrong):
    with pytest.raises(AffordanceError) as caught:
        ClipShape(**wrong)
    assert caught.value.code == Code.BAD_INPUT


@given(
    st.lists(st.integers(-700, 700), min_size=1, max_size=120),
    st.integers(1, 12),
    st.sampled_from([1.0, 4.0, 10.0]),
)
@settings(max_examples=500, deadline=None)
def test_whatever_comes_a_clip_is_even_or_refused(steps, frames, rate):
    shape = ClipShape(frames, rate)
    buffer, stamp = ClipBuffer(shape), 10**6
    for step in steps:
        stamp += step
        buffer.add(stamp * MS, stamp * MS)
    clip, refused = None, None
    try:
        clip = buffer.clip(stamp * MS, 10.0)
    except AffordanceError as error:
        refused = error.code
    if clip is None:
        assert refused == Code.NO_CLIP
        return
    assert len(clip) == frames
    for index, found in enumerate(clip):
        assert abs(found - (clip[-1] - (frames - 1 - index) * shape.period_ns)) <= shape.period_ns / 2
    assert all(earlier < later for earlier, later in zip(clip[:-1], clip[1:], strict=True))
