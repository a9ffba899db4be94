# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance eval`: a bag asked offline, two runs compared."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from affordance_ros.bags import BagContent, BagTopics, look_into
from affordance_ros.cli.failures import FAILED
from affordance_ros.cli.versions import version_lines
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.gates import Change, Verdict, compare, read_gates
from affordance_ros.evaluation.labels import read_labels
from affordance_ros.evaluation.prompts import read_prompts
from affordance_ros.evaluation.records import RUN, Json, RunFolder, differing
from affordance_ros.evaluation.replay import OnAnswer, ReplaySettings
from affordance_ros.evaluation.run import METRICS, Evaluation, evaluate
from affordance_ros.evaluation.selection import FrameChoice
from affordance_ros.frame_files import read_intrinsics
from affordance_ros.geometry.pose_buffer import StaticTransform
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.memory import keep_freed_memory
from affordance_ros.models import load_model
from affordance_ros.pipeline import PipelineSettings


@dataclass(frozen=True)
class BagRequest:
    """What the command line asks for; see `affordance eval bag --help`."""

    bag: Path
    prompts: str
    out: Path
    model: str = 'robopoint'
    checkpoint: str = 'pocket'
    device: str = 'cpu'
    dtype: str = 'float32'
    frames: str = 'all'
    gripper: str = 'generic'
    labels: Path | None = None
    gates: Path | None = None
    topics: BagTopics = field(default_factory=BagTopics)
    intrinsics: str = ''
    static_tf: Path | None = None
    resume: bool = False
    pictures: bool = True
    options: Mapping[str, str] = field(default_factory=dict)


def run_bag(request: BagRequest) -> None:
    """Ask, write the files, print how it ended; exits with 1 when a gate failed."""
    console = Console()
    content, evaluation = prepared(request)
    with console.status(f'loading {request.model}'):
        model = load_model(request.model, request.checkpoint, request.device, request.dtype, **request.options)
    total = content.images * len(evaluation.settings.prompts)
    follow(console, request.out, total, lambda on_answer: evaluate(evaluation, model, on_answer))


def prepared(request: BagRequest) -> tuple[BagContent, Evaluation]:
    """Return what the bag holds and what is to be evaluated. Raises AffordanceError for what does not fit."""
    keep_freed_memory()
    content = look_into(request.bag, request.topics)
    known = read_intrinsics(request.intrinsics, content.width, content.height) if request.intrinsics else None
    transforms = _static_transforms(request.static_tf) if request.static_tf else ()
    settings = ReplaySettings(
        bag=request.bag,
        prompts=read_prompts(request.prompts),
        choice=FrameChoice.parse(request.frames),
        topics=replace(content.topics, intrinsics=known, static_transforms=transforms),
        pipeline=PipelineSettings(gripper=gripper_preset(request.gripper)),
        overlays=request.pictures,
        views=request.pictures,
    )
    return content, Evaluation(
        settings,
        request.out,
        resume=request.resume,
        gates=read_gates(request.gates) if request.gates else (),
        labels=read_labels(request.labels) if request.labels else None,
        versions=version_lines(),
        options=request.options,
    )


def follow(console: Console, out: Path, total: int, work: Callable[[OnAnswer], tuple[Verdict, ...]]) -> None:
    """Show how an evaluation goes and how it ended; exits with 1 when a gate failed."""
    outcomes: dict[str, int] = {}
    with _progress(console) as bar:
        task = bar.add_task('asking', total=total)

        def on_answer(line: Json) -> None:
            outcomes[line['outcome']] = outcomes.get(line['outcome'], 0) + 1
            bar.advance(task)

        verdicts = work(on_answer)
        bar.update(task, total=sum(outcomes.values()))
    _print_end(console, outcomes, verdicts)
    console.print(f'wrote {out}/report.html', highlight=False, soft_wrap=True)
    if not all(item.passed for item in verdicts):
        raise typer.Exit(FAILED)


def _progress(console: Console) -> Progress:
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn('left'), TimeRemainingColumn(), console=console)


def _print_end(console: Console, outcomes: Mapping[str, int], verdicts: tuple[Verdict, ...]) -> None:
    table = Table(title='how the questions ended', title_justify='left', min_width=24)
    table.add_column('code')
    table.add_column('answers', justify='right')
    for name, count in sorted(outcomes.items(), key=lambda item: -item[1]):
        table.add_row(name, str(count))
    console.print(table)
    for item in verdicts:
        console.print(f'{"passed" if item.passed else "FAILED"}: {item.sentence}', highlight=False, soft_wrap=True)


def run_compare(first: Path, second: Path, margin: float, ignored: Sequence[str] = ()) -> None:
    """Print what changed from the first run to the second; exits with 1 when something got worse.

    ignored: beginnings of names that are left out, such as 'seconds'.
    """
    _tell_differences(first, second)
    known = compare(_metrics(first), _metrics(second), margin)
    changes = [change for change in known if not change.name.startswith(tuple(ignored))]
    table = Table(title=f'{first.name} -> {second.name}, changes above {100 * margin:g} %', title_justify='left')
    for name in ('number', first.name, second.name, ''):
        table.add_column(name, justify='left' if name == 'number' else 'right')
    for change in changes:
        if change.better is not None:
            table.add_row(change.name, f'{change.first:.4g}', f'{change.second:.4g}', _word(change))
    console = Console()
    console.print(table)
    worse = [change.name for change in changes if change.better is False]
    same = sum(change.better is None for change in changes)
    console.print(f'{len(worse)} worse, {len(changes) - same - len(worse)} better, {same} alike', highlight=False)
    if worse:
        raise typer.Exit(FAILED)


def _tell_differences(first: Path, second: Path) -> None:
    """Say what the two runs were asked differently."""
    if all((folder / RUN).is_file() for folder in (first, second)):
        names = differing(RunFolder(first).run(), RunFolder(second).run())
        if names:
            Console().print(f'the runs differ in: {", ".join(names)}', highlight=False, soft_wrap=True)


def _word(change: Change) -> str:
    return '[green]better[/]' if change.better else '[red]worse[/]'


def _metrics(folder: Path) -> Json:
    file = folder / METRICS
    if not file.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'{folder} holds no finished run (no {METRICS})')
    content: Json = json.loads(file.read_text())
    return content


def _static_transforms(path: Path) -> tuple[StaticTransform, ...]:
    """Read a YAML list of {parent, child, xyz, xyzw}."""
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no file of transforms at {path}')
    try:
        entries = yaml.safe_load(path.read_text(encoding='utf-8'))
        return tuple(
            StaticTransform(entry['parent'], entry['child'], pose_from(entry['xyz'], entry['xyzw']))
            for entry in entries
        )
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        text = f'{path} must be a YAML list of {{parent, child, xyz: [x, y, z], xyzw: [x, y, z, w]}}: {error}'
        raise AffordanceError(Code.BAD_INPUT, text) from error
