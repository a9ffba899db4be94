# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any checkpoint of the Qwen-VL family (Qwen2.5-VL, Qwen3-VL and what was fine-tuned from them) asked for places.

What a checkpoint's answers look like is its dialect, see `parts.answer_dialects`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.models.base import (
    BatchAnswer,
    ModelInfo,
    Progress,
    ProgressCallback,
    StopFlag,
    check_stop,
    single_frame,
)
from affordance_ros.models.parts.answer_dialects import COORDINATES, DIALECTS, OF_FAMILY, Ask, Dialect
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
from affordance_ros.models.parts.decoding import DecodeSettings, Guide
from affordance_ros.models.parts.device import count_memory, torch_errors
from affordance_ros.models.parts.dialect_answers import CUT_OFF, read_places, split_thought, unit_of
from affordance_ros.models.parts.dialect_grammar import dialect_grammar
from affordance_ros.models.parts.grammar import GuideVocabulary, check_fits
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_vl_asking import IMAGE, Asking, Listener, QwenVLAsker, Reply
from affordance_ros.models.parts.qwen_vl_loading import SUB_FOLDER, read_config
from affordance_ros.models.parts.text_options import TextOptions, check_known
from affordance_ros.results import Frame, Prediction, Query, Trace

__all__ = ['QwenVL', 'QwenVLConfig']

AUTO = 'auto'
PROFILES = ('robot',)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class QwenVLConfig(TextOptions):
    """Options beyond `TextOptions`; None: what the dialect says, and of the image limits what the checkpoint says.

    dialect: one of DIALECTS, or 'auto' for the one of the base model. coordinates: another unit for its numbers, one of
    COORDINATES. think: False asks a thinking checkpoint to answer at once. question: another wording of the dialect's
    default task, with {text} where the sentence stands. system: another system turn. min_pixels, max_pixels: area that
    the image is resized into.
    """

    dialect: str = AUTO
    coordinates: str | None = None
    think: bool | None = None
    question: str | None = None
    system: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('dialect', self.dialect, (AUTO, *DIALECTS))
        check_known('coordinates', self.coordinates or COORDINATES[0], COORDINATES)
        if self.question is not None and '{text}' not in self.question:
            raise AffordanceError(Code.BAD_INPUT, 'question must hold {text}, where the sentence of a query stands')

    def spoken(self, family: str) -> Dialect:
        """Return the dialect of a checkpoint with the options in their place."""
        dialect = DIALECTS[OF_FAMILY[family] if self.dialect == AUTO else self.dialect]
        if self.question is not None:
            asks = {**dialect.asks, dialect.default: replace(dialect.asks[dialect.default], text=self.question)}
            dialect = replace(dialect, asks=asks)
        if self.think is not None and dialect.quick is None:
            raise AffordanceError(Code.BAD_INPUT, f'the dialect {dialect.name} does not think; leave think out')
        if self.think is False:
            dialect = replace(dialect, begun=dialect.quick or '', thinks=False)
        if self.system is not None:
            dialect = replace(dialect, system=self.system)
        return replace(dialect, coordinates=self.coordinates or dialect.coordinates)


