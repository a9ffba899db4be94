# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asking the questions of a benchmark: batch by batch, each on disk before the next, going on where it was stopped."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.attachments import stored
from affordance_ros.evaluation.earlier import Answered, earlier_batches
from affordance_ros.evaluation.engine import Engine, Question, Reply
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.questions import Benchmark, Item, Shard
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.models.base import ModelInfo
from affordance_ros.results import Frame

FINISHED = 'finished.json'
Numbered = tuple[int, list[Item]]


def run_record(name: str, benchmark: Benchmark, info: ModelInfo, versions: Mapping[str, str]) -> Json:
    """Return run.json: everything that the answers depend on, and no time of day.

    Of the device only the kind is told: shards on several GPUs are one run.
    """
    checkpoint = Path(info.checkpoint) if info.checkpoint else None
    of_model = {'checkpoint': checkpoint.name if checkpoint else '', 'device': info.device.partition(':')[0]}
    record: Json = json.loads(
        json.dumps({
            'benchmark': name,
            'questions': benchmark.describe(),
            'model': {**dataclasses.asdict(info), **of_model},
            'checkpoint_fingerprint': fingerprint(checkpoint) if checkpoint and checkpoint.exists() else '',
            'versions': dict(versions),
        })
    )  # fmt: skip
    return record


@dataclass(frozen=True)
class Asking:
    """Where one shard of a run goes. record: of `run_record`. batch: how many questions are asked at once."""

    out: Path
    record: Json
    shard: Shard = Shard()
    resume: bool = False
    batch: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise AffordanceError(Code.BAD_INPUT, f'a batch must be of at least 1 question, got {self.batch}')

    @property
    def folder(self) -> RunFolder:
        """Where the answers go."""
        return RunFolder(self.shard.folder(self.out))


@dataclass(frozen=True)
class _Loaded:
    """A question with what was read for it; frames: or why there are none."""

    item: Item
    truth: Json
    frames: Sequence[Frame] | AffordanceError


@dataclass(frozen=True)
class _Batch:
    """Questions, read to be asked, or with the answers of an earlier process."""

    items: Sequence[Item]
    loaded: Sequence[_Loaded] = ()
    known: Sequence[Answered] = ()


def ask_with(benchmark: Benchmark, engine: Engine, asking: Asking, report: Callable[[int], None] | None = None) -> int:
    """Ask the questions of a shard that are not answered yet and return how many it has in all.

    A refusal of the model is an answer too, with its code; so is an image that cannot be read. Batches that were cut by
    a stop are asked again as a whole, so that a resumed run gives the same answers.

    Args:
        benchmark: what is asked.
        engine: who answers.
        asking: which share of it, and where the answers go.
        report: told how many questions are answered, at the beginning and after every batch.

    Raises:
        AffordanceError: BAD_INPUT for a folder that holds another run or a shard without a question, and the accidents
            of the engine; what is answered stays on disk.
    """
    folder, shard = asking.folder, asking.shard
    record = {**asking.record, 'shard': str(shard), 'batch': asking.batch}
    known = earlier_batches(asking.out, record)
    done = folder.begin(record, resume=asking.resume)
    left, done = _left(shard.batches(benchmark.items(), asking.batch), done)
    folder.cut(done)
    tell = report or (lambda _: None)
    tell(done)
    for batch in _read_ahead(left, known):
        for line, times in _lines(benchmark, engine, batch, asking):
            folder.append(line, times)
        done += len(batch.items)
        tell(done)
    if not done:
        raise AffordanceError(Code.BAD_INPUT, f'shard {shard} has no question')
    (folder.path / FINISHED).write_text(json.dumps({'questions': done}) + '\n')
    return done


def _left(batches: Iterator[Numbered], done: int) -> tuple[Iterator[Numbered], int]:
    """Return the batches that are not answered as a whole, and how many questions are before them."""
    before = 0
    for number, batch in batches:
        if before + len(batch) > done:
            return itertools.chain([(number, batch)], batches), before
        before += len(batch)
    return iter(()), before


def _read_ahead(batches: Iterable[Numbered], known: Mapping[int, list[Answered]]) -> Iterator[_Batch]:
    """Yield the batches with their images; the next one is read while one is asked."""
    with ThreadPoolExecutor(1, thread_name_prefix='read-ahead') as reader:
        coming: Future[_Batch] | None = None
        for number, batch in batches:
            ready, coming = coming, reader.submit(_load, batch, known.get(number, []))
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _load(batch: Sequence[Item], known: list[Answered]) -> _Batch:
    """Read what a batch needs: nothing when all of it is answered already."""
    if [line['key'] for line, _ in known] == [item.key for item in batch]:
        return _Batch(batch, known=known)
    loaded = []
    for item in batch:
        truth = item.read_truth()
        try:
            frames: Sequence[Frame] | AffordanceError = item.frames()
        except AffordanceError as error:
            frames = error
        loaded.append(_Loaded(item, truth, frames))
    return _Batch(batch, loaded)


def _lines(benchmark: Benchmark, engine: Engine, batch: _Batch, asking: Asking) -> Iterator[Answered]:
    """Yield the line of each answer and that of its time."""
    yield from batch.known
    for line, seconds in _answered(benchmark, engine, batch.loaded):
        times = {'key': line['key'], 'seconds': round(seconds, 6), 'process': asking.shard.index}
        yield stored(line, asking.out), times


def _answered(benchmark: Benchmark, engine: Engine, batch: Sequence[_Loaded]) -> Iterator[tuple[Json, float]]:
    """Yield a line and its seconds for each question."""
    asked = [Question(each.frames, each.item.query) for each in batch if not isinstance(each.frames, AffordanceError)]
    replies = engine.answer(asked) if asked else []
    if len(replies) != len(asked):
        raise AffordanceError(Code.INTERNAL, f'the engine gave {len(replies)} replies to {len(asked)} questions')
    left = iter(replies)
    for each in batch:
        reply = Reply(each.frames, None, 0.0) if isinstance(each.frames, AffordanceError) else next(left)
        yield _line(benchmark, each, reply), reply.seconds


def _line(benchmark: Benchmark, loaded: _Loaded, reply: Reply) -> Json:
    line: Json = {'key': loaded.item.key, 'truth': loaded.truth, 'outcome': 'OK', 'message': '', 'text': reply.text}
    if not isinstance(loaded.frames, AffordanceError):
        line['size'] = [loaded.frames[-1].width, loaded.frames[-1].height]
    if isinstance(reply.answer, AffordanceError):
        return {**line, 'outcome': reply.answer.code.name, 'message': reply.answer.message}
    return {**line, **benchmark.record(reply.answer)}
