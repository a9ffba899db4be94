# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance eval dataset` and `affordance eval rescore`: the benchmarks of the seed systems."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from affordance_ros.cli.versions import version_lines
from affordance_ros.evaluation.benchmark import (
    Asking,
    Benchmark,
    Shard,
    ask,
    finished_lines,
    run_record,
    throughput,
    write_metrics,
)
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, Row
from affordance_ros.evaluation.benchmarks import benchmark_kind
from affordance_ros.evaluation.records import Json
from affordance_ros.models import load_model
from affordance_ros.models.base import AffordanceModel


@dataclass(frozen=True)
class DatasetRequest:
    """What the command line asks for; see `affordance eval dataset --help`."""

    name: str
    choice: Choice
    out: Path
    checkpoint: str = ''
    device: str = 'cpu'
    dtype: str = 'float32'
    shard: Shard = Shard()
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def run_dataset(request: DatasetRequest) -> None:
    """Ask what is not answered yet; with the last shard, score and print."""
    console = Console()
    kind = benchmark_kind(request.name)
    benchmark = kind.open(request.choice)
    options = {**kind.options.get(request.choice.model, {}), **request.options}
    with console.status(f'loading {request.choice.model}'):
        model = load_model(request.choice.model, request.checkpoint, request.device, request.dtype, **options)
    count = _ask(console, benchmark, model, request)
    done = sorted(request.out.glob('shard-*/finished.json'))
    if request.shard.count > 1 and len(done) < request.shard.count:
        console.print(f'{count} answers; {len(done)} of {request.shard.count} shards are finished', highlight=False)
        return
    run_rescore(request.out)


def _ask(console: Console, benchmark: Benchmark, model: AffordanceModel, request: DatasetRequest) -> int:
    total = sum(1 for _ in benchmark.items())
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    record = run_record(request.name, benchmark, model.describe(), version_lines())
    with Progress(*columns, TextColumn('left'), TimeRemainingColumn(), console=console) as bar:
        shard = request.shard
        task = bar.add_task('asking', total=len(range(shard.index, total, shard.count)))
        asking = Asking(request.out, record, shard, request.resume)
        return ask(benchmark, model, asking, lambda _: bar.advance(task))


def run_rescore(out: Path) -> None:
    """Score the answers of a finished run, write metrics.json and the official answer files, print the table."""
    console = Console()
    run, lines, times = finished_lines(out)
    kind = benchmark_kind(run['benchmark'])
    scores = kind.score(lines, run)
    write_metrics(out, {'benchmark': run['benchmark'], 'scores': scores, 'throughput': throughput(times)})
    files = kind.files(lines, run, out / 'official')
    _print_table(console, kind, kind.rows(scores), run)
    _print_outcomes(console, lines)
    speed = throughput(times)
    console.print(
        f'{speed["questions"]} questions, median {speed["median_s"]:.3g} s; wrote {out / "metrics.json"} and '
        f'{len(files)} official answer files in {out / "official"}',
        highlight=False,
        soft_wrap=True,
    )


def _print_table(console: Console, kind: BenchmarkKind, rows: list[Row], run: Json) -> None:
    table = Table(title=f'{run["benchmark"]}: {run["model"]["name"]}', title_justify='left')
    names = list(kind.published.rows)
    for name in ('task', 'questions', 'unreadable', 'figure', 'right', 'official', *names):
        table.add_column(name, justify='left' if name in ('task', 'figure') else 'right')
    for row in rows:
        published = [_number(row.published.get(name)) for name in names]
        counts = str(row.questions), str(row.unreadable)
        table.add_row(row.task, *counts, row.name, _number(row.ours), _number(row.official), *published)
    console.print(table)
    console.print(f'published: {kind.published.source}', highlight=False, soft_wrap=True)
    for caveat in kind.published.caveats:
        console.print(f'  {caveat}', highlight=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.4g}'  # noqa: PLR0124 - NaN


def _print_outcomes(console: Console, lines: list[Json]) -> None:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line['outcome']] = counts.get(line['outcome'], 0) + 1
    shown = ', '.join(f'{name} {count}' for name, count in sorted(counts.items()))
    console.print(f'outcomes: {shown}', highlight=False, soft_wrap=True)
