# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes that share the questions of one benchmark, on one machine: one per GPU, or several on each.

Each is a shard and writes into its own folder, with a log of what it prints. They end together: with Ctrl-C, with an
error of one of them, and when this process dies in whatever way.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from affordance_ros.cli.dataset_asking import DatasetRequest, Watch, ask_shard
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.earlier import set_aside
from affordance_ros.evaluation.questions import Shard
from affordance_ros.evaluation.records import ANSWERS, RUN

LOG = 'log.txt'
_GRACE_S = 10.0
_TAIL = 12


@dataclass
class _Child:
    """A running shard. done: questions it has answered."""

    request: DatasetRequest
    process: BaseProcess
    pipe: Connection
    done: int = 0
    finished: bool = False


def shard_requests(request: DatasetRequest, total: int) -> list[DatasetRequest]:
    """Return the request of each process: no more of them than there are batches of the `total` questions.

    What another number of processes answered is moved aside, from where these take it over.

    Raises:
        AffordanceError: BAD_INPUT when the folder holds a run already, and it is not to go on.
    """
    count = max(1, min(len(request.devices), -(-total // request.batch)))
    shards = [Shard(index, count) for index in range(count)]
    own = {shard.folder(request.out) for shard in shards}
    others = [path for path in (request.out, *request.out.glob('shard-*')) if (path / RUN).is_file()]
    if others and not request.resume:
        message = f'{request.out} holds a run already; give --resume to go on with it, or another folder'
        raise AffordanceError(Code.BAD_INPUT, message)
    set_aside(request.out, own)
    pairs = zip(shards, request.devices, strict=False)
    return [replace(request, shard=shard, device=device, processes=1) for shard, device in pairs]


def ask_in_processes(requests: Sequence[DatasetRequest], watch: Watch) -> None:
    """Run a process per request until all are finished.

    Raises:
        AffordanceError: of the first process that has one, WORKER_DIED when it ended without a word; what is answered
            stays on disk.
    """
    children: list[_Child] = []
    try:
        for request in requests:
            children.append(_start(request))
        watch.report(sum(child.done for child in children))
        while any(not child.finished for child in children):
            _hear(children, watch)
            watch.report(sum(child.done for child in children))
    finally:
        _end(children)


def _start(request: DatasetRequest) -> _Child:
    folder = request.shard.folder(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context('spawn')  # a fork would share CUDA and its locks
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(request, theirs, folder / LOG), name=f'shard {request.shard}')
    with _without_ctrl_c():
        process.start()
    theirs.close()
    answers = folder / ANSWERS
    return _Child(request, process, ours, answers.read_bytes().count(b'\n') if answers.is_file() else 0)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let what is started here never hear of Ctrl-C: it comes to this process alone, which ends the others."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hear(children: Sequence[_Child], watch: Watch) -> None:
    """Wait for news of any child and take them up. Raises what a child ended with."""
    by_pipe = {child.pipe: child for child in children if not child.finished}
    for pipe in wait(list(by_pipe)):
        child = by_pipe[pipe]  # type: ignore[index]
        try:
            kind, value = child.pipe.recv()
        except EOFError:
            child.process.join()
            raise AffordanceError(Code.WORKER_DIED, _epitaph(child)) from None
        if kind == 'error':
            raise AffordanceError(Code(value.code), f'shard {child.request.shard}: {value.message}')
        if kind == 'loaded':
            watch.loaded(value)
        elif kind == 'done':
            child.done = value
        else:
            child.finished = True


def _epitaph(child: _Child) -> str:
    log = child.request.shard.folder(child.request.out) / LOG
    text = log.read_text(encoding='utf-8', errors='replace') if log.is_file() else ''
    tail = '\n'.join(f'  {line}' for line in text.splitlines()[-_TAIL:]) or '  (empty)'
    status = child.process.exitcode
    return f'shard {child.request.shard} ended with status {status}; go on with --resume. End of {log}:\n{tail}'


def _end(children: Sequence[_Child]) -> None:
    """End what still runs; half a line on disk is cut when the run goes on."""
    for child in children:
        if not child.finished:
            child.process.terminate()
    deadline = time.monotonic() + _GRACE_S
    for child in children:
        child.process.join(max(0.05, deadline - time.monotonic()))
        if child.process.is_alive():
            child.process.kill()
            child.process.join()
        child.pipe.close()


def _main(request: DatasetRequest, pipe: Connection, log: Path) -> None:
    """Ask one shard in a process of its own and send the news through `pipe`."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with log.open('ab', buffering=0) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig()
    try:
        ask_shard(request, Watch(_sender(pipe, 'loaded'), _sender(pipe, 'done')))
        pipe.send(('finished', None))
    except AffordanceError as error:
        pipe.send(('error', AffordanceError(error.code, error.message)))


def _sender(pipe: Connection, kind: str) -> Callable[[object], None]:
    return lambda value: pipe.send((kind, value))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # what is answered is on disk
