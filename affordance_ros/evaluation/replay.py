# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Offline replay: every chosen frame of a bag is asked every prompt, through the pipeline that the nodes use.

No DDS and no clock: frames are paired by their header stamps, the transforms of the whole bag are known from the start,
and the order is that of the bag, so a run can be repeated.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affordance_ros.bags import BagTopics, read_frames
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.askers import Asker
from affordance_ros.evaluation.large_parts import with_large_parts
from affordance_ros.evaluation.records import Json, RunFolder, answered, refused
from affordance_ros.evaluation.selection import Chosen, FrameChoice
from affordance_ros.pipeline import Answer, PipelineSettings
from affordance_ros.results import Frame, Query
from affordance_ros.view_3d import draw_view_3d
from affordance_ros.visualization import draw_overlay

OVERLAYS, VIEWS = 'overlays', 'views_3d'
BAD_FRAMES = 'bad_frames.txt'
_JPEG_QUALITY = 85
OnAnswer = Callable[[Json], None]


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
    """What became of the frames of the bag. unreadable: (stamp_ns, sentence) of images that could not be decoded.

    dropped: those that a real-time replay showed while the graph was busy with another. late_s: how far its player was
    behind the recording at worst.
    """

    frames: int = 0
    paired: int = 0
    chosen: int = 0
    dropped: int = 0
    late_s: float = 0.0
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def replay(
    settings: ReplaySettings,
    asker: Asker,
    folder: RunFolder,
    done: int,
    on_answer: OnAnswer | None = None,
) -> Ledger:
    """Ask and write the answers into `folder`, after the `done` lines that an earlier run left there.

    Raises:
        AffordanceError: BAD_INPUT or NO_IMAGE for a bag that cannot be read, OOM and WORKER_DIED of the model. What the
            model refuses about one frame is written as the answer to it.
    """
    ledger = Ledger()
    line = 0
    for chosen in settings.choice.select(counted(settings, ledger, asker.see)):
        ledger.chosen += 1
        for index, query in enumerate(settings.prompts):
            line += 1
            if line <= done:
                continue
            record, times = _ask(settings, asker, folder.path, (chosen, index, query))
            folder.append(record, times)
            if on_answer is not None:
                on_answer(record)
    write_bad_frames(folder, ledger)
    return ledger


def write_bad_frames(folder: RunFolder, ledger: Ledger) -> None:
    """Write the list of the images that could not be read."""
    (folder.path / BAD_FRAMES).write_text(''.join(f'{stamp} {why}\n' for stamp, why in ledger.unreadable))


def counted(settings: ReplaySettings, ledger: Ledger, see: Callable[[Frame], None]) -> Iterator[Frame]:
    """Yield the frames of the bag; count and show them."""
    frames = read_frames(
        settings.bag, settings.topics, on_bad=lambda stamp, error: ledger.unreadable.append((stamp, error.message))
    )
    for frame in frames:
        ledger.frames += 1
        ledger.paired += frame.depth is not None
        see(frame)
        yield frame


def _ask(settings: ReplaySettings, asker: Asker, out: Path, question: tuple[Chosen, int, Query]) -> tuple[Json, Json]:
    """Return the record of an answer or a refusal, and its times."""
    chosen, index, query = question
    start = time.perf_counter()
    try:
        asked = asker.ask(chosen, query)
    except AffordanceError as error:
        if error.code in (Code.OOM, Code.WORKER_DIED, Code.CANCELED):
            raise
        return refused(chosen, index, query, error), times_of(chosen, index, {'total': time.perf_counter() - start})
    total = time.perf_counter() - start if math.isnan(asked.total_s) else asked.total_s
    write_pictures(settings, out, (chosen, index), asked.answer)
    times = times_of(chosen, index, {**asked.seconds, 'total': total}, asked.image_age_s)
    record = answered(chosen, index, asked.answer)
    return with_large_parts(record, asked.answer, RunFolder(out)), times


def times_of(chosen: Chosen, prompt: int, seconds: Mapping[str, float], image_age_s: float = math.nan) -> Json:
    """Return the line of times.jsonl for a question."""
    line: Json = {'stamp_ns': chosen.frame.stamp_ns, 'prompt': prompt, 'seconds': dict(seconds)}
    return line if math.isnan(image_age_s) else {**line, 'image_age_s': image_age_s}


def write_pictures(settings: ReplaySettings, out: Path, question: tuple[Chosen, int], answer: Answer) -> None:
    """Write the overlay and the 3D view of an answer, as the settings say."""
    name = overlay_name(question[0].index, question[1])
    if settings.overlays:
        _write_jpeg(out / OVERLAYS / name, draw_overlay(answer))
    if settings.views and answer.frame.depth is not None and answer.frame.intrinsics is not None:
        _write_jpeg(out / VIEWS / name, draw_view_3d(answer))


def overlay_name(frame_index: int, prompt: int) -> str:
    """Return the file name of the overlay of an answer (a bag may hold a stamp twice, so it is no part of it)."""
    return f'{frame_index:06d}_{prompt}.jpg'


def _write_jpeg(path: Path, rgb: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
