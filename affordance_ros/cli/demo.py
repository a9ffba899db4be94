# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance demo`: the graph in separate processes, one question, the answer against the truth of the scene."""

import importlib.util
import json
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console

from affordance_ros.bags import read_recorded_answer
from affordance_ros.cli.failures import FAILED, NO_ANSWER, complain
from affordance_ros.cli.processes import Processes
from affordance_ros.cli.tables import print_answer, print_times
from affordance_ros.cli.versions import version_lines
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models
from affordance_ros.pipeline import Answer
from affordance_ros.report import ReportNotes, write_outputs
from affordance_ros.scenes import PartTruth, Scene, ScenePart, sample_scene
from affordance_ros.scenes.catalogue import CLASSES, COLORS

DEFAULT_SENTENCE = 'grasp the red mug by its handle'
READY_S, ANSWER_S = 90.0, 40.0
FEW_PIXELS = 40
STILL_S = 0.5  # the scene does not move
OUTPUTS = ('overlay.png', 'view_3d.png', 'report.html', 'answer.json', 'bag', 'logs')


@dataclass(frozen=True)
class DemoRequest:
    """What the command line asks for; see `affordance demo --help`."""

    sentence: str
    seed: int
    out: Path
    model: str = 'robopoint'
    checkpoint: str = 'pocket'


@dataclass(frozen=True)
class Setting:
    """The scene of a demo and what the sentence means in it."""

    scene: Scene
    must_have: str
    part: ScenePart
    truth: PartTruth


def run_demo(request: DemoRequest) -> None:
    """Run the demo; exits with 0 when a target came, with 3 when the graph refused."""
    started = time.monotonic()
    require_ros()
    console = Console(soft_wrap=True)
    sentence = request.sentence.strip() or DEFAULT_SENTENCE
    if request.model not in [entry.name for entry in list_models()]:
        known = ', '.join(entry.name for entry in list_models())
        raise AffordanceError(Code.UNKNOWN_MODEL, f'there is no model {request.model!r}; known: {known}')
    setting = find_setting(sentence, request.seed)
    console.print(f'scene {request.seed}: {", ".join(setting.scene.objects())}', highlight=False)
    if int(setting.truth.mask.sum()) < FEW_PIXELS:
        console.print(f'note: the {setting.part.part} is hardly seen from this camera; another --seed shows it')
    _clear(request.out)
    with Processes(request.out / 'logs') as processes, console.status('starting the nodes') as status:
        outcome = _ask(processes, request, setting, sentence, status)
    _show(console, request, setting, outcome)
    console.print(f'done in {time.monotonic() - started:.0f} s, all processes ended', style='dim')
    if outcome['response']['outcome']['code']:
        code, message = Code(outcome['response']['outcome']['code']), outcome['response']['outcome']['message']
        complain(code.name, message)
        raise typer.Exit(FAILED if code is Code.INTERNAL else NO_ANSWER)


def require_ros() -> None:
    """Exit with 1 and the way out when this Python has no rclpy or no interfaces of ours."""
    for module in ('rclpy', 'affordance_ros.msg', 'affordance_ros.srv', 'tf2_msgs'):
        if importlib.util.find_spec(module) is None:
            complain(
                'NO ROS', f'{module} is not there; run: make setup (or source your workspace), then: affordance doctor'
            )
            raise typer.Exit(FAILED)


def find_setting(sentence: str, seed: int) -> Setting:
    """Return the scene of a seed; an object that the sentence names by colour and class is put there.

    Raises:
        AffordanceError: BAD_INPUT when the sentence means nothing in the scene, with what there is.
    """
    words = re.findall(r'[a-z]+', sentence.lower())
    name = next((word for word in words if word in CLASSES), '')
    color = next((word for word in words if word in COLORS), '')
    scene, must_have = sample_scene(seed), ''
    part = scene.find(sentence)
    if name and (part is None or color not in ('', part.color)):
        must_have = f'{color or "red"} {name}'
        scene = sample_scene(seed, must_have=(color or 'red', name))
        part = scene.find(sentence)
    if part is None:
        there = ', '.join(scene.objects())
        example = scene.sentences(scene.parts[0].id)[0]
        text = f'{sentence!r} means no part of this scene; there is: {there}. For example: "{example}"'
        raise AffordanceError(Code.BAD_INPUT, text)
    return Setting(scene, must_have, part, scene.truth(scene.render(), part.id))


