# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time questions asked one by one and in batches, as `affordance eval dataset --batch` asks them.

Every question has an image of its own, so that nothing is remembered from one to the next. Without options: the pocket
checkpoint. For a release: --model affordance_r1 --checkpoint DIR --device cuda --dtype bfloat16 --option sam2=FILE.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from affordance_ros.evaluation.engine import EngineRequest, LocalEngine, Question, open_engine
from affordance_ros.results import Frame, Query

IMAGE = Path(__file__).parents[1] / 'test/data/parity/robopoint/inputs/images/counter_640x480.png'
THINGS = ('red mug', 'blue bowl', 'green plate', 'yellow pan')


def questions(count: int) -> list[Question]:
    """Return questions about as many images: the picture moved to the right by one pixel after another."""
    rgb = np.array(Image.open(IMAGE).convert('RGB'))
    return [
        Question([Frame(np.roll(rgb, index, axis=1))], Query(f'grasp the {THINGS[index % len(THINGS)]}'))
        for index in range(count)
    ]


def seconds(engine: LocalEngine, asked: list[Question], batch: int) -> float:
    """Return how long all questions take in batches of this size."""
    start = time.perf_counter()
    for first in range(0, len(asked), batch):
        engine.answer(asked[first : first + batch])
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='robopoint')
    parser.add_argument('--checkpoint', default='pocket')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--option', action='append', default=[], metavar='NAME=VALUE')
    parser.add_argument('--questions', type=int, default=32)
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 2, 4, 8, 16])
    arguments = parser.parse_args()
    pairs = (item.partition('=')[::2] for item in arguments.option)
    options = {name: json.loads(value) if value[:1] in '0123456789[{' else value for name, value in pairs}
    request = EngineRequest(arguments.model, arguments.checkpoint, arguments.device, arguments.dtype, options)
    engine = open_engine('local', request)
    if not isinstance(engine, LocalEngine) or not engine.batches:
        parser.error(f'{arguments.model} answers one question at a time')
    asked = questions(arguments.questions)
    seconds(engine, asked[:2], 2)  # the first pass sets things up
    table = Table(title=f'{arguments.model} on {arguments.device}, {len(asked)} questions', title_justify='left')
    for name in ('batch', 'seconds', 'questions a second', 'times one by one'):
        table.add_column(name, justify='right')
    alone = 0.0
    for batch in arguments.batches:
        took = min(seconds(engine, asked, batch) for _ in range(2))
        alone = alone or took
        table.add_row(str(batch), f'{took:.2f}', f'{len(asked) / took:.2f}', f'{alone / took:.2f}')
    Console().print(table)


if __name__ == '__main__':
    main()
