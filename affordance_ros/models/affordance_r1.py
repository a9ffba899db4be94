# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance-R1 (arXiv 2508.06206): reasons about a question, then gives boxes, points, what to do, and masks.

Reads the official release as it is (Qwen2.5-VL, 7B) and SAM 2 for the masks.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.affordance_r1_answers import R1Answer, read_robust, read_strict
from affordance_ros.models.affordance_r1_grammar import answer_grammar
from affordance_ros.models.affordance_r1_prompts import PROFILES, SIDE
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
from affordance_ros.models.parts.placement import main_device
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_vl_asking import Asking, Listener, QwenVLAsker, Reply
from affordance_ros.models.parts.qwen_vl_image import stretch
from affordance_ros.models.parts.sam2 import PRECISIONS, Sam2
from affordance_ros.models.parts.segmenting import MaskPrompts
from affordance_ros.models.parts.text_options import TextOptions, check_known
from affordance_ros.results import Frame, Masks, Prediction, Query

__all__ = ['PARSERS', 'PROFILES', 'AffordanceR1', 'AffordanceR1Config']

TASKS = ('', 'affordance', 'text')
PARSERS = ('robust', 'strict')
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class AffordanceR1Config(TextOptions):
    """Options of Affordance-R1 beyond `TextOptions`; None: what the profile says.

    repetition_penalty: None: what generation_config.json of the checkpoint says, as the official programs.
    parser: 'robust' (mends and tells) or 'strict' (as the official programs). sam2: a `.pt` of the sam2 package or a
    folder of Hugging Face; None: no masks. sam_precision: 'precise' or 'official' (bfloat16 autocast).
    """

    parser: str | None = None
    sam2: str | None = None
    sam_precision: str = 'precise'

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('parser', self.parser or PARSERS[0], PARSERS)
        check_known('sam_precision', self.sam_precision, PRECISIONS)