def errors_mm(answer: Answer, truth: PartTruth) -> tuple[float, ...]:
    """Return how far each target's contact is from the true visible surface of the asked part, in millimetres."""
    return tuple(1000 * truth.distance_m(target.contact.point) for target in answer.targets)


def _clear(out: Path) -> None:
    """Remove what an earlier demo left there, and nothing else."""
    for name in OUTPUTS:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _ask(processes: Processes, request: DemoRequest, setting: Setting, sentence: str, status: Any) -> dict[str, Any]:
    """Start the nodes and the client; return the client's last word."""
    scene = ['-p', f'scene.seed:={request.seed}', '-p', 'scene.rate:=10.0']
    scene += ['-p', f'scene.must_have:={json.dumps(setting.must_have)}'] if setting.must_have else []
    model = ['-p', f'model.name:={request.model}', '-p', f'model.checkpoint:={json.dumps(request.checkpoint)}']
    processes.start('scene_node', ['--ros-args', *scene])
    processes.start('affordance_node', ['--ros-args', *model, '-p', 'tf.target_frame:=table'])
    processes.start('target_node', [])
    asks = ['--sentence', sentence, '--record', str(request.out / 'bag')]
    times = ['--timeout', str(ANSWER_S), '--ready-timeout', str(READY_S)]
    client = processes.start('demo_client', [*asks, *times], piped=True)
    for line in _lines(processes, client):
        if line['stage'] == 'answer':
            processes.finish('demo_client')
            return line
        if line['stage'] == 'failed':
            logs = '\n'.join(f'{name}:\n{processes.tail(name, 4)}' for name in ('affordance_node', 'target_node'))
            raise AffordanceError(Code[line['code']], f'{line["text"]}; the last lines of the logs:\n{logs}')
        status.update(line.get('text') or line['stage'])
    raise AffordanceError(Code.INTERNAL, f'the client ended without an answer:\n{processes.tail("demo_client")}')


def _lines(processes: Processes, client: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of the client while watching that every node runs."""
    assert client.stdout is not None
    deadline = time.monotonic() + READY_S + 2 * ANSWER_S
    while time.monotonic() < deadline:
        if select.select([client.stdout], [], [], 0.2)[0]:
            line = client.stdout.readline()
            if not line:
                return
            if line.startswith(b'{'):
                yield json.loads(line)
        else:
            processes.check()
    raise AffordanceError(Code.TIMEOUT, 'the demo takes too long; see the logs')


def _show(console: Console, request: DemoRequest, setting: Setting, outcome: dict[str, Any]) -> None:
    """Print the answer that the bag holds and write pictures and report."""
    answer = read_recorded_answer(request.out / 'bag', STILL_S)
    errors = errors_mm(answer, setting.truth)
    print_answer(console, answer, errors)
    print_times(console, {**answer.seconds, 'request': outcome['seconds']})
    part = setting.part
    truth = {'asked part': f'{part.part} of the {part.color} {part.object_name}'}
    truth['width'] = f'{1000 * setting.truth.width_m:.1f} mm'
    if errors and np.isfinite(errors[0]):
        truth['best contact to its surface'] = f'{errors[0]:.1f} mm'
        truth['all contacts'] = ', '.join(f'{error:.1f} mm' for error in errors)
    files = ('overlay.png', 'view_3d.png', 'answer.json', 'bag/', 'logs/')
    model = {'name': request.model, 'checkpoint': request.checkpoint}
    title = f'affordance demo, scene {request.seed}'
    write_outputs(request.out, answer, ReportNotes(title, model, truth, version_lines(), files))
    console.print(f'wrote {request.out}/: {", ".join(OUTPUTS)}')
