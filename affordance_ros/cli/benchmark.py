# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance eval dataset` and `affordance eval rescore`: the benchmarks of the seed systems."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from affordance_ros.cli.dataset_asking import DatasetRequest, Watch, ask_shard
from affordance_ros.cli.dataset_processes import ask_in_processes, shard_requests
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Row
from affordance_ros.evaluation.benchmarks import benchmark_kind
from affordance_ros.evaluation.finished import finished_lines, throughput, write_metrics
from affordance_ros.evaluation.records import Json

__all__ = ['DatasetRequest', 'run_dataset', 'run_rescore']

_SPEED_OVER_S = 600.0  # a question, or a batch, may take a minute


def run_dataset(request: DatasetRequest) -> None:
    """Ask what is not answered yet; when every question is, score and print."""
    console = Console()
    total = sum(1 for _ in request.open_benchmark().items())
    requests = shard_requests(request, total) if request.shard.count == 1 else [request]
    if len(requests) > 1:
        with _bar(console, request, total) as watch:
            ask_in_processes(requests, watch)
    else:
        with _bar(console, request, request.shard.questions(total, request.batch)) as watch:
            count = ask_shard(requests[0], watch)
        done = sorted(request.out.glob('shard-*/finished.json'))
        if request.shard.count > 1 and len(done) < request.shard.count:
            console.print(f'{count} answers; {len(done)} of {request.shard.count} shards are finished', highlight=False)
            return
    run_rescore(request.out)


class _Speed(ProgressColumn):
    """Questions per second."""

    def render(self, task: Task) -> Text:
        """Return the speed, nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text('' if not speed else f'{speed:.2g} a second')


@contextmanager
def _bar(console: Console, request: DatasetRequest, total: int) -> Iterator[Watch]:
    """Show how far a run is, and after Ctrl-C that it can go on."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    more = (TextColumn('left'), TimeRemainingColumn(), _Speed())
    done, first, told = 0, True, set[str]()
    with Progress(*columns, *more, console=console, speed_estimate_period=_SPEED_OVER_S) as bar:
        task = bar.add_task(f'loading {request.choice.model}', total=total)

        def loaded(remark: str) -> None:
            bar.update(task, description='asking')
            if remark and remark not in told:
                console.print(remark, highlight=False)
            told.add(remark)

        def report(count: int) -> None:
            nonlocal done, first
            if first:  # what was answered before says nothing about the speed
                bar.reset(task, completed=count, total=total)
            else:
                bar.update(task, completed=count)
            done, first = count, False

        try:
            yield Watch(loaded, report)
        except KeyboardInterrupt:
            bar.stop()
            console.print(f'{done} of {total} questions are answered; go on with --resume', highlight=False)
            raise


def run_rescore(out: Path) -> None:
    """Score the answers of a finished run, write metrics.json and the official answer files, print the table."""
    console = Console()
    run, lines, times = finished_lines(out)
    kind = benchmark_kind(run['benchmark'])
    scores = kind.score(lines, run)
    write_metrics(out, {'benchmark': run['benchmark'], 'scores': scores, 'throughput': throughput(times)})
    files = kind.files(lines, run, out / 'official')
    _print_table(console, kind, kind.rows(scores), run)
    _print_stops(console, scores)
    _print_outcomes(console, lines)
    speed = throughput(times)
    together = '' if speed['processes'] == 1 else f', {speed["per_second_together"]} in {speed["processes"]} processes'
    console.print(
        f'{speed["questions"]} questions, median {speed["median_s"]:.3g} s, {speed["per_second"]} a second{together}; '
        f'wrote {out / "metrics.json"} and {len(files)} official answer files in {out / "official"}',
        highlight=False,
        soft_wrap=True,
    )


def _print_table(console: Console, kind: BenchmarkKind, rows: list[Row], run: Json) -> None:
    table = Table(title=f'{run["benchmark"]}: {run["model"]["name"]}', title_justify='left')
    names = list(kind.published.rows)
    for name in ('task', 'questions', 'unreadable', 'left out', 'figure', 'right', 'official', *names):
        table.add_column(name, justify='left' if name in ('task', 'figure') else 'right')
    for row in rows:
        published = [_number(row.published.get(name)) for name in names]
        counts = str(row.questions), str(row.unreadable), '-' if row.left_out is None else str(row.left_out)
        table.add_row(row.task, *counts, row.name, _number(row.ours), _number(row.official), *published)
    console.print(table)
    console.print('unreadable: counted as failures; left out: in no sum of the official program', highlight=False)
    console.print(f'published: {kind.published.source}', highlight=False, soft_wrap=True)
    for caveat in kind.published.caveats:
        console.print(f'  {caveat}', highlight=False, soft_wrap=True)


def _number(value: float | None) -> str:
    return '-' if value is None or value != value else f'{value:.4g}'  # noqa: PLR0124 - NaN


def _print_stops(console: Console, scores: Json) -> None:
    """Say where the official program would not have come to its end."""
    for name, score in scores.items():
        if 'official_stops_with' in score:
            count = score.get('official_stops_at')
            where = '' if count is None else f' at {count} answers, which are left out'
            message = f'{name}: the official program stops with {score["official_stops_with"]}{where}'
            console.print(message, highlight=False, soft_wrap=True)


def _print_outcomes(console: Console, lines: list[Json]) -> None:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line['outcome']] = counts.get(line['outcome'], 0) + 1
    shown = ', '.join(f'{name} {count}' for name, count in sorted(counts.items()))
    console.print(f'outcomes: {shown}', highlight=False, soft_wrap=True)
