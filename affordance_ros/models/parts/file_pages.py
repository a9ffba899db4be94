# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand the pages of a mapped checkpoint file back once they were copied, so that loading never holds it twice."""

import ctypes
import mmap
from pathlib import Path

import torch

_MAPS = Path('/proc/self/maps')
_DONTNEED = 4  # MADV_DONTNEED of Linux


def forget_pages(tensor: torch.Tensor, file: Path) -> None:
    """Drop the resident pages of a tensor that lies in a mapping of `file`; they are read again when touched.

    A tensor that lies anywhere else is left alone: its pages would be lost. So is everything but Linux.
    """
    size = tensor.numel() * tensor.element_size()
    start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (tensor.data_ptr() + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > start and _MAPS.is_file() and _lies_in(start, end, file):
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)


def _lies_in(start: int, end: int, file: Path) -> bool:
    name = str(file.resolve())
    for line in _MAPS.read_text().splitlines():
        if line.endswith(name):
            low, high = (int(part, 16) for part in line.split(' ', 1)[0].split('-'))
            if low <= start and end <= high:
                return True
    return False
