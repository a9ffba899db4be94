# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`affordance predict`: one image or clip, one sentence, one answer in a folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from affordance_ros.answer_json import outcome
from affordance_ros.cli.failures import NO_ANSWER, complain
from affordance_ros.cli.tables import print_answer, print_times
from affordance_ros.cli.versions import model_lines, version_lines
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.frame_files import FrameFiles, read_frame, read_image
from affordance_ros.grasping.gripper import gripper_preset
from affordance_ros.models import load_model
from affordance_ros.models.registry import MODELS
from affordance_ros.pipeline import Answer, PipelineSettings, lift_and_grasp
from affordance_ros.report import ReportNotes, write_outputs
from affordance_ros.results import Frame, Prediction, Query


@dataclass(frozen=True)
class PredictRequest:
    """What the command line asks for; see `affordance predict --help`. earlier: images of a clip, oldest first."""

    files: FrameFiles
    sentence: str
    out: Path
    model: str = 'robopoint'
    checkpoint: str = 'pocket'
    device: str = 'cpu'
    dtype: str = 'float32'
    gripper: str = 'generic'
    options: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Path, ...] = ()
    task: str = ''
    choices: tuple[str, ...] = ()


def run_predict(request: PredictRequest) -> None:
    """Answer, print, write the files; exits with 3 when nothing was found or every point was refused."""
    if not request.sentence.strip():
        raise AffordanceError(Code.BAD_INPUT, 'the sentence is empty; say what to point at or take hold of')
    settings = PipelineSettings(gripper=gripper_preset(request.gripper))
    frame = read_frame(request.files)
    clip = _clip(request, frame)
    _writable(request.out)
    console = Console()
    with console.status(f'loading {request.model}'):
        model = load_model(request.model, request.checkpoint, request.device, request.dtype, **request.options)
    with console.status('asking the model'):
        prediction = model.predict(
            clip or frame, Query(text=request.sentence, task=request.task, options=request.choices)
        )
    answer = answer_of(frame, prediction, settings)
    print_answer(console, answer)
    if prediction.in_words:
        console.print(prediction.text, highlight=False, soft_wrap=True)
    print_times(console, answer.seconds)
    notes = ReportNotes(
        title='affordance predict',
        model=model_lines(model.describe()),
        versions=version_lines(),
        files=('answer.json', 'overlay.png', 'view_3d.png'),
    )
    for path in write_outputs(request.out, answer, notes):
        console.print(f'wrote {path}', highlight=False, soft_wrap=True)
    _finish(answer)


def _clip(request: PredictRequest, newest: Frame) -> list[Frame]:
    """Return the frames of a clip, the newest last; empty for a single image."""
    if not request.earlier:
        return []
    entry = MODELS.get(request.model)
    if entry is not None and not entry.several:
        text = f'{len(request.earlier) + 1} images were given, but {request.model} looks at one'
        others = ', '.join(entry.name for entry in MODELS.values() if entry.several)
        raise AffordanceError(Code.BAD_INPUT, f'{text}; give the newest alone, or use a model for several: {others}')
    return [*(Frame(read_image(path), frame_id='camera') for path in request.earlier), newest]


def answer_of(frame: Frame, prediction: Prediction, settings: PipelineSettings) -> Answer:
    """Lift the prediction when there is depth; without depth the answer stays in the image."""
    if frame.depth is None:
        return Answer(frame, prediction, (), (), (), dict(prediction.seconds))
    return lift_and_grasp(frame, prediction, settings)


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{folder} cannot be made: {error.strerror}') from error


def _finish(answer: Answer) -> None:
    code = outcome(answer)
    if code == 'OK':
        return
    why = answer.abstentions[0].message if answer.abstentions else answer.prediction.why_empty[1]
    complain(code, why)
    raise typer.Exit(NO_ANSWER)
