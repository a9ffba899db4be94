# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was computed from an image, kept for the next question about the same pixels."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar('T')


def image_key(rgb: npt.NDArray[np.uint8]) -> bytes:
    """Return a name for the pixels of an image: the same pixels give the same name."""
    return hashlib.blake2b(np.ascontiguousarray(rgb).tobytes() + str(rgb.shape).encode(), digest_size=16).digest()


class Remembered(Generic[T]):
    """The results of the last `size` images; size 0 remembers nothing. computed: how many had to be computed."""

    def __init__(self, size: int = 1) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, T] = OrderedDict()
        self.computed = 0

    def get(self, rgb: npt.NDArray[np.uint8], compute: Callable[[], T], kind: str = '') -> T:
        """Return what is remembered for `rgb`, or compute and keep it, dropping what was asked for longest ago.

        kind: tells apart several things that are computed from the same pixels.
        """
        key = image_key(rgb) + kind.encode()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        result = compute()
        self.computed += 1
        self._kept[key] = result
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return result