class QwenVL:
    """Loads in the constructor; see `QwenVLConfig` for the options."""

    Config: ClassVar[type[QwenVLConfig]] = QwenVLConfig
    outputs = frozenset({'keypoints', 'boxes', 'traces', 'text'})

    def __init__(self, config: QwenVLConfig) -> None:
        self._config = config
        self._family = read_config(checkpoint_folder(config.checkpoint, 'qwen_vl', also_in=SUB_FOLDER))[0]
        self.dialect = config.spoken(self._family)
        with torch_errors('loading qwen_vl', device=config.device):
            self.asker = QwenVLAsker(config, 'qwen_vl')
        network = self.asker.network
        network.preparation = replace(
            network.preparation,
            min_pixels=config.min_pixels or network.preparation.min_pixels,
            max_pixels=config.max_pixels or network.preparation.max_pixels,
        )
        penalty = self.dialect.repetition_penalty or self.asker.generation.repetition_penalty
        default = DecodeSettings(max_new_tokens=self.dialect.max_new_tokens, repetition_penalty=penalty)
        self._settings = config.settings(default)
        self._guides: GuideVocabulary | None = None
        if config.decode == 'constrained':
            table = byte_level_table(self.asker.tokenizer.fast, self.asker.generation.eos_ids[0])
            self._guides = GuideVocabulary(table, network.config.text_config.vocab_size)
        _LOG.info('qwen_vl: dialect %s, coordinates %s', self.dialect.name, self.dialect.coordinates)

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query about the newest frame; task: one of the dialect's, see docs/models/qwen_vl.md."""
        image = single_frame(frame)
        listener = Listener(progress or (lambda _: None), stop)
        with torch_errors('qwen_vl', device=self._config.device):
            check_stop(stop)
            asking = self._asking(image, query)
            listener.report(Progress('preprocess', 0.0))
            reply = self.asker.ask(asking, listener)
        listener.report(Progress('parse', 1.0, reply.text))
        return self._prediction(image, query, reply)

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer several queries, their texts written together."""
        asked = [(single_frame(frame), query) for frame, query in questions]
        with torch_errors('qwen_vl', device=self._config.device):
            replies = self.asker.ask_batch([self._asking(image, query) for image, query in asked], stop)
        return [
            BatchAnswer.of(reply.text, partial(self._prediction, image, query, reply))
            for (image, query), reply in zip(asked, replies, strict=True)
        ]

    def _ask_of(self, query: Query) -> Ask:
        name = query.task or self.dialect.default
        check_known('task', name, self.dialect.asks)
        return self.dialect.asks[name]

    def _asking(self, image: Frame, query: Query) -> Asking:
        ask = self._ask_of(query)
        sentence = self.asker.check_sentence(query.sentence)
        prompt = self.dialect.render(IMAGE + ask.text.replace('{text}', sentence))
        # A quick beginning is the one of places; a free question only skips the thought.
        begun = '' if ask.result == 'text' and self.dialect.form == 'point_tag' else self.dialect.begun
        return Asking(prompt, [image.rgb], self._settings, begun, self._guide(image, ask))

    def _prediction(self, image: Frame, query: Query, reply: Reply) -> Prediction:
        prediction = Prediction(
            'qwen_vl', query, reply.text, confidence=reply.written.confidence, seconds=reply.seconds
        )
        return self._read(prediction, self._ask_of(query), (image.width, image.height), reply)

    def _guide(self, image: Frame, ask: Ask) -> Guide | None:
        if self._guides is None:
            return None
        room = self._settings.max_new_tokens
        grammar = dialect_grammar(self.dialect, ask, self._largest(image), room)
        if grammar is None:
            return None
        check_fits(grammar, room, 'qwen_vl')
        return self._guides.guide(grammar, self.asker.network.device)

    def _largest(self, image: Frame) -> tuple[int, int] | None:
        """Return the largest x and y in the unit of the dialect; None for shares."""
        size = (image.width, image.height)
        if self.dialect.coordinates == 'resized':
            return self.asker.network.preparation.resized(*size)
        return {'original': size, 'thousand': (1000, 1000)}.get(self.dialect.coordinates)

    def _read(self, prediction: Prediction, ask: Ask, size: tuple[int, int], reply: Reply) -> Prediction:
        if ask.result == 'text':
            return replace(prediction, reasoning=split_thought(reply.text)[0])
        unit = unit_of(self.dialect.coordinates, size, reply.sizes[-1])
        places = read_places(reply.text, self.dialect.form, unit)
        repairs = places.repairs if reply.whole else (*places.repairs, CUT_OFF)
        if ask.result == 'trace':
            points = places.points.points
            if len(points) == 1:
                raise UnparsableAnswer(reply.text, f'a path needs two points, the answer has one: {reply.text[:120]!r}')
            traces = (Trace(points, next(iter(places.points.labels), '')),) if len(points) else ()
            return replace(prediction, traces=traces, reasoning=places.thought, repairs=repairs)
        return replace(
            prediction, keypoints=places.points, boxes=places.boxes, reasoning=places.thought, repairs=repairs
        )

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked."""
        parameters, memory = count_memory(self.asker.network.parts)
        return ModelInfo(
            name='qwen_vl',
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.asker.network.device),
            memory_bytes=memory,
            code_licence='Apache-2.0',
            weights_licence='that of the checkpoint, which this program does not know',
            repository='https://github.com/QwenLM/Qwen3-VL',
            checkpoint=str(self.asker.folder),
            checked=(
                'Qwen2.5-VL: features, logits and greedy answers equal the official code on tiny weights',
                'Qwen3-VL: logits and greedy answers equal the class of transformers on tiny weights',
            ),
            unchecked=('any real checkpoint: its accuracy, and whether it keeps to its dialect', 'GPU roundings'),
            settings={
                'family': self._family,
                'dialect': self.dialect.name,
                'coordinates': self.dialect.coordinates,
                'thinks': str(self.dialect.thinks),
                'repetition_penalty': f'{self._settings.repetition_penalty:g}',
                'decode': self._config.decode,
                'quantization': self._config.quantization or 'none',
            },
        )
