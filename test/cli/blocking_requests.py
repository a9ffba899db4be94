# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of a benchmark that never come to their end, for tests of what ends them. A module, so that they pickle."""

import time
from dataclasses import dataclass, replace

from affordance_ros.cli.dataset_asking import DatasetRequest


class _Blocking:
    """A benchmark whose questions from a certain one on wait for an image that never comes."""

    def __init__(self, benchmark, first):
        self._benchmark, self._first = benchmark, first
        self.describe, self.record = benchmark.describe, benchmark.record

    def items(self):
        for index, item in enumerate(self._benchmark.items()):
            yield replace(item, frames=_wait) if index >= self._first else item


def _wait():
    time.sleep(3600)


@dataclass(frozen=True)
class BlockingRequest(DatasetRequest):
    """first: the first question that blocks."""

    first: int = 4

    def open_benchmark(self):
        return _Blocking(super().open_benchmark(), self.first)
