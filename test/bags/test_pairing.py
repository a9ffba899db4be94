# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images find the depth of their stamp whatever the order of recording, also where a bag begins anew."""

import pytest

from affordance_ros.bags.pairing import Pairing

SLOP = 20


def pairs(*messages, has_depth=True):
    """Return [(image, depth)] of messages such as 'i100' and 'd100'; a later message of a name is told by a quote."""
    pairing = Pairing(SLOP, has_depth=has_depth)
    found = []
    for name in messages:
        add = pairing.add_image if name[0] == 'i' else pairing.add_depth
        add(int(name[1:].rstrip("'")), name)
        found += pairing.ready()
    found += pairing.ready(at_end=True)
    return [(image, depth) for _, image, depth in found]


def test_the_order_of_recording_does_not_matter():
    wanted = [('i100', 'd100'), ('i200', 'd200')]
    assert pairs('i100', 'd100', 'i200', 'd200') == wanted
    assert pairs('d100', 'i100', 'd200', 'i200') == wanted
    assert pairs('i100', 'i200', 'd100', 'd200') == wanted


def test_the_nearest_depth_within_the_slop_counts():
    assert pairs('d85', 'i100', 'd110', 'd130') == [('i100', 'd110')]
    assert pairs('d70', 'i100', 'd130') == [('i100', None)]
    assert pairs('i100', 'i200', 'd200') == [('i100', None), ('i200', 'd200')]


def test_without_a_depth_stream_nothing_waits():
    pairing = Pairing(SLOP, has_depth=False)
    pairing.add_image(100, 'i100')
    assert list(pairing.ready()) == [(100, 'i100', None)]


@pytest.mark.parametrize(
    'again',
    [("i100'", "d100'", "i200'", "d200'"), ("d100'", "i100'", "d200'", "i200'"), ("d100'", "d200'", "i100'", "i200'")],
)
def test_a_bag_that_loops_pairs_each_turn_by_itself(again):
    wanted = [('i100', 'd100'), ('i200', 'd200'), ("i100'", "d100'"), ("i200'", "d200'")]
    assert pairs('i100', 'd100', 'i200', 'd200', *again) == wanted


def test_an_image_at_the_end_of_a_turn_does_not_take_the_depth_of_the_next():
    assert pairs('i100', 'd100', 'i200', "d100'", "i100'", "d200'") == [
        ('i100', 'd100'),
        ('i200', None),
        ("i100'", "d100'"),
    ]
