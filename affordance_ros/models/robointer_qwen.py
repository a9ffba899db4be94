# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VLM, Qwen2.5-VL variants (3B and 7B): boxes, contact points, traces, choices and plans for manipulation.

Reads `InternRobotics/RoboInter-VLM` and `RoboInter-VLM_qwenvl25_3b` as they are. Questions, tasks and answer formats
are those of `robointer`; only the unit of the coordinates is another one: pixels of the resized image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import (
    BatchAnswer,
    ModelInfo,
    Progress,
    ProgressCallback,
    StopFlag,
    check_stop,
    single_frame,
)
from affordance_ros.models.parts.decoding import DecodeSettings, Guide
from affordance_ros.models.parts.device import count_memory, torch_errors
from affordance_ros.models.parts.grammar import GuideVocabulary, check_fits
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import chatml
from affordance_ros.models.parts.qwen_vl_asking import IMAGE, Asking, Listener, QwenVLAsker, Reply
from affordance_ros.models.parts.text_options import TextOptions, check_known
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN
from affordance_ros.models.robointer_answers import Coordinates, Task
from affordance_ros.models.robointer_grammar import answer_grammar
from affordance_ros.models.robointer_predictions import task_of, to_prediction
from affordance_ros.models.robointer_prompts import Question, ask, read_book, with_images
from affordance_ros.results import Frame, Prediction, Query

__all__ = ['PROFILES', 'RoboInterQwen', 'RoboInterQwenConfig', 'place_images']

FORMS = ('train', 'eval', 'lang')


@dataclass(frozen=True)
class Profile:
    """How one entry point asks. verbatim: the query's text is the whole question. form: see `place_images`."""

    verbatim: bool
    form: str
    max_new_tokens: int = 512


PROFILES = {
    'robot': Profile(verbatim=False, form='train', max_new_tokens=256),
    # As the training put the images; questions of the data set as they are.
    'train': Profile(verbatim=True, form='train'),
    # evaluation_intermediate.py and infer.py
    'eval': Profile(verbatim=True, form='eval'),
    # evaluation_intermediate_lang.py
    'lang': Profile(verbatim=True, form='lang'),
}


@dataclass(frozen=True)
class RoboInterQwenConfig(TextOptions):
    """Options of RoboInter-Qwen beyond `TextOptions`; None: what the profile says.

    repetition_penalty: None: what generation_config.json says (1.05 in the 3B release), over the words of the question
    too, as official. prompts: YAML file of questions in place of ours. form: one of FORMS.
    """

    prompts: str | None = None
    form: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('form', self.form or FORMS[0], FORMS)


def place_images(message: str, count: int, form: str) -> str:
    """Return the user's turn with `IMAGE` in the place of images.

    'train' puts each image where its marker stands, 'eval' all of them first without the line breaks behind the
    markers, 'lang' all of them first with those line breaks.
    """
    if form == 'train':
        return message.replace(IMAGE_TOKEN, IMAGE)
    rest = message.replace(IMAGE_TOKEN + '\n', '') if form == 'eval' else message
    return IMAGE * count + rest.replace(IMAGE_TOKEN, '')


