# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Online replay: the frames of a bag are shown to running nodes, and their answers become the files of a run.

The nodes are reached through a driver process that takes and gives lines of JSON (`nodes/replay_driver.py`), so that
this half needs no ROS. One frame at a time, it is an `Asker`; at the pace of the recording, `evaluate_in_real_time`.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from affordance_ros.bags.answers import answer_parts
from affordance_ros.bags.predictions import prediction_of, seconds_of
from affordance_ros.bags.types import decode
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.askers import Asked
from affordance_ros.evaluation.gates import Verdict
from affordance_ros.evaluation.large_parts import with_large_parts
from affordance_ros.evaluation.records import Json, RunFolder, answered, refused
from affordance_ros.evaluation.replay import Ledger, OnAnswer, counted, times_of, write_bad_frames, write_pictures
from affordance_ros.evaluation.run import Evaluation, close, description
from affordance_ros.evaluation.selection import Chosen, difference, thumbnail
from affordance_ros.models.base import ModelInfo
from affordance_ros.models.registry import MODELS
from affordance_ros.pipeline import Answer
from affordance_ros.results import Frame, Query

QUERY_FIELDS = ('text', 'object', 'action', 'task', 'options')


class Talk(Protocol):
    """The driver process."""

    def tell(self, order: Json) -> None:
        """Send an order."""
        ...

    def hear(self) -> Json:
        """Return the next line. Raises AffordanceError when the driver or a node has ended or says nothing."""
        ...


class LiveAsker:
    """Shows a frame, waits until the node has it, asks, and goes on only after the answer."""

    def __init__(self, talk: Talk, info: ModelInfo, timeout_s: float) -> None:
        self._talk, self._info, self._timeout_s = talk, info, timeout_s
        self._clip = info.name in MODELS and MODELS[info.name].clip
        self._seen: Counter[int] = Counter()
        self._shown: tuple[int, AffordanceError | None] = (-1, None)
        self._count = 0

    def describe(self) -> ModelInfo:
        """Tell which model the node serves."""
        return self._info

    def see(self, frame: Frame) -> None:
        """Count the frame; a model for clips is shown every one."""
        self._count += 1
        self._seen[frame.stamp_ns] += 1
        if self._clip:
            self._show(frame, self._count - 1)

    def ask(self, chosen: Chosen, query: Query) -> Asked:
        """Ask the nodes. Raises AffordanceError with the code of whoever refused."""
        if self._shown[0] != chosen.index:
            self._show(chosen.frame, chosen.index)
        if self._shown[1] is not None:
            raise self._shown[1]
        self._talk.tell({'do': 'ask', 'query': query_fields(query), 'timeout_s': self._timeout_s})
        return asked_from(self._hear(), chosen.frame, query)

    def _hear(self) -> Json:
        """Return the next line. What keeps it from coming ends the run: it is no answer. Raises WORKER_DIED."""
        try:
            return self._talk.hear()
        except AffordanceError as error:
            raise AffordanceError(Code.WORKER_DIED, error.message) from error

    def _show(self, frame: Frame, index: int) -> None:
        self._talk.tell({'do': 'show', 'stamp_ns': frame.stamp_ns, 'nth': self._seen[frame.stamp_ns] - 1})
        line = self._hear()
        refusal = None if line['shown'] else AffordanceError(Code[line['code']], line['text'])
        self._shown = index, refusal


@dataclass(frozen=True)
class RealTime:
    """rate: 2.0 plays twice as fast. timeout_s: for one answer."""

    rate: float = 1.0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.rate > 0 or not self.timeout_s > 0:
            raise AffordanceError(Code.BAD_INPUT, f'rate and timeout must be above 0, got {self}')


