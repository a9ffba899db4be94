# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs by stamp, newest only, nothing kept after a jump back in time."""

import threading
import time

from affordance_ros.nodes.rgbd_sync import BundleStore

MS = 1_000_000


def store(slop_ms: int = 20) -> BundleStore:
    made = BundleStore(slop_ms * MS)
    made.add_info('info')
    return made


def test_pairs_within_the_slop_and_keeps_the_newest() -> None:
    made = store()
    for index in range(5):
        made.add_image(index * 33 * MS, f'image {index}')
        made.add_depth((index * 33 + 4) * MS, f'depth {index}')
    newest = made.newest
    assert newest is not None
    assert (newest.image, newest.depth, newest.info, newest.number) == ('image 4', 'depth 4', 'info', 5)
    assert newest.stamp_ns == 4 * 33 * MS


def test_depth_may_come_first() -> None:
    made = store()
    made.add_depth(100 * MS, 'depth')
    made.add_image(101 * MS, 'image')
    assert made.newest is not None


def test_outside_the_slop_is_no_pair() -> None:
    made = store()
    made.add_image(0, 'image')
    made.add_depth(30 * MS, 'depth')
    assert made.newest is None
    assert made.counters.images == made.counters.depths == 1


def test_slow_depth_drops_colour_and_counts_it() -> None:
    made = store(slop_ms=5)
    for index in range(10):
        made.add_image(index * 33 * MS, index)
        if index % 3 == 0:
            made.add_depth(index * 33 * MS, index)
    assert made.counters.bundles == 4
    assert made.counters.unpaired == 6
    assert made.newest is not None
    assert made.newest.image == made.newest.depth == 9


def test_a_loop_of_a_bag_pairs_as_well_on_the_second_pass() -> None:
    made = store()
    for _ in range(2):
        before = made.counters.bundles
        for index in range(20):
            made.add_image(index * 33 * MS, index)
            made.add_depth(index * 33 * MS, index)
        assert made.counters.bundles - before == 20
    assert made.counters.jumps >= 1


def test_without_need_of_depth_every_image_is_a_bundle() -> None:
    made = BundleStore(0, need_depth=False)
    made.add_info('info')
    made.add_image(1, 'image')
    assert made.newest is not None
    assert made.newest.depth is None


def test_wait_returns_what_is_newer_than_asked_and_gives_up_in_time() -> None:
    made = store()
    assert made.wait(0.05) is None
    made.add_image(0, 'a')
    made.add_depth(0, 'a')
    first = made.wait(0.05)
    assert first is not None
    assert made.wait(0.05, after=first.number) is None
    threading.Timer(0.1, lambda: (made.add_image(50 * MS, 'b'), made.add_depth(50 * MS, 'b'))).start()
    second = made.wait(2.0, after=first.number)
    assert second is not None
    assert second.image == 'b'


def test_wait_needs_camera_info_and_honours_stop() -> None:
    made = BundleStore(0)
    made.add_image(0, 'a')
    made.add_depth(0, 'a')
    start = time.monotonic()
    assert made.wait(5.0, stop=lambda: time.monotonic() - start > 0.1) is None
    assert time.monotonic() - start < 1.0
    made.add_info('late')
    assert made.wait(0.1) is not None


def test_clear_forgets() -> None:
    made = store()
    made.add_image(0, 'a')
    made.add_depth(0, 'a')
    made.clear()
    assert made.newest is None
