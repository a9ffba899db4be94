# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS hand paths asked as HandsOnVLM is: by the action (VHP) or by what is meant (RBHP)."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from affordance_ros.datasets.epic_hands import FRAME_RATE, WHERE, EpicHands, HandAction
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.evaluation.benchmark import Item
from affordance_ros.evaluation.benchmark_kind import BenchmarkKind, Choice, PublishedTable, Row
from affordance_ros.evaluation.epic_scores import score_hands, write_hand_results
from affordance_ros.evaluation.fingerprint import fingerprint
from affordance_ros.evaluation.records import Json
from affordance_ros.models.handsonvlm_official import official_questions
from affordance_ros.models.handsonvlm_prompts import EXPLICIT_QUESTIONS
from affordance_ros.results import Frame, Prediction, Query

TASKS = ('vhp', 'rbhp')
PICKS = ('seeded', 'first')


@dataclass(frozen=True)
class EpicBenchmark:
    """tasks: of TASKS. limit: questions per task, None: all.

    pick: which of the wordings of a question is asked: one drawn by `seed` and the number of the action (officially it
    is drawn anew in every run), or the first.
    """

    data: EpicHands
    tasks: tuple[str, ...]
    limit: int | None = None
    pick: str = PICKS[0]
    seed: int = 0

    def describe(self) -> Json:
        """Return the choice of questions and the fingerprints of the files that say which there are."""
        files = {name: fingerprint(path) for name, path in self.data.files().items()}
        if 'rbhp' in self.tasks:
            files['questions'] = fingerprint(self.data.question_file())
        chosen = {'split': self.data.split, 'tasks': list(self.tasks), 'limit': self.limit}
        return {**chosen, 'pick': self.pick, 'seed': self.seed, 'files': files}

    def items(self) -> Iterator[Item]:
        """Yield the questions, task by task in the order of the actions."""
        actions = list(self.data.actions())
        if not actions:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'no action of the {self.data.split} split has a label in {self.data.label_path(0).parent}',
            )
        for task in self.tasks:
            yield from islice(self._questions(task, actions), self.limit)

    def _questions(self, task: str, actions: Sequence[HandAction]) -> Iterator[Item]:
        meant = _reasoning_questions(self.data.question_file()) if task == 'rbhp' else {}
        for action in actions:
            wordings = meant.get(action.frames[-1], ()) if task == 'rbhp' else EXPLICIT_QUESTIONS
            if wordings:
                text = wordings[0] if self.pick == 'first' else self._draw(task, action, wordings)
                yield self._item(task, action, text.replace('{}', action.narration) if task == 'vhp' else text)

    def _draw(self, task: str, action: HandAction, wordings: Sequence[str]) -> str:
        return random.Random(f'{self.seed}/{task}/{action.uid}').choice(wordings)  # noqa: S311 - no secret

    def _item(self, task: str, action: HandAction, text: str) -> Item:
        def frames() -> Sequence[Frame]:
            stamps = [round(number / FRAME_RATE * 1e9) for number in action.numbers]
            return [Frame(rgb=rgb, stamp_ns=stamp) for rgb, stamp in zip(self.data.clip(action), stamps, strict=True)]

        def truth() -> Json:
            label = self.data.label(action.uid)
            words = {'task': task, 'uid': action.uid, 'narration': action.narration, 'question': text}
            hands = {'hands': label.hands.tolist(), 'valid': label.valid.tolist()}
            return {**words, 'last_frame': action.frames[-1], **hands}

        return Item(f'{task}/{action.uid}', frames, Query(text, task='hands'), truth)

    def record(self, prediction: Prediction) -> Json:
        """Return the path of each hand in pixels of the last frame. Raises BAD_INPUT for a model without paths."""
        if prediction.hands is None:
            raise AffordanceError(
                Code.BAD_INPUT, f'{prediction.model} gives no hand paths; this benchmark is for handsonvlm'
            )
        return {'hands_uv_px': {hand.side: hand.points.tolist() for hand in prediction.hands}}


def _reasoning_questions(path: Path) -> Mapping[str, Sequence[str]]:
    """Return the questions by the last frame that was seen. Raises BAD_INPUT for a file that is none."""
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))
        return {str(frame): official_questions(text) for frame, text in entries.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} must be a JSON object of frame and text: {error}') from error


def _open_epic(choice: Choice) -> EpicBenchmark:
    if choice.coordinates:
        raise AffordanceError(Code.BAD_INPUT, 'epic_hands has no formats to choose from')
    choice.check_settings('pick', 'seed')
    choice.needs('hands')
    strangers = [task for task in choice.tasks if task not in TASKS]
    if strangers:
        raise AffordanceError(Code.BAD_INPUT, f'{strangers[0]!r} is no task of epic_hands; known: {", ".join(TASKS)}')
    data = EpicHands(choice.root, choice.split or 'validation', choice.image_roots)
    data.files()  # says what is missing
    tasks = choice.tasks or (TASKS if _has_questions(data) else TASKS[:1])
    if 'rbhp' in tasks:
        data.question_file()
    seed = choice.settings.get('seed', 0)
    if not isinstance(seed, int):
        raise AffordanceError(Code.BAD_INPUT, f'seed must be a whole number, got {seed!r}')
    return EpicBenchmark(data, tasks, choice.limit, choice.setting('pick', PICKS), seed)


def _has_questions(data: EpicHands) -> bool:
    try:
        return bool(data.question_file())
    except AffordanceError:
        return False


def _epic_rows(scores: Json) -> list[Row]:
    rows = []
    for task, score in scores.items():
        for name in ('ade', 'fde', 'wde'):
            published = {
                model: row[f'{task}_{name}'] for model, row in _PUBLISHED.rows.items() if f'{task}_{name}' in row
            }
            official = score['official'].get(name)
            counts = score['questions'], score['unanswered']
            ours = score['of_all'][name]
            rows.append(Row(task, *counts, name, ours, official, published, score['official_left_out']))
    return rows


_PUBLISHED = PublishedTable(
    'a survey that quotes HandsOnVLM (arXiv 2412.13187); its own tables could not be read here',
    (
        'fractions of the image, smaller is better; the quoted row is of EPIC-KITCHENS-55, this data set is of 100',
        'the official program prints the error of the last step as ade and the mean over the steps as fde, and its wde '
        'counts hands that are not there as 0: compare with the official column only',
        'right: a position that was not answered is as far off as the farthest corner; official: it is (0, 0)',
        'officially every question is sampled once (temperature 0.5, latent times 2) in a wording drawn anew',
    ),
    {
        'HandsOnVLM': {'vhp_ade': 0.136, 'vhp_fde': 0.106, 'vhp_wde': 0.062},
        'LLaVA-Traj': {'vhp_ade': 0.126, 'vhp_fde': 0.142, 'vhp_wde': 0.073},
    },
)

EPIC_HANDS = BenchmarkKind(
    WHERE,
    _open_epic,
    score_hands,
    _epic_rows,
    write_hand_results,
    _PUBLISHED,
    {'handsonvlm': {'profile': 'official'}},
    'hand paths of the next second, asked by action (vhp) or meaning (rbhp)',
    'frames and annotations: CC BY-NC 4.0; labels: code under NVIDIA Source Code License-NC',
)
