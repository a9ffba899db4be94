# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refusals in the log of a node: each kind at once, then at most every few seconds with how many there were."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from affordance_ros.errors import AffordanceError

AGAIN_S = 5.0
MOST_KINDS = 100
_NUMBER = re.compile(r'\d+(?:\.\d+)?')


@dataclass
class _Kind:
    told_at: float
    since: int = 0


class RefusalLog:
    """Refusals that differ in numbers only, such as the age of an image, are of one kind. Callable from any thread."""

    def __init__(self, warn: Callable[[str], Any]) -> None:
        self._warn = warn
        self._kinds: dict[tuple[int, str], _Kind] = {}
        self._lock = threading.Lock()

    def tell(self, error: AffordanceError) -> None:
        """Log a refusal, or count it when one of its kind was logged just now."""
        key, now = (int(error.code), _NUMBER.sub('#', error.message)), time.monotonic()
        with self._lock:
            kind = self._kinds.get(key)
            if kind is not None and now - kind.told_at < AGAIN_S:
                kind.since += 1
                return
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.clear()
            self._kinds[key] = _Kind(now)
        more = f' ({kind.since} more like it since it was last told)' if kind is not None and kind.since else ''
        self._warn(f'{error.code.name}: {error.message}{more}')