class RoboInterQwen:
    """Loads in the constructor; see `RoboInterQwenConfig` for the options."""

    Config: ClassVar[type[RoboInterQwenConfig]] = RoboInterQwenConfig
    outputs = frozenset({'boxes', 'keypoints', 'traces', 'text'})

    def __init__(self, config: RoboInterQwenConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        self._form = config.form or self._profile.form
        self._book: dict[str, Question] = read_book(Path(config.prompts) if config.prompts else None)
        with torch_errors('loading robointer_qwen', device=config.device):
            self.asker = QwenVLAsker(config, 'robointer_qwen')
        penalty = self.asker.generation.repetition_penalty
        default = DecodeSettings(max_new_tokens=self._profile.max_new_tokens, repetition_penalty=penalty)
        self._settings = config.settings(default)
        self._guides: GuideVocabulary | None = None
        if config.decode == 'constrained':
            table = byte_level_table(self.asker.tokenizer.fast, self.asker.generation.eos_ids[0])
            self._guides = GuideVocabulary(table, self.asker.network.config.text_config.vocab_size)

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query of a task in `robointer_answers.TASKS`, contact_box when it names none.

        Boxes, points and traces are about the newest frame; a choice, a decision or a plan looks at all of a clip.
        """
        listener = Listener(progress or (lambda _: None), stop)
        with torch_errors('robointer_qwen', device=self._config.device):
            check_stop(stop)
            asking = self._asking(frame, query)
            listener.report(Progress('preprocess', 0.0))
            reply = self.asker.ask(asking, listener)
        listener.report(Progress('parse', 1.0, reply.text))
        return _prediction(frame, query, reply)

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer several queries, of any tasks, their texts written together."""
        with torch_errors('robointer_qwen', device=self._config.device):
            replies = self.asker.ask_batch([self._asking(frame, query) for frame, query in questions], stop)
        return [
            BatchAnswer.of(reply.text, partial(_prediction, frame, query, reply))
            for (frame, query), reply in zip(questions, replies, strict=True)
        ]

    def _asking(self, frame: Frame | Sequence[Frame], query: Query) -> Asking:
        task = task_of(query)
        frames = [single_frame(frame)] if isinstance(frame, Frame) or task.key else list(frame)
        self.asker.check_sentence(query.sentence)
        question = query.sentence if self._profile.verbatim else ask(self._book, task, query)
        message = with_images(question, len(frames))
        if message.count(IMAGE_TOKEN) != len(frames):
            raise AffordanceError(
                Code.BAD_INPUT, f'the question names {message.count(IMAGE_TOKEN)} image(s), {len(frames)} are given'
            )
        prompt = chatml(place_images(message, len(frames), self._form))
        guide = self._guide(task, query, frames[-1])
        return Asking(prompt, [each.rgb for each in frames], self._settings, guide=guide)

    def _guide(self, task: Task, query: Query, newest: Frame) -> Guide | None:
        """Return what keeps the answer in the format of its task and in the image; a plan has none."""
        if self._guides is None:
            return None
        limits = self.asker.network.preparation.resized(newest.width, newest.height)
        grammar = answer_grammar(task, shares=False, options=len(query.options[:4]) or 4, limits=limits)
        if grammar is None:
            return None
        check_fits(grammar, self._settings.max_new_tokens, 'robointer_qwen')
        return self._guides.guide(grammar, self.asker.network.device)

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        parameters, memory = count_memory(self.asker.network.parts)
        stated = self._config.repetition_penalty is None and self.asker.generation.stated
        source = 'generation_config.json' if stated else 'option or none'
        return ModelInfo(
            name='robointer_qwen',
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.asker.network.device),
            memory_bytes=memory,
            code_licence='MIT',
            weights_licence='Apache-2.0 as the card says; the base models keep theirs',
            repository='https://github.com/InternRobotics/RoboInter',
            checkpoint=str(self.asker.folder),
            checked=('prompts, pixels, features, logits and greedy answers equal the official code on tiny weights',),
            unchecked=(
                'accuracy of the 3B and 7B weights',
                'the wording of the questions: the official ones are in the data set only',
                'contact_points: no training recipe of the release has them',
                'GPU roundings',
            ),
            settings={
                'profile': self._config.profile,
                'form': self._form,
                'repetition_penalty': f'{self._settings.repetition_penalty:g} ({source})',
                'prompts': ', '.join(sorted({question.provenance for question in self._book.values()})),
                'decode': self._config.decode,
                'quantization': self._config.quantization or 'none',
            },
        )


def _prediction(frame: Frame | Sequence[Frame], query: Query, reply: Reply) -> Prediction:
    """Return what a reply says about the newest frame."""
    written = Prediction(
        'robointer_qwen', query, reply.text, confidence=reply.written.confidence, seconds=reply.seconds
    )
    coordinates = _coordinates(single_frame(frame), reply.sizes[-1])
    return to_prediction(written, task_of(query), coordinates, whole=reply.whole)


def _coordinates(frame: Frame, seen: tuple[int, int]) -> Coordinates:
    """Return what the numbers of an answer mean: pixels of the image of the size that the network saw."""
    size = (frame.width, frame.height)
    return Coordinates((size[0] / seen[0], size[1] / seen[1]), size, shares=False)
