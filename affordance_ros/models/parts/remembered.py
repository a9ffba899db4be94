# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was computed from an image, kept for the next question about the same pixels."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar('T')
Rgb = npt.NDArray[np.uint8]


def image_key(rgb: Rgb) -> bytes:
    """Return a name for the pixels of an image: the same pixels give the same name. Nothing is copied."""
    return hashlib.sha256(np.ascontiguousarray(rgb).data).digest() + str(rgb.shape).encode()


class Remembered(Generic[T]):
    """The results of the last `size` images; size 0 remembers nothing. computed: how many had to be computed."""

    def __init__(self, size: int = 1) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, T] = OrderedDict()
        self.computed = 0

    def get(self, rgb: Rgb, compute: Callable[[], T], kind: str = '') -> T:
        """Return what is remembered for `rgb`, or compute and keep it, dropping what was asked for longest ago.

        kind: tells apart several things that are computed from the same pixels.
        """
        return self.get_all([rgb], lambda _: [compute()], kind)[0]

    def get_all(self, rgbs: Sequence[Rgb], compute: Callable[[list[Rgb]], Sequence[T]], kind: str = '') -> list[T]:
        """Return the result of every image; `compute` gets those that are not remembered, each of them once."""
        keys = [image_key(rgb) + kind.encode() for rgb in rgbs]
        new = {key: rgb for key, rgb in zip(keys, rgbs, strict=True) if key not in self._kept}
        if new:
            self._kept |= zip(new, compute(list(new.values())), strict=True)
            self.computed += len(new)
        for key in keys:
            self._kept.move_to_end(key)
        found = [self._kept[key] for key in keys]
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return found