class AffordanceR1:
    """Loads in the constructor; see `AffordanceR1Config` for the options."""

    Config: ClassVar[type[AffordanceR1Config]] = AffordanceR1Config

    def __init__(self, config: AffordanceR1Config) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        self._parser = config.parser or ('strict' if self._profile.strict else 'robust')
        with torch_errors('loading affordance_r1', device=config.device):
            self.asker = QwenVLAsker(config, 'affordance_r1')
        self._settings = self._decode_settings()
        self.segmenter = _segmenter(config)
        self.outputs = frozenset({'boxes', 'keypoints', 'text'} | ({'masks'} if self.segmenter else set()))
        self._guides: GuideVocabulary | None = None
        if config.decode == 'constrained':
            thinking = not self._profile.begun
            self._grammar = answer_grammar(self._settings.max_new_tokens, thinking=thinking)
            check_fits(self._grammar, self._settings.max_new_tokens, 'affordance_r1')
            table = byte_level_table(self.asker.tokenizer.fast, self.asker.generation.eos_ids[0])
            self._guides = GuideVocabulary(table, self.asker.network.config.text_config.vocab_size)

    def _decode_settings(self) -> DecodeSettings:
        generation = self.asker.generation
        settings = self._config.settings(
            replace(self._profile.decode, repetition_penalty=generation.repetition_penalty)
        )
        _LOG.info(
            'affordance_r1: repetition penalty %s (%s)',
            settings.repetition_penalty,
            'option' if self._config.repetition_penalty is not None else self._penalty_source(),
        )
        return settings

    def _penalty_source(self) -> str:
        return 'generation_config.json' if self.asker.generation.stated else 'generation_config.json names none'

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query: a box, a point and a label for each part that fits, a mask too with `sam2=`.

        task: '' or 'affordance', or 'text' for a free question with a text answer. Ask about one action on one thing.
        """
        image = single_frame(frame)
        listener = Listener(progress or (lambda _: None), stop)
        with torch_errors('affordance_r1', device=self._config.device):
            check_stop(stop)
            asking = self._asking(image, query)
            listener.report(Progress('preprocess', 0.0))
            reply = self.asker.ask(asking, listener)
        return self._prediction(image, query, reply, listener)

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer several queries, their texts written together."""
        asked = [(single_frame(frame), query) for frame, query in questions]
        with torch_errors('affordance_r1', device=self._config.device):
            replies = self.asker.ask_batch([self._asking(image, query) for image, query in asked], stop)
        listener = Listener(lambda _: None, stop)
        return [
            BatchAnswer.of(reply.text, partial(self._prediction, image, query, reply, listener))
            for (image, query), reply in zip(asked, replies, strict=True)
        ]

    def _asking(self, image: Frame, query: Query) -> Asking:
        check_known('task', query.task, TASKS)
        profile = self._profile
        free = query.task == 'text'
        question = self.asker.check_sentence(query.sentence if free else profile.question(query))
        return Asking(
            profile.free_prompt(question) if free else profile.prompt(question),
            [stretch(image.rgb, SIDE)],
            self._settings,
            begun='' if free else profile.begun,
            guide=None if free else self._guide(),
        )

    def _prediction(self, image: Frame, query: Query, reply: Reply, listener: Listener) -> Prediction:
        """Read the text of a reply and segment what it names."""
        start = time.perf_counter()
        written = Prediction(
            'affordance_r1', query, reply.text, confidence=reply.written.confidence, seconds=reply.seconds
        )
        if query.task == 'text':
            listener.report(Progress('parse', 1.0, reply.text))
            return written
        answer = self._read(reply, image)
        listener.report(Progress('parse', 1.0 if self.segmenter is None else 0.95, reply.text))
        masks, seconds = None, dict(reply.seconds)
        if self.segmenter is not None:
            before = time.perf_counter()
            check_stop(listener.stop)
            listener.report(Progress('refine', 0.95, reply.text))
            masks = self._masks(image, answer, listener.stop)
            listener.report(Progress('refine', 1.0, reply.text))
            seconds['refine'] = time.perf_counter() - before
        seconds['total'] += time.perf_counter() - start
        return replace(
            written, boxes=answer.boxes, keypoints=answer.keypoints, masks=masks, reasoning=answer.reasoning,
            repairs=answer.repairs, seconds=seconds,
        )  # fmt: skip

    def _guide(self) -> Guide | None:
        return None if self._guides is None else self._guides.guide(self._grammar, self.asker.network.device)

    def _read(self, reply: Reply, image: Frame) -> R1Answer:
        if self._parser == 'strict':
            return read_strict(reply.text, image.width, image.height)
        return read_robust(reply.text, image.width, image.height, whole=reply.whole)

    def _masks(self, image: Frame, answer: R1Answer, stop: StopFlag | None) -> Masks:
        """Return one mask per item, from its box and its point together."""
        if self.segmenter is None or not len(answer.prompts):
            return Masks(np.zeros((0, image.height, image.width), np.bool_))
        prompts = np.asarray(answer.prompts, np.float64)
        found = self.segmenter.segment(image.rgb, MaskPrompts(prompts[:, :4], prompts[:, 4:]), stop)
        return Masks(found.masks, found.scores, answer.boxes.labels)

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        segmenter = self.segmenter
        parameters, memory = count_memory([*self.asker.network.parts, *(segmenter.parts if segmenter else ())])
        penalty = 'option' if self._config.repetition_penalty is not None else self._penalty_source()
        return ModelInfo(
            name='affordance_r1',
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.asker.network.device),
            memory_bytes=memory,
            code_licence='Apache-2.0',
            weights_licence='not stated by the authors; the base model Qwen2.5-VL-7B: Apache-2.0',
            repository='https://github.com/hq-King/Affordance-R1',
            checkpoint=str(self.asker.folder),
            checked=(
                'prompts, pixels, features, logits, greedy answers, parsers and masks equal the official code on tiny '
                'weights',
            ),
            unchecked=(
                'accuracy of the 7B weights', 'which repetition penalty and which prompt answer best',
                'roundings of bfloat16 and of flash attention',
            ),
            settings={
                'profile': self._config.profile, 'parser': self._parser,
                'repetition_penalty': f'{self._settings.repetition_penalty:g} ({penalty})',
                'decode': self._config.decode, 'quantization': self._config.quantization or 'none',
                'sam2': segmenter.source if segmenter else 'none: no masks',
            },
        )  # fmt: skip


def _segmenter(config: AffordanceR1Config) -> Sam2 | None:
    if not config.sam2:
        return None
    try:
        return Sam2(config.sam2, str(main_device(config.device)), config.sam_precision)
    except AffordanceError as error:
        raise AffordanceError(Code(error.code), f'sam2=: {error.message}') from error
