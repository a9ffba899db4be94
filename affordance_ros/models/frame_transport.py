# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames between two processes through one memory file that has no name, so that nothing is left behind, ever."""

import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.results import Frame

_HEADER = ('intrinsics', 'stamp_ns', 'frame_id', 'target_from_camera', 'target_frame')


@dataclass(frozen=True)
class FrameSlot:
    """Where the images of a frame lie in the memory file, as (offset in bytes, shape), and its other fields by name."""

    header: Mapping[str, Any]
    rgb: tuple[int, tuple[int, ...]]
    depth: tuple[int, tuple[int, ...]] | None


def memory_file(size: int) -> int:
    """Return the descriptor of a new memory file."""
    if hasattr(os, 'memfd_create'):
        fd = os.memfd_create('affordance_ros')
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def write_frames(fd: int, frames: Sequence[Frame]) -> tuple[FrameSlot, ...]:
    """Copy the images of `frames` into the file, which grows as needed, and return how to find them."""
    total = sum(frame.rgb.nbytes + (0 if frame.depth is None else frame.depth.nbytes + 3) for frame in frames)
    if os.fstat(fd).st_size < total:
        os.ftruncate(fd, total)
    slots, offset = [], 0
    with mmap.mmap(fd, 0) as memory:
        for frame in frames:
            rgb = (offset, frame.rgb.shape)
            offset = _copy(memory, offset, frame.rgb)
            depth = None
            if frame.depth is not None:
                offset = -(-offset // 4) * 4
                depth = (offset, frame.depth.shape)
                offset = _copy(memory, offset, frame.depth)
            slots.append(FrameSlot({name: getattr(frame, name) for name in _HEADER}, rgb, depth))
    return tuple(slots)


def read_frames(fd: int, slots: Sequence[FrameSlot]) -> list[Frame]:
    """Return copies of the frames that `write_frames` put into the file."""
    frames = []
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as memory:
        for slot in slots:
            rgb = _load(memory, *slot.rgb, np.dtype(np.uint8))
            depth = None if slot.depth is None else _load(memory, *slot.depth, np.dtype(np.float32))
            frames.append(Frame(rgb=rgb, depth=depth, **slot.header))
    return frames


def _copy(memory: mmap.mmap, offset: int, array: npt.NDArray[Any]) -> int:
    memory[offset : offset + array.nbytes] = np.ascontiguousarray(array).tobytes()
    return offset + array.nbytes


def _load(memory: mmap.mmap, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(memory[offset : offset + size], dtype).reshape(shape)
