# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames between two processes through one memory file that has no name, so that nothing is left behind, ever."""

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
    for frame in frames:
        rgb = (offset, frame.rgb.shape)
        offset = _copy(fd, offset, frame.rgb)
        depth = None
        if frame.depth is not None:
            offset = -(-offset // 4) * 4
            depth = (offset, frame.depth.shape)
            offset = _copy(fd, offset, frame.depth)
        slots.append(FrameSlot({name: getattr(frame, name) for name in _HEADER}, rgb, depth))
    return tuple(slots)


def read_frames(fd: int, slots: Sequence[FrameSlot]) -> list[Frame]:
    """Return copies of the frames that `write_frames` put into the file."""
    frames = []
    for slot in slots:
        rgb = _load(fd, *slot.rgb, np.dtype(np.uint8))
        depth = None if slot.depth is None else _load(fd, *slot.depth, np.dtype(np.float32))
        frames.append(Frame(rgb=rgb, depth=depth, **slot.header))
    return frames


def _copy(fd: int, offset: int, array: npt.NDArray[Any]) -> int:
    """Write and read calls, not a mapping: they copy once and cause no page faults, which take longer than the copy."""
    rest = np.ascontiguousarray(array).data.cast('B')
    while len(rest):
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written
    return offset


def _load(fd: int, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    array = np.empty(shape, dtype)
    rest = array.data.cast('B')
    while len(rest):
        got = os.preadv(fd, [rest], offset)
        if not got:
            raise ValueError(f'the memory file ends before an image of shape {shape}')
        rest, offset = rest[got:], offset + got
    return array
