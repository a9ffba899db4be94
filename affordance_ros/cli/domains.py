# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DDS domain that no other run of ours on this machine uses: a lock file per domain, held until the process ends."""

import fcntl
import os
import random
import tempfile
from pathlib import Path

DOMAINS = range(1, 102)  # 0 is everybody's default; ports of domains above 101 clash with those of other programs
_HELD: list[int] = []  # descriptors, so that the locks live as long as the process


def claim_domain() -> int:
    """Return a domain that is free now and claimed for this process; the kernel gives it back when the process ends.

    Raises:
        RuntimeError: when all are taken.
    """
    order = list(DOMAINS)
    random.SystemRandom().shuffle(order)
    for domain in order:
        path = Path(tempfile.gettempdir()) / f'affordance_ros.domain.{domain}'
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        _HELD.append(descriptor)
        return domain
    raise RuntimeError(f'all {len(order)} DDS domains are taken by other runs on this machine; end one of them')
