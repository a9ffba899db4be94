# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a run that goes on with another number of processes: moved aside, then taken over batch by batch.

Batches are cut before they are shared out, so a batch is the same one whatever shard asked it.
"""

from collections.abc import Collection
from pathlib import Path

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.questions import Shard
from affordance_ros.evaluation.records import ANSWERS, RUN, TIMES, Json, RunFolder, differing

EARLIER = 'earlier'
Answered = tuple[Json, Json]  # the line of an answer and that of its time


def set_aside(out: Path, own: Collection[Path]) -> None:
    """Move what other processes wrote than those with the folders `own` into `earlier`."""
    strangers = [path for path in sorted(out.glob('shard-*')) if path not in own]
    begun = any((folder / RUN).is_file() for folder in own)
    for path in strangers:
        path.rename(_free(out / EARLIER / path.name))
    if out not in own and not begun and (out / RUN).is_file():
        folder = _free(out / EARLIER / 'one')
        folder.mkdir()
        for name in (ANSWERS, TIMES, RUN):  # run.json last: without it the folder is no run
            (out / name).rename(folder / name)


def _free(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tries = (path, *(path.with_name(f'{path.name}.{number}') for number in range(1, 1000)))
    return next(each for each in tries if not each.exists())


def earlier_batches(out: Path, record: Json) -> dict[int, list[Answered]]:
    """Return what is answered in `earlier`, by the number of the batch; the last one of a folder may be cut.

    Raises:
        AffordanceError: BAD_INPUT when it is of another run than `record`, which has its batch and any shard.
    """
    found: dict[int, list[Answered]] = {}
    for path in sorted((out / EARLIER).glob(f'*/{RUN}')):
        folder, run = RunFolder(path.parent), RunFolder(path.parent).run()
        names = differing({**run, 'shard': ''}, {**record, 'shard': ''})
        if names:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'{out} holds a run of something else (different: {", ".join(names)}); use another folder',
            )
        shard, batch = Shard.parse(run['shard']), int(run['batch'])
        lines = list(folder.whole_pairs())
        for start in range(0, len(lines), batch):
            number = shard.index + start // batch * shard.count
            longest = found.get(number, [])
            found[number] = max(longest, lines[start : start + batch], key=len)
    return found