def evaluate_in_real_time(
    evaluation: Evaluation, talk: Talk, info: ModelInfo, pace: RealTime, on_answer: OnAnswer | None = None
) -> tuple[Verdict, ...]:
    """Play the bag, take the answers that come meanwhile, then write every file as the offline replay does.

    A frame that no question was about counts as dropped. Raises AffordanceError as `evaluate` does, and BAD_INPUT for
    a choice of frames or --resume, which the pace of a recording does not allow.
    """
    if evaluation.settings.choice.kind != 'all' or evaluation.resume:
        raise AffordanceError(Code.BAD_INPUT, 'a real-time replay plays the whole bag: no --frames and no --resume')
    folder = RunFolder(evaluation.out)
    folder.begin(description(evaluation, info), resume=False)
    prompts = evaluation.settings.prompts
    queries = [query_fields(query) for query in prompts]
    talk.tell({'do': 'play', 'rate': pace.rate, 'queries': queries, 'timeout_s': pace.timeout_s})
    ledger, seen = Ledger(), Counter[int]()
    lines: dict[tuple[int, int], list[Json]] = defaultdict(list)
    while 'played' not in (line := talk.hear()):
        lines[line['stamp_ns'], line['nth']].append(line)
    ledger.late_s = float(line['played']['late_s'])
    last = None
    for index, frame in enumerate(counted(evaluation.settings, ledger, lambda _: None)):
        seen[frame.stamp_ns] += 1
        of_frame = lines.get((frame.stamp_ns, seen[frame.stamp_ns] - 1), ())
        ledger.dropped += not of_frame
        if not of_frame:
            continue
        ledger.chosen += 1
        small = thumbnail(frame)
        chosen = Chosen(frame, index, difference(last, small))
        last = small
        _write(evaluation, folder, (chosen, of_frame), on_answer)
    write_bad_frames(folder, ledger)
    return close(evaluation, folder, ledger)


def _write(
    evaluation: Evaluation,
    folder: RunFolder,
    answers: tuple[Chosen, Sequence[Json]],
    on_answer: Callable[[Json], None] | None,
) -> None:
    chosen, lines = answers
    for line in sorted(lines, key=lambda item: int(item['prompt'])):
        index = int(line['prompt'])
        query = evaluation.settings.prompts[index]
        try:
            asked = asked_from(line, chosen.frame, query)
        except AffordanceError as error:
            record = refused(chosen, index, query, error)
            times = times_of(chosen, index, {'total': float(line['seconds'])})
        else:
            record = with_large_parts(answered(chosen, index, asked.answer), asked.answer, folder)
            times = times_of(chosen, index, asked.seconds, asked.image_age_s)
            write_pictures(evaluation.settings, folder.path, (chosen, index), asked.answer)
        folder.append(record, times)
        if on_answer is not None:
            on_answer(record)


def query_fields(query: Query) -> Json:
    """Return what is set of a query."""
    fields = {name: getattr(query, name) for name in QUERY_FIELDS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items() if value}


def asked_from(line: Json, frame: Frame, query: Query) -> Asked:
    """Return the answer that the nodes gave about a frame. Raises AffordanceError for a refusal."""
    if 'code' in line:
        raise AffordanceError(Code[line['code']], line['text'])
    array = _message(line['targets'], 'affordance_ros/msg/GraspTargetArray')
    said = _message(line['answer'], 'affordance_ros/msg/AffordanceArray')
    heatmaps = [_message(item, 'sensor_msgs/msg/Image') for item in line['heatmaps']]
    in_camera = array.header.frame_id.lstrip('/') in (frame.frame_id.lstrip('/'), '')
    if not in_camera and frame.target_from_camera is None:
        raise AffordanceError(Code.TF, f'the nodes answered in {array.header.frame_id!r}, which the bag does not know')
    pose = None if in_camera else np.asarray(frame.target_from_camera)
    targets, abstentions = answer_parts(array, pose)
    entry = MODELS.get(said.model)
    looked_for = entry.outputs if entry is not None and array.outcome.code else ()
    prediction = prediction_of(said.affordances[0], said.model, query, next(iter(heatmaps), None), looked_for)
    total = float(line['seconds'])
    seconds = {**seconds_of(said.stages), **seconds_of(array.stages), 'total': total}
    contacts = tuple(target.contact for target in targets)
    answer = Answer(frame, prediction, contacts, targets, abstentions, seconds)
    age = array.image_age
    return Asked(answer, seconds, age.sec + age.nanosec / 1e9, total)


def _message(coded: str, kind: str) -> Any:
    return decode(base64.b64decode(coded), kind)
