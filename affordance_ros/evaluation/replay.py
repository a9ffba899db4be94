# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Offline replay: every chosen frame of a bag is asked every prompt, through the pipeline that the nodes use.

No DDS and no clock: frames are paired by their header stamps, the transforms of the whole bag are known from the start,
and the order is that of the bag, so a run can be repeated.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affordance_ros.bags import BagTopics, read_frames
from affordance_ros.clip_buffer import ClipBuffer
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.records import RunFolder, answered, refused
from affordance_ros.evaluation.selection import Chosen, FrameChoice
from affordance_ros.models.base import AffordanceModel
from affordance_ros.models.registry import MODELS
from affordance_ros.pipeline import PipelineSettings, run
from affordance_ros.results import Frame, Query
from affordance_ros.view_3d import draw_view_3d
from affordance_ros.visualization import draw_overlay

OVERLAYS, VIEWS = 'overlays', 'views_3d'
BAD_FRAMES = 'bad_frames.txt'
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class ReplaySettings:
    """What is asked of which frames. overlays, views: write JPEGs of every answer, in the image and in 3D."""

    bag: Path
    prompts: tuple[Query, ...]
    choice: FrameChoice = field(default_factory=FrameChoice)
    topics: BagTopics = field(default_factory=BagTopics)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    overlays: bool = True
    views: bool = True


@dataclass
class Ledger:
    """What became of the frames of the bag. unreadable: (stamp_ns, sentence) of images that could not be decoded."""

    frames: int = 0
    paired: int = 0
    chosen: int = 0
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def replay(
    settings: ReplaySettings,
    model: AffordanceModel,
    folder: RunFolder,
    done: int,
    on_answer: Callable[[dict[str, Any]], None] | None = None,
) -> Ledger:
    """Ask and write the answers into `folder`, after the `done` lines that an earlier run left there.

    Raises:
        AffordanceError: BAD_INPUT or NO_IMAGE for a bag that cannot be read, OOM and WORKER_DIED of the model. What the
            model refuses about one frame is written as the answer to it.
    """
    ledger = Ledger()
    line = 0
    entry = MODELS.get(model.describe().name)
    clips = ClipBuffer() if entry is not None and entry.clip else None
    for chosen in settings.choice.select(_counted(settings, ledger, clips)):
        ledger.chosen += 1
        for index, query in enumerate(settings.prompts):
            line += 1
            if line <= done:
                continue
            record, times = _ask(settings, (model, clips), folder.path, (chosen, index, query))
            folder.append(record, times)
            if on_answer is not None:
                on_answer(record)
    (folder.path / BAD_FRAMES).write_text(''.join(f'{stamp} {why}\n' for stamp, why in ledger.unreadable))
    return ledger


def _counted(settings: ReplaySettings, ledger: Ledger, clips: ClipBuffer | None) -> Iterator[Frame]:
    frames = read_frames(
        settings.bag, settings.topics, on_bad=lambda stamp, error: ledger.unreadable.append((stamp, error.message))
    )
    for frame in frames:
        ledger.frames += 1
        ledger.paired += frame.depth is not None
        if clips is not None:
            clips.add(frame.stamp_ns, frame)
        yield frame


def _ask(
    settings: ReplaySettings,
    asked: tuple[AffordanceModel, ClipBuffer | None],
    out: Path,
    question: tuple[Chosen, int, Query],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the record of an answer or a refusal, and its times. A model for clips gets the frames before as well."""
    (model, clips), (chosen, index, query) = asked, question
    head = {'stamp_ns': chosen.frame.stamp_ns, 'prompt': index}
    start = time.perf_counter()
    try:
        answer = run(model, _shown(chosen.frame, clips), query, settings.pipeline)
    except AffordanceError as error:
        if error.code in (Code.OOM, Code.WORKER_DIED, Code.CANCELED):
            raise
        return refused(chosen, index, query, error), {**head, 'seconds': {'total': time.perf_counter() - start}}
    total = time.perf_counter() - start
    name = overlay_name(chosen.index, index)
    if settings.overlays:
        _write_jpeg(out / OVERLAYS / name, draw_overlay(answer))
    if settings.views and answer.frame.depth is not None and answer.frame.intrinsics is not None:
        _write_jpeg(out / VIEWS / name, draw_view_3d(answer))
    return answered(chosen, index, answer), {**head, 'seconds': {**answer.seconds, 'total': total}}


def _shown(frame: Frame, clips: ClipBuffer | None) -> Frame | Sequence[Frame]:
    """Return a frame, or the clip that ends with it. Raises AffordanceError NO_CLIP."""
    if clips is None:
        return frame
    found: list[Frame] = clips.clip(frame.stamp_ns, 0.0, ending=(frame.stamp_ns, frame))
    return found


def overlay_name(frame_index: int, prompt: int) -> str:
    """Return the file name of the overlay of an answer (a bag may hold a stamp twice, so it is no part of it)."""
    return f'{frame_index:06d}_{prompt}.jpg'


def _write_jpeg(path: Path, rgb: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
