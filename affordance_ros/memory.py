# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory for images that come and go: a node or a bag asks for a few megabytes and frees them, frame after frame."""

import ctypes

# glibc gives big blocks back to the kernel at once and takes them anew, page by page: half of the time of reading.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = (-1, 256 << 20), (-3, 32 << 20)
_M_ARENA_MAX = -8


def keep_freed_memory(arenas: int = 0) -> None:
    """Let glibc keep what is freed for the next image, in this process; other C libraries are left as they are.

    arenas: heaps that the threads share at most, each keeps what it freed; 0: as many as glibc likes.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        for option, value in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, *([(_M_ARENA_MAX, arenas)] if arenas else [])):
            mallopt(option, value)
