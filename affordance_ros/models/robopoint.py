# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboPoint (arXiv 2406.10721): points for an instruction, from one image. LLaVA-1.5 layout, 7B and 13B.

Reads the official releases as they are: full checkpoints and unmerged LoRA, Vicuna and LLaMA-2.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

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
from affordance_ros.models.parts.batch_writing import Writer, write_batch
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.parts.decoding import Guide, Prompt, PromptCache, Session, Watch, Written, write
from affordance_ros.models.parts.device import count_memory, torch_errors
from affordance_ros.models.parts.framing import Framed, frame_image
from affordance_ros.models.parts.grammar import GuideVocabulary, TokenTable, check_fits
from affordance_ros.models.parts.llava import LlavaNetwork
from affordance_ros.models.parts.point_answers import PointAnswer, keep_inside, parse_points, point_list_grammar
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.text_options import check_known
from affordance_ros.models.parts.tokenizer import LlamaTokenizer
from affordance_ros.models.robopoint_official import POINT_SUFFIX
from affordance_ros.models.robopoint_options import (
    PROFILES,
    TASKS,
    Profile,
    RoboPointConfig,
    build_message,
    source_of,
    template_by_name,
)
from affordance_ros.results import Frame, Prediction, Query

__all__ = [
    'POINT_SUFFIX',
    'PROFILES',
    'Profile',
    'RoboPoint',
    'RoboPointConfig',
    'build_message',
    'read_answer',
    'template_by_name',
]


class _Asked(NamedTuple):
    """A question with its image, original and as the network sees it."""

    image: Frame
    framed: Framed
    query: Query


