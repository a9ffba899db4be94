# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance train`: the whole way from nothing to an evaluated checkpoint, resumable at every step."""

import json
import os
import threading
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from affordance_ros.datasets.scene_views import render_views
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model
from affordance_ros.training.evaluate import PointingScore, evaluate_pointing
from affordance_ros.training.export import export_checkpoint
from affordance_ros.training.pocket import train_pocket
from affordance_ros.training.pocket_data import TurnWriter
from affordance_ros.training.pocket_net import PocketNet
from affordance_ros.training.pocket_tokenizer import pocket_sentences, train_tokenizer
from affordance_ros.training.recipes import RECIPES, PocketRecipe


def train(  # noqa: PLR0913 - all keywords of one command
    model: str, recipe_name: str, out: Path, *, resume: bool = False, processes: int = 0, scenes: int = 500
) -> PointingScore:
    """Train `model` by a named recipe into `out`: views/, state.pt, log.jsonl, checkpoint/, evaluation.json.

    Args:
        model: 'robopoint'.
        recipe_name: a key of `RECIPES`.
        out: folder of the run. It must be new or empty unless `resume`.
        resume: go on from the last saved step.
        processes: training processes of one thread each; 0 takes one per core.
        scenes: unseen scenes of the final evaluation.
    """
    if model != 'robopoint':
        raise AffordanceError(Code.UNKNOWN_MODEL, f'there is no recipe to train {model!r}; trainable: robopoint')
    if recipe_name not in RECIPES:
        raise AffordanceError(Code.BAD_INPUT, f'unknown recipe {recipe_name!r}; there are: {", ".join(RECIPES)}')
    if not resume and out.exists() and any(out.iterdir()):
        raise AffordanceError(
            Code.BAD_INPUT, f'{out} is not empty; give a new folder, or --resume to go on with the run in it'
        )
    recipe = RECIPES[recipe_name]
    out.mkdir(parents=True, exist_ok=True)
    processes = processes or len(os.sched_getaffinity(0))
    with Progress(
        TextColumn('{task.description:<22}'), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    ) as bars:
        _prepare(recipe, out, processes, bars)
        _train(recipe, out, processes, bars)
        write_checkpoint(recipe, out)
        task = bars.add_task('evaluate', total=scenes)
        pointing = load_model('robopoint', checkpoint=str(out / 'checkpoint'))
        score = evaluate_pointing(pointing, scenes, report=lambda asked, _: bars.update(task, completed=asked))
    (out / 'evaluation.json').write_text(json.dumps(score.rates(), indent=2) + '\n')
    return score


def _prepare(recipe: PocketRecipe, out: Path, processes: int, bars: Progress) -> None:
    if not (out / 'tokenizer.model').exists():
        task = bars.add_task('tokenizer', total=1)
        (out / 'tokenizer.model').write_bytes(train_tokenizer(pocket_sentences(), recipe.language.vocabulary))
        bars.update(task, completed=1)
    shards = list(render_task(recipe, out, processes, bars))
    if not shards:
        raise AffordanceError(Code.INTERNAL, f'no views were rendered into {out / "views"}')


def render_task(recipe: PocketRecipe, out: Path, processes: int, bars: Progress) -> list[Path]:
    """Render the training views with a progress bar; shards that are there are kept."""
    shards = []
    task = bars.add_task('render views', total=recipe.views)
    for path in render_views(out / 'views', 0, recipe.views, size=recipe.tower.image_px, processes=processes):
        shards.append(path)
        bars.advance(task, recipe.views / max(1, -(-recipe.views // 500)))
    return shards


def _train(recipe: PocketRecipe, out: Path, processes: int, bars: Progress) -> None:
    """Train in child processes while a thread shows how far the log is."""
    total = recipe.perception.steps + recipe.answers.steps
    task = bars.add_task('train', total=total)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(out / 'log.jsonl', recipe, bars, task, done), daemon=True)
    watcher.start()
    try:
        train_pocket(recipe, out, processes)
    finally:
        done.set()
        watcher.join()
    bars.update(task, completed=total)


def _watch(log: Path, recipe: PocketRecipe, bars: Progress, task: object, done: threading.Event) -> None:
    while not done.wait(1.0):
        if log.exists():
            lines = log.read_text().splitlines()
            if lines:
                record = json.loads(lines[-1])
                before = recipe.perception.steps if record['stage'] == 'answers' else 0
                bars.update(task, completed=before + record['step'], description=f'train {record["stage"]}')  # type: ignore[arg-type]


def write_checkpoint(recipe: PocketRecipe, out: Path) -> Path:
    """Write `out`/checkpoint from the state of a run and return it."""
    tokenizer = (out / 'tokenizer.model').read_bytes()
    net = PocketNet(recipe, TurnWriter(tokenizer).vocabulary)
    net.load_state_dict(torch.load(out / 'state.pt', weights_only=True)['net'])
    export_checkpoint(net, recipe, tokenizer, out / 'checkpoint')
    return out / 'checkpoint'
