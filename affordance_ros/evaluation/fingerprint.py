# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short name for the content of a file or folder, quick enough for a checkpoint or a bag of many gigabytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_EDGE = 2**20


def fingerprint(path: Path) -> str:
    """Return 16 hex digits of a SHA-256 over the names, the sizes and the first and last MiB of every file.

    It tells two checkpoints or bags apart; it is no proof that nobody changed a byte in the middle of a file.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(item for item in path.rglob('*') if item.is_file()):
        size = file.stat().st_size
        digest.update(f'{file.relative_to(path.parent if path.is_file() else path)}:{size}\n'.encode())
        with file.open('rb') as stream:
            digest.update(stream.read(_EDGE))
            if size > 2 * _EDGE:
                stream.seek(-_EDGE, 2)
            digest.update(stream.read(_EDGE))
    return digest.hexdigest()[:16]


def listing_fingerprint(paths: Iterable[Path], root: Path) -> str:
    """Return 16 hex digits of a SHA-256 over names below `root` and sizes, for more files than one wants to open."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f'{path.relative_to(root)}:{path.stat().st_size if path.is_file() else -1}\n'.encode())
    return digest.hexdigest()[:16]
