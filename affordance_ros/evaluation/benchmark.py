# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the seed systems: questions with true answers, asked once, scored as often as wanted.

Answers are on disk before they are scored. A run may be cut into shards, each a process of its own (one GPU each), and
each shard can go on where it was stopped; the answers and scores are those of one process. What belongs to it:
`questions` (what is asked, and by which shard), `engine` (who answers), `asking` and `finished`.
"""

from collections.abc import Callable

from affordance_ros.evaluation.asking import Asking, ask_with, run_record
from affordance_ros.evaluation.engine import LocalEngine
from affordance_ros.evaluation.finished import finished_lines, throughput, write_metrics
from affordance_ros.evaluation.questions import Benchmark, Item, Shard
from affordance_ros.models.base import AffordanceModel

__all__ = [
    'Asking', 'Benchmark', 'Item', 'Shard', 'ask', 'ask_with', 'finished_lines', 'run_record', 'throughput',
    'write_metrics',
]  # fmt: skip


def ask(
    benchmark: Benchmark, model: AffordanceModel, asking: Asking, report: Callable[[int], None] | None = None
) -> int:
    """Ask a model that is loaded in this process; see `ask_with`."""
    return ask_with(benchmark, LocalEngine(model), asking, report)
