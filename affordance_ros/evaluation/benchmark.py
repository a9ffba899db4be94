# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the seed systems: questions with true answers, asked once, scored as often as wanted.

Answers are on disk before they are scored. A run may be cut into shards, each a process of its own (one GPU each), and
each shard can go on where it was stopped; the scores are those of all shards together.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.evaluation.attachments import located, stored
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.records import RUN, Json, RunFolder
from affordance_ros.models.base import AffordanceModel, ModelInfo, Progress
from affordance_ros.results import Frame, Prediction, Query

METRICS, FINISHED = 'metrics.json', 'finished.json'


@dataclass(frozen=True)
class Item:
    """One question. frames: reads its images when it is asked. truth: what scoring needs, as JSON with attachments."""

    key: str
    frames: Callable[[], Sequence[Frame]]
    query: Query
    truth: Json


class Benchmark(Protocol):
    """A data set with its questions in a fixed order."""

    def describe(self) -> Json:
        """Return what the questions depend on, as JSON; two runs with the same one ask the same."""
        ...

    def items(self) -> Iterator[Item]:
        """Yield every question."""
        ...

    def record(self, prediction: Prediction) -> Json:
        """Return what scoring needs of an answer, as JSON with attachments."""
        ...


@dataclass(frozen=True)
class Shard:
    """Every `count`-th question from `index` on."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise AffordanceError(
                Code.BAD_INPUT, f'a shard must be INDEX/COUNT with 0 <= INDEX < COUNT, got {self.index}/{self.count}'
            )

    @classmethod
    def parse(cls, text: str) -> 'Shard':
        """Read INDEX/COUNT, as 0/4. Raises BAD_INPUT."""
        index, _, count = text.partition('/')
        if not (index.isdecimal() and count.isdecimal()):
            raise AffordanceError(Code.BAD_INPUT, f'a shard must be INDEX/COUNT, as 0/4, got {text!r}')
        return cls(int(index), int(count))

    def folder(self, out: Path) -> Path:
        """Return where this shard writes: `out` itself when it is the only one."""
        return out if self.count == 1 else out / f'shard-{self.index}-of-{self.count}'


def run_record(name: str, benchmark: Benchmark, info: ModelInfo, versions: Mapping[str, str]) -> Json:
    """Return run.json: everything that the answers depend on, and no time of day."""
    checkpoint = Path(info.checkpoint) if info.checkpoint else None
    record: Json = json.loads(
        json.dumps({
            'benchmark': name,
            'questions': benchmark.describe(),
            'model': {**dataclasses.asdict(info), 'checkpoint': checkpoint.name if checkpoint else ''},
            'checkpoint_fingerprint': fingerprint(checkpoint) if checkpoint and checkpoint.exists() else '',
            'versions': dict(versions),
        })
    )  # fmt: skip
    return record


@dataclass(frozen=True)
class Asking:
    """Where one shard of a run goes. record: of `run_record`."""

    out: Path
    record: Json
    shard: Shard = Shard()
    resume: bool = False


def ask(
    benchmark: Benchmark, model: AffordanceModel, asking: Asking, on_line: Callable[[Json], None] | None = None
) -> int:
    """Ask the questions of a shard that are not answered yet and return how many it has in all.

    A refusal of the model is an answer too, with its code. Raises BAD_INPUT for a folder that holds another run.
    """
    folder = RunFolder(asking.shard.folder(asking.out))
    shard = asking.shard
    done = folder.begin({**asking.record, 'shard': f'{shard.index}/{shard.count}'}, resume=asking.resume)
    count = done
    for line in folder.answers():
        if on_line is not None:
            on_line(line)
    for item in islice(benchmark.items(), shard.index + done * shard.count, None, shard.count):
        started = time.perf_counter()
        line = stored(_answer(benchmark, model, item), folder.path)
        folder.append(line, {'key': item.key, 'seconds': round(time.perf_counter() - started, 6)})
        count += 1
        if on_line is not None:
            on_line(line)
    if not count:
        raise AffordanceError(Code.BAD_INPUT, f'shard {shard.index}/{shard.count} has no question')
    (folder.path / FINISHED).write_text(json.dumps({'questions': count}) + '\n')
    return count


def _answer(benchmark: Benchmark, model: AffordanceModel, item: Item) -> Json:
    head: Json = {'key': item.key, 'truth': item.truth, 'outcome': 'OK', 'message': '', 'text': None}
    written: list[str] = []

    def keep_text(progress: Progress) -> None:
        if progress.stage == 'parse':
            written.append(progress.text)

    try:
        frames = item.frames()
        head['size'] = [frames[-1].width, frames[-1].height]
        asked = frames[0] if len(frames) == 1 else frames
        prediction = model.predict(asked, item.query, progress=keep_text)
    except AffordanceError as error:
        if error.code == Code.CANCELED:
            raise
        text = error.text if isinstance(error, UnparsableAnswer) else None
        return {**head, 'outcome': error.code.name, 'message': error.message, 'text': text}
    # What the model wrote, also where the prediction's text is the reading of it.
    return {**head, 'text': written[-1] if written else prediction.text, **benchmark.record(prediction)}


def finished_lines(out: Path) -> tuple[Json, list[Json], list[Json]]:
    """Return run.json, the answers and their times of a finished run, all shards together.

    Raises:
        AffordanceError: BAD_INPUT when there is no run, or when a shard is missing or not finished (it is named).
    """
    folders = [out] if (out / RUN).is_file() else sorted(path.parent for path in out.glob(f'shard-*/{RUN}'))
    if not folders:
        raise AffordanceError(Code.BAD_INPUT, f'{out} holds no run of a benchmark')
    runs = [RunFolder(folder).run() for folder in folders]
    done = {run.get('shard') for run, folder in zip(runs, folders, strict=True) if (folder / FINISHED).is_file()}
    wanted = [f'{index}/{count}' for count in (Shard.parse(runs[0]['shard']).count,) for index in range(count)]
    missing = [name for name in wanted if name not in done]
    if missing or len(folders) != len(wanted):
        names = ', '.join(missing) or 'one, in folders that do not belong together'
        raise AffordanceError(Code.BAD_INPUT, f'{out}: not finished: shard {names}; go on with --resume')
    if any({**run, 'shard': ''} != {**runs[0], 'shard': ''} for run in runs):
        raise AffordanceError(Code.BAD_INPUT, f'{out}: its shards are of different runs')
    lines = [located(line, folder) for folder in folders for line in RunFolder(folder).answers()]
    times = [line for folder in folders for line in RunFolder(folder).times()]
    return {**runs[0], 'shard': f'all {len(wanted)}'}, lines, times


def throughput(times: Sequence[Json]) -> Json:
    """Return the seconds of asking, their median, and the questions per second of one process."""
    seconds = sorted(float(line['seconds']) for line in times)
    total = sum(seconds)
    return {
        'questions': len(seconds),
        'seconds': round(total, 3),
        'median_s': seconds[len(seconds) // 2] if seconds else None,
        'per_second': round(len(seconds) / total, 3) if total > 0 else None,
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
