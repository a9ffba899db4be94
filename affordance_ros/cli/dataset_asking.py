# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One process of `affordance eval dataset`: opens data set and engine, asks its share, and tells how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affordance_ros.cli.versions import version_lines
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.asking import Asking, ask_with, run_record
from affordance_ros.evaluation.benchmark_kind import Choice
from affordance_ros.evaluation.benchmarks import benchmark_kind
from affordance_ros.evaluation.engine import EngineRequest, open_engine
from affordance_ros.evaluation.questions import Benchmark, Shard


@dataclass(frozen=True)
class DatasetRequest:
    """What the command line asks for; see `affordance eval dataset --help`.

    device: one, or several separated by commas. processes: on each device.
    """

    name: str
    choice: Choice
    out: Path
    checkpoint: str = ''
    device: str = 'cpu'
    dtype: str = 'float32'
    shard: Shard = Shard()
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 1
    processes: int = 1
    engine: str = 'local'

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise AffordanceError(Code.BAD_INPUT, f'processes must be at least 1, got {self.processes}')
        if len(self.devices) > 1 and self.shard.count > 1:
            message = 'give --shard, or several devices or processes, which share the questions out themselves'
            raise AffordanceError(Code.BAD_INPUT, message)

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of every process."""
        names = [name.strip() for name in self.device.split(',') if name.strip()]
        return tuple(name for name in names for _ in range(self.processes))

    def open_benchmark(self) -> Benchmark:
        """Return the questions. Raises BAD_INPUT with what is missing."""
        return benchmark_kind(self.name).open(self.choice)


@dataclass(frozen=True)
class Watch:
    """Who follows a process. loaded: told what is to be known of the engine. report: questions done so far."""

    loaded: Callable[[str], None]
    report: Callable[[int], None]


def ask_shard(request: DatasetRequest, watch: Watch) -> int:
    """Ask what the shard of the request has not answered yet; return how many questions it has."""
    kind, benchmark = benchmark_kind(request.name), request.open_benchmark()
    options = {**kind.options.get(request.choice.model, {}), **request.options}
    engine = open_engine(
        request.engine,
        EngineRequest(request.choice.model, request.checkpoint, request.device, request.dtype, options),
    )
    record = run_record(request.name, benchmark, engine.describe(), version_lines())
    alone = request.batch > 1 and not engine.batches
    watch.loaded(f'{request.choice.model} answers one question at a time, also with --batch' if alone else '')
    asking = Asking(request.out, record, request.shard, request.resume, request.batch)
    return ask_with(benchmark, engine, asking, watch.report)
