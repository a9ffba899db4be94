# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time every model: loading, memory, one question and ten questions on one frame, against plain re-computation.

Without options: the tiny checkpoints of the tests. --full NAME ...: random weights of the real sizes, written to
--scratch in the official layout first (14 to 27 GB each) and loaded from there like a release; for a GPU.
"""

import argparse
import importlib
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from affordance_ros.models import load_model
from affordance_ros.models.registry import MODELS
from affordance_ros.results import Frame, Query

TESTS = Path(__file__).parents[1] / 'test'
IMAGE = TESTS / 'data' / 'parity' / 'robopoint' / 'inputs' / 'images' / 'counter_640x480.png'
THINGS = ('mug', 'bowl', 'plate', 'book', 'box', 'spoon', 'can', 'lid', 'pan', 'cup')
COLUMNS = (
    'model', 'load s', 'memory MB', 'image ms', 'prefill ms', 'ms/token', 'tokens', '1 question ms', '10 questions ms',
    '10 plain ms', 'plain / shared',
)  # fmt: skip


@dataclass
class Passes:
    """Forward passes of a decoder during one answer: rows and seconds of each."""

    rows: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """Milliseconds of one answer. image: preprocessing and towers. tokens: written, forced ones included."""

    total: float
    image: float
    prefill: float
    writing: float
    tokens: int


def tiny_models() -> dict[str, dict[str, Any]]:
    """Return the options of every registered model as the contract test loads it, from small recorded checkpoints."""
    spec = importlib.util.spec_from_file_location('contract', TESTS / 'test_model_contract.py')
    assert spec is not None
    assert spec.loader is not None
    contract = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    return {name: dict(options) for name, options in contract.LOADED.items() if options}


def synchronize(device: str) -> float:
    """Wait for the GPU and return the time in milliseconds."""
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() * 1000


@contextmanager
def watched(model: Any, device: str) -> Iterator[Passes]:
    """Note every forward pass of the language model."""
    passes, started = Passes(), [0.0]
    network = model.network if hasattr(model, 'network') else model.asker.network
    decoder = network.llm.model if hasattr(network, 'llm') else network.text.language_model

    def before(_: Any, __: Any, inputs: Mapping[str, Any]) -> None:
        passes.rows.append(int(inputs['inputs_embeds'].shape[1]))
        started[0] = synchronize(device)

    def after(*_: Any) -> None:
        passes.seconds.append(synchronize(device) - started[0])

    hooks = decoder.register_forward_pre_hook(before, with_kwargs=True), decoder.register_forward_hook(after)
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def ask(model: Any, frame: list[Frame], thing: str, how: tuple[str, str]) -> Answer:
    """Ask one question about a clip (of one frame for models of images) and time it. how: device and task."""
    device, task = how
    query = Query(f'Find a spot on the {thing}.', object=thing, action='pick up', task=task)
    with watched(model, device) as passes:
        start = synchronize(device)
        prediction = model.predict(frame, query)
        total = synchronize(device) - start
    image = prediction.seconds['encode'] * 1000
    writing = prediction.seconds['generate'] * 1000 - passes.seconds[0]
    return Answer(total, image, passes.seconds[0], writing, sum(passes.rows[1:]) + 1)


def clip_of(name: str, number: int) -> list[Frame]:
    """Return one frame, or as many as a clip has, with another value in the middle pixel for each number and frame.

    So nothing that is remembered by pixels fits the clip of another number, and answers stay what they are.
    """
    rgb = np.array(Image.open(IMAGE).convert('RGB'))
    frames = []
    for index in range(10 if MODELS[name].clip else 1):
        rgb[240, 320] = (number, index, 0)
        frames.append(Frame(rgb.copy(), stamp_ns=index * 250_000_000))
    return frames


def measure(name: str, options: Mapping[str, Any], device: str) -> list[str]:
    """Return one line of the table."""
    importlib.import_module(MODELS[name].target.split(':')[0])
    how = device, options.get('task', '')
    options = {option: value for option, value in options.items() if option != 'task'}
    start = time.perf_counter()
    model: Any = load_model(name, device=device, **options)
    synchronize(device)
    loading = time.perf_counter() - start
    memory = model.describe().memory_bytes
    ask(model, clip_of(name, 255), 'door', how)  # first calls are slower, and belong to nobody
    clip = clip_of(name, 0)
    shared = [ask(model, clip, thing, how) for thing in THINGS]
    del model
    plain_model: Any = load_model(name, device=device, share_prefix=False, **options)
    ask(plain_model, clip_of(name, 255), 'door', how)
    plain = [ask(plain_model, clip_of(name, index), thing, how) for index, thing in enumerate(THINGS)]
    first, ten, ten_plain = shared[0], sum(a.total for a in shared), sum(a.total for a in plain)
    per_token = statistics.median(answer.writing / answer.tokens for answer in (*shared, *plain))
    return [
        name, f'{loading:.2f}', f'{memory / 1e6:.1f}', f'{first.image:.1f}', f'{first.prefill:.1f}', f'{per_token:.2f}',
        f'{statistics.mean(answer.tokens for answer in shared):.0f}', f'{first.total:.0f}', f'{ten:.0f}',
        f'{ten_plain:.0f}', f'{ten_plain / ten:.2f}',
    ]  # fmt: skip


def add(table: Table, row: list[str]) -> None:
    """Add a line, and say it at once: what is measured already is not lost when a later model fails."""
    print(', '.join(f'{name} {value}' for name, value in zip(COLUMNS, row, strict=True)), file=sys.stderr, flush=True)
    table.add_row(*row)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--models', nargs='*', default=[], help='only these')
    parser.add_argument('--full', nargs='*', default=[], help='names in random_checkpoints.SIZES')
    parser.add_argument('--scratch', type=Path, default=Path('out/random_checkpoints'))
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--dtype', default='')
    parser.add_argument('--quantization', default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    table = Table(*COLUMNS, title=f'{arguments.device}, torch {torch.__version__}, greedy, constrained to the format')
    common = {'decode': 'constrained', 'quantization': arguments.quantization}
    if arguments.full:
        from random_checkpoints import SIZES, write

        for size in arguments.full:
            options = write(SIZES[size], arguments.scratch / size)
            chosen = common | options | {'dtype': arguments.dtype or 'float16'}
            add(table, [size, *measure(SIZES[size].model, chosen, arguments.device)[1:]])
    else:
        for name, options in tiny_models().items():
            if not arguments.models or name in arguments.models:
                chosen = options | common | {'dtype': arguments.dtype or 'float32'}
                add(table, measure(name, chosen, arguments.device))
    Console(width=150).print(table)


if __name__ == '__main__':
    main()
