# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a part begins and ends in each of several strips across it: the quantiles of all strips from one sort."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
APART_M = 1.0  # more than any part measures: keeps the values of one strip from those of the next


def ends_by_strip(y: Array, strip: npt.NDArray[np.intp], count: int, share: float) -> tuple[Array, Array]:
    """Return the quantiles `share` and 1 - `share` of y (N,) in each strip (2, count), and how many points it holds.

    strip: (N,) in [0, count). What is told of an empty strip means nothing.
    """
    number = np.bincount(strip, minlength=count)
    ordered = np.sort(y + APART_M * strip)
    last = np.maximum(number - 1, 0)
    start = np.minimum(np.cumsum(number) - number, len(y) - 1)
    place = np.array([[share], [1 - share]]) * last
    below = place.astype(int)
    first = ordered[start + below]
    second = ordered[start + np.minimum(below + 1, last)]
    return first + (second - first) * (place - below) - APART_M * np.arange(count), number
