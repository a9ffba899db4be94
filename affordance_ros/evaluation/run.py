# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One evaluation from beginning to end: load, replay, score, judge, and write every file."""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.askers import Asker, ModelAsker
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.gates import Gate, Verdict, judge
from affordance_ros.evaluation.labels import Labels
from affordance_ros.evaluation.records import Json, RunFolder
from affordance_ros.evaluation.replay import Ledger, OnAnswer, ReplaySettings, replay
from affordance_ros.evaluation.replay_report import Finished, write_replay_report
from affordance_ros.evaluation.results_bag import RESULTS, write_results_bag
from affordance_ros.evaluation.scores import score_answers
from affordance_ros.evaluation.summary import Summary, summarize
from affordance_ros.evaluation.tables import write_csv, write_junit
from affordance_ros.models.base import AffordanceModel, ModelInfo

METRICS = 'metrics.json'
FRAMES = 'frames.json'


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated; `settings.topics` as `bags.look_into` found them.

    versions: of the installed packages, for run.json. labels: truth by stamp. mode: how it was asked, for run.json.
    options: of the model; its seed counts where it samples.
    """

    settings: ReplaySettings
    out: Path
    resume: bool = False
    gates: tuple[Gate, ...] = ()
    labels: Labels | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    mode: str = 'offline'
    options: Mapping[str, Any] = field(default_factory=dict)


def evaluate(evaluation: Evaluation, model: AffordanceModel, on_answer: OnAnswer | None = None) -> tuple[Verdict, ...]:
    """Replay, write every file into `out`, and return how the gates ended.

    Raises:
        AffordanceError: as `replay` does, BAD_INPUT for a folder that holds another run, NO_IMAGE when not one image of
            the bag can be used.
    """
    return evaluate_with(evaluation, ModelAsker(model, evaluation.settings.pipeline), on_answer)


def evaluate_with(evaluation: Evaluation, asker: Asker, on_answer: OnAnswer | None = None) -> tuple[Verdict, ...]:
    """Do what `evaluate` does with whoever answers."""
    folder = RunFolder(evaluation.out)
    done = folder.begin(description(evaluation, asker.describe()), resume=evaluation.resume)
    for line in folder.answers():
        if on_answer is not None:
            on_answer(line)
    ledger = replay(evaluation.settings, asker, folder, done, on_answer)
    return close(evaluation, folder, ledger)


def close(evaluation: Evaluation, folder: RunFolder, ledger: Ledger) -> tuple[Verdict, ...]:
    """Write what became of the frames and everything that follows from the answers. Raises NO_IMAGE without any."""
    if ledger.unreadable and not ledger.frames:
        raise AffordanceError(
            Code.NO_IMAGE, f'none of the {len(ledger.unreadable)} images can be used: {ledger.unreadable[0][1]}'
        )
    (folder.path / FRAMES).write_text(json.dumps(_frames(ledger)) + '\n')
    return finish(folder, evaluation.gates, evaluation.labels)


def description(evaluation: Evaluation, model: ModelInfo) -> Json:
    """Return run.json of an evaluation."""
    options = {'options': _clean(evaluation.options), 'seed': int(evaluation.options.get('seed', 0))}
    return {'mode': evaluation.mode, **options, **describe(evaluation.settings, model, evaluation.versions)}


def finish(folder: RunFolder, gates: Sequence[Gate] = (), labels: Labels | None = None) -> tuple[Verdict, ...]:
    """Write everything that follows from the answers of a run; needs no model, so scores can be computed again."""
    answers, times = list(folder.answers()), list(folder.times())
    frames_file = folder.path / FRAMES
    metrics: dict[str, Any] = {
        'frames': json.loads(frames_file.read_text()) if frames_file.is_file() else {},
        **_numbers(summarize(answers, times)),
        'timeouts': sum(line['outcome'] == Code.TIMEOUT.name for line in answers),
        'scores': score_answers(answers, labels, folder) if labels else {},
    }
    verdicts = judge(gates, metrics)
    (folder.path / METRICS).write_text(json.dumps(_clean(metrics), indent=2, allow_nan=False) + '\n')
    write_csv(folder.path / 'answers.csv', answers, times)
    write_junit(folder.path / 'junit.xml', 'affordance_eval', verdicts)
    shutil.rmtree(folder.path / RESULTS, ignore_errors=True)
    write_results_bag(folder)
    write_replay_report(Finished(folder, answers, times, metrics, verdicts))
    return verdicts


def describe(settings: ReplaySettings, model: ModelInfo, versions: Mapping[str, str]) -> Json:
    """Return run.json: everything that the answers depend on, and no time of day."""
    topics = settings.topics
    checkpoint = Path(model.checkpoint) if model.checkpoint else None
    record: Json = _clean({
        'bag': f'{settings.bag.resolve().parent.name}/{settings.bag.resolve().name}',
        'bag_fingerprint': fingerprint(settings.bag),
        'topics': {'image': topics.image, 'depth': topics.depth, 'camera_info': topics.camera_info},
        'target_frame': topics.target_frame,
        'frames': dataclasses.asdict(settings.choice),
        'prompts': [{'sentence': query.sentence, **dataclasses.asdict(query)} for query in settings.prompts],
        'model': {**dataclasses.asdict(model), 'checkpoint': checkpoint.name if checkpoint else ''},
        'checkpoint_fingerprint': fingerprint(checkpoint) if checkpoint and checkpoint.exists() else '',
        'pipeline': dataclasses.asdict(settings.pipeline),
        'versions': dict(versions),
    })  # fmt: skip
    return record


def _frames(ledger: Ledger) -> Json:
    return {
        'in_bag': ledger.frames + len(ledger.unreadable),
        'with_depth': ledger.paired,
        'asked': ledger.chosen,
        'unreadable': len(ledger.unreadable),
        'dropped': ledger.dropped,
        'player_late_s': ledger.late_s,
    }


def _numbers(summary: Summary) -> Json:
    numbers = {name: value for name, value in dataclasses.asdict(summary).items() if name != 'answers'}
    return {'questions': summary.answers, 'answered_ratio': summary.answered_ratio, **numbers}


def _clean(value: Any) -> Any:
    """Return what JSON knows: mappings with text keys, lists, and null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(name): _clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)
