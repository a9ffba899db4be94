# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A finished run of a benchmark: its shards put together, its speed, its figures on disk."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.asking import FINISHED
from affordance_ros.evaluation.attachments import located
from affordance_ros.evaluation.questions import Shard
from affordance_ros.evaluation.records import RUN, Json, RunFolder

METRICS = 'metrics.json'


def finished_lines(out: Path) -> tuple[Json, list[Json], list[Json]]:
    """Return run.json, the answers and their times of a finished run.

    The answers of shards are put in the order of the questions and written into `out`, as one process writes them.

    Raises:
        AffordanceError: BAD_INPUT when there is no run, or when a shard is missing or not finished (it is named).
    """
    shards = sorted(path.parent for path in out.glob(f'shard-*/{RUN}'))
    folders = shards or [out]
    if not (folders[0] / RUN).is_file():
        raise AffordanceError(Code.BAD_INPUT, f'{out} holds no run of a benchmark')
    runs = [RunFolder(folder).run() for folder in folders]
    if 'benchmark' not in runs[0]:
        raise AffordanceError(Code.BAD_INPUT, f'{out} holds no run of a benchmark, but one of a bag')
    by_shard = _checked(out, folders, runs)
    if shards:
        _gather(out, runs[0], by_shard)
    whole = RunFolder(out)
    return whole.run(), [located(line, out) for line in whole.answers()], list(whole.times())


def _checked(out: Path, folders: Sequence[Path], runs: Sequence[Json]) -> list[RunFolder]:
    """Return the shards in the order of their numbers. Raises BAD_INPUT unless they are one finished run."""
    done = {run['shard']: folder for run, folder in zip(runs, folders, strict=True) if (folder / FINISHED).is_file()}
    count = Shard.parse(runs[0]['shard']).count
    wanted = [str(Shard(index, count)) for index in range(count)]
    missing = [name for name in wanted if name not in done]
    if missing or len(folders) != len(wanted):
        names = ', '.join(missing) or 'one, in folders that do not belong together'
        raise AffordanceError(Code.BAD_INPUT, f'{out}: not finished: shard {names}; go on with --resume')
    if any({**run, 'shard': ''} != {**runs[0], 'shard': ''} for run in runs):
        raise AffordanceError(Code.BAD_INPUT, f'{out}: its shards are of different runs')
    return [RunFolder(done[name]) for name in wanted]


def _gather(out: Path, run: Json, shards: Sequence[RunFolder]) -> None:
    """Write the lines of all shards into `out`, in the order of the questions."""
    own = {**run, 'shard': str(Shard())}
    whole = RunFolder(out)
    if (out / RUN).is_file() and whole.run() != own:
        raise AffordanceError(Code.BAD_INPUT, f'{out} holds a run of its own beside the shards; use another folder')
    whole.replace(
        own,
        _in_turn([shard.answers() for shard in shards], run['batch']),
        _in_turn([shard.times() for shard in shards], run['batch']),
    )
    count = sum(json.loads((shard.path / FINISHED).read_text())['questions'] for shard in shards)
    (out / FINISHED).write_text(json.dumps({'questions': count}) + '\n')


def _in_turn(shards: Sequence[Iterator[Json]], batch: int) -> Iterator[Json]:
    """Yield a batch of lines of each shard in turn, until one has no more: the order that they were shared out in."""
    while True:
        for shard in shards:
            for _ in range(batch):
                line = next(shard, None)
                if line is None:
                    return
                yield line


def throughput(times: Sequence[Json]) -> Json:
    """Return how many questions were asked in how much time.

    seconds: of asking, over all processes. per_second: of one process. processes: how many there were.
    per_second_together: of all, which are as quick as the slowest one. Time for loading is not in it.
    """
    seconds = sorted(float(line['seconds']) for line in times)
    total = sum(seconds)
    busy: dict[int, float] = {}
    for line in times:
        process = int(line.get('process', 0))
        busy[process] = busy.get(process, 0.0) + float(line['seconds'])
    longest = max(busy.values(), default=0.0)
    return {
        'questions': len(seconds),
        'seconds': round(total, 3),
        'median_s': seconds[len(seconds) // 2] if seconds else None,
        'per_second': round(len(seconds) / total, 3) if total > 0 else None,
        'processes': len(busy),
        'per_second_together': round(len(seconds) / longest, 3) if longest > 0 else None,
    }


def write_metrics(out: Path, metrics: Mapping[str, Any]) -> Path:
    """Write metrics.json; numbers that are not finite become null."""
    file = out / METRICS
    file.write_text(json.dumps(_finite(metrics), indent=2, allow_nan=False) + '\n')
    return file


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