class RoboPoint:
    """Loads in the constructor; see `RoboPointConfig` for the options."""

    Config: ClassVar[type[RoboPointConfig]] = RoboPointConfig
    outputs = frozenset({'keypoints', 'boxes', 'text'})

    def __init__(self, config: RoboPointConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        source = source_of(config)
        with torch_errors('loading robopoint', device=config.device):
            self.network = LlavaNetwork(source)
        self.tokenizer = LlamaTokenizer.from_folder(source.base or source.checkpoint)
        name = config.template or self._profile.template or template_by_name(str(source.checkpoint))
        self._template = TEMPLATES[name]
        self._framing = config.framing or self._profile.framing
        self._features: Remembered[torch.Tensor] = Remembered()
        self._prompts = PromptCache() if config.share_prefix else None
        self._guides: GuideVocabulary | None = None
        if config.decode == 'constrained':
            most = config.settings(self._profile.decode).max_new_tokens
            self._grammar = point_list_grammar(most, config.max_points)
            check_fits(self._grammar, most, 'robopoint')
            table = TokenTable(self.tokenizer.token_bytes(), self.tokenizer.encode_more, self.tokenizer.eos_id)
            self._guides = GuideVocabulary(table, self.network.llm.config.vocab_size)

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query. task '' or 'points' gives keypoints and boxes, 'text' only the text of a free question."""
        report = progress or (lambda _: None)
        marks = [time.perf_counter()]
        with torch_errors('robopoint', device=self._config.device):
            asked = self._asked(frame, query)
            report(Progress('preprocess', 0.0))
            embeddings = self._embed(query, asked.framed, report, stop)
            marks.append(time.perf_counter())
            written = self._write(embeddings, self._guide(query), report, stop)
        marks.append(time.perf_counter())
        report(Progress('parse', 1.0, self.tokenizer.decode(written.ids).strip()))
        return self._prediction(asked, written, marks)

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer several queries, their texts written together."""
        marks = [time.perf_counter()]
        with torch_errors('robopoint', device=self._config.device):
            asked = [self._asked(frame, query) for frame, query in questions]
            prompts = [Prompt(self._embed(each.query, each.framed, lambda _: None, stop)) for each in asked]
            marks.append(time.perf_counter())
            llm, settings = self.network.llm, self._config.settings(self._profile.decode)
            writer = Writer(llm.model, llm.lm_head, (self.tokenizer.eos_id,), settings)
            answers = write_batch(writer, prompts, [self._guide(each.query) for each in asked], stop)
        marks.append(time.perf_counter())
        shares = [marks[0] + (mark - marks[0]) / len(asked) for mark in marks]
        return [
            BatchAnswer.of(self.tokenizer.decode(written.ids).strip(), partial(self._prediction, each, written, shares))
            for each, written in zip(asked, answers, strict=True)
        ]

    def _asked(self, frame: Frame | Sequence[Frame], query: Query) -> '_Asked':
        check_known('task', query.task, TASKS)
        image = single_frame(frame)
        return _Asked(image, frame_image(image.rgb, self._framing), query)

    def _prediction(self, asked: '_Asked', written: Written, marks: Sequence[float]) -> Prediction:
        """Return what the text says. marks: times before and after reading and writing."""
        image, framed, query = asked
        text = self.tokenizer.decode(written.ids).strip()
        seconds = {'encode': marks[1] - marks[0], 'generate': marks[2] - marks[1], 'total': marks[2] - marks[0]}
        if query.task == 'text':
            return Prediction(model='robopoint', query=query, text=text, confidence=written.confidence, seconds=seconds)
        answer = read_answer(text, framed, image.width, image.height)
        return Prediction(
            model='robopoint', query=query, text=text, keypoints=answer.keypoints, boxes=answer.boxes,
            repairs=answer.repairs, confidence=written.confidence, seconds=seconds,
        )  # fmt: skip

    def _embed(self, query: Query, framed: Framed, report: ProgressCallback, stop: StopFlag | None) -> torch.Tensor:
        check_stop(stop)
        report(Progress('encode', 0.05))
        features = self._encode(framed.rgb)
        check_stop(stop)
        style = 'verbatim' if query.task == 'text' else self._profile.message
        prompt = self._template.render([(build_message(query.sentence, style), None)])
        ids = self.tokenizer.encode_prompt(prompt)
        full = len(ids) - 1 + len(features)
        if full > self.network.max_length and self._config.profile == 'robot':
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the sentence is too long: {full} tokens with the image, {self.network.max_length} fit; shorten it',
            )
        return self.network.embed(ids, [features])

    def _encode(self, rgb: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Return the image features; the last image is remembered, so that several queries on one frame share them."""
        return self._features.get(rgb, lambda: self.network.image_features(self.network.pixels(rgb)))

    def _guide(self, query: Query) -> Guide | None:
        """Return what keeps the answer in its format; a free question has none."""
        if self._guides is None or query.task == 'text':
            return None
        return self._guides.guide(self._grammar, self.network.device)

    def _write(
        self, embeddings: torch.Tensor, guide: Guide | None, report: ProgressCallback, stop: StopFlag | None
    ) -> Written:
        settings = self._config.settings(self._profile.decode)

        def on_token(ids: list[int]) -> None:
            report(Progress('generate', 0.1 + 0.85 * len(ids) / settings.max_new_tokens, self.tokenizer.decode(ids)))

        llm = self.network.llm
        session = Session(llm.model, llm.lm_head, Prompt(embeddings), self._prompts)
        return write(session, (self.tokenizer.eos_id,), settings, Watch(stop, on_token), guide)

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        parameters, memory = count_memory(self.network.parts)
        return ModelInfo(
            name='robopoint',
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.network.device),
            memory_bytes=memory,
            code_licence='Apache-2.0',
            weights_licence='Apache-2.0; the base models keep the LLaMA 2 licence',
            repository='https://github.com/wentaoyuan/RoboPoint',
            checkpoint=str(self._config.checkpoint),
            checked=(
                'pixels, features, logits, greedy answers and parsers equal the official code on tiny weights',
                'sampled tokens equal those of transformers with the same seed on tiny weights',
            ),
            unchecked=('accuracy of the 7B and 13B weights', 'GPU roundings', 'int8 and int4 on those weights'),
            settings={
                'profile': self._config.profile, 'template': self._template.name, 'framing': self._framing,
                'clip': self.network.clip_source, 'decode': self._config.decode,
                'quantization': self._config.quantization or 'none', 'attention': self._config.attention,
            },
        )  # fmt: skip


def read_answer(text: str, framed: Framed, width: int, height: int) -> PointAnswer:
    """Read an answer about the framed image into pixels of the original one of `width` x `height`."""
    answer = parse_points(text, framed.rgb.shape[1], framed.rgb.shape[0])
    if framed.scale == (1.0, 1.0) and framed.offset == (0.0, 0.0):
        return answer
    return keep_inside(answer, framed.to_original, width, height)
