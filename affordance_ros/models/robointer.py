# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboInter-VLM, LLaVA-OneVision variant: boxes, contact points, traces, choices and plans for manipulation.

Reads `InternRobotics/RoboInter-VLM_llavaov_7B` in its original LLaVA-NeXT layout.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

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
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
from affordance_ros.models.parts.decoding import (
    Guide,
    Prompt,
    PromptCache,
    Session,
    Watch,
    Written,
    write,
)
from affordance_ros.models.parts.device import count_memory, torch_errors
from affordance_ros.models.parts.generation import read_generation
from affordance_ros.models.parts.grammar import GuideVocabulary, check_fits
from affordance_ros.models.parts.llava_onevision import OneVisionNetwork
from affordance_ros.models.parts.qwen_guides import byte_level_table
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer, chatml
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.robointer_answers import Coordinates, Task
from affordance_ros.models.robointer_grammar import answer_grammar
from affordance_ros.models.robointer_options import PROFILES, RoboInterConfig, source_of
from affordance_ros.models.robointer_predictions import task_of, to_prediction
from affordance_ros.models.robointer_prompts import Question, ask, read_book, with_images
from affordance_ros.results import Frame, Prediction, Query


class RoboInter:
    """Loads in the constructor; see `RoboInterConfig` for the options."""

    Config: ClassVar[type[RoboInterConfig]] = RoboInterConfig
    outputs = frozenset({'boxes', 'keypoints', 'traces', 'text'})

    def __init__(self, config: RoboInterConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        self._multi_image = config.multi_image or self._profile.multi_image
        self._book: dict[str, Question] = read_book(Path(config.prompts) if config.prompts else None)
        folder = checkpoint_folder(config.checkpoint, 'robointer')
        self.tokenizer = QwenTokenizer(folder)
        penalty = read_generation(folder, self.tokenizer).repetition_penalty
        self._settings = config.settings(replace(self._profile.decode, repetition_penalty=penalty))
        with torch_errors('loading robointer', device=config.device):
            self.network = OneVisionNetwork(source_of(config, folder, len(self.tokenizer)))
        self._features = Remembered[torch.Tensor](8 if config.share_prefix else 0)
        self._prompts = PromptCache() if config.share_prefix else None
        self._guides: GuideVocabulary | None = None
        if config.decode == 'constrained':
            table = byte_level_table(self.tokenizer.fast, self.tokenizer.eos_ids[0])
            self._guides = GuideVocabulary(table, self.network.llm.config.vocab_size)

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
        task = task_of(query)
        report = progress or (lambda _: None)
        marks = [time.perf_counter()]
        with torch_errors('robointer', device=self._config.device):
            report(Progress('preprocess', 0.0))
            embeddings = self._prepared(frame, query, report, stop)
            marks.append(time.perf_counter())
            written = self._write(embeddings, self._guide(task, query), report, stop)
        text = self.tokenizer.decode(written.ids).strip()
        marks.append(time.perf_counter())
        report(Progress('parse', 1.0, text))
        return self._prediction(frame, query, written, marks)

    def predict_batch(
        self, questions: Sequence[tuple[Frame | Sequence[Frame], Query]], *, stop: StopFlag | None = None
    ) -> list[BatchAnswer]:
        """Answer several queries, of any tasks, their texts written together."""
        marks = [time.perf_counter()]
        with torch_errors('robointer', device=self._config.device):
            prompts = [Prompt(self._prepared(frame, query, lambda _: None, stop)) for frame, query in questions]
            marks.append(time.perf_counter())
            guides = [self._guide(task_of(query), query) for _, query in questions]
            llm, settings = self.network.llm, self._settings
            answers = write_batch(
                Writer(llm.model, llm.lm_head, self.tokenizer.eos_ids, settings), prompts, guides, stop
            )
        marks.append(time.perf_counter())
        shares = [marks[0] + (mark - marks[0]) / len(questions) for mark in marks]
        return [
            BatchAnswer.of(
                self.tokenizer.decode(written.ids).strip(), partial(self._prediction, frame, query, written, shares)
            )
            for (frame, query), written in zip(questions, answers, strict=True)
        ]

    def _prediction(
        self, frame: Frame | Sequence[Frame], query: Query, written: Written, marks: Sequence[float]
    ) -> Prediction:
        """Return what the text says about the newest frame. marks: times before and after reading and writing."""
        newest = single_frame(frame)
        size = newest.width, newest.height
        text = self.tokenizer.decode(written.ids).strip()
        seconds = {'encode': marks[1] - marks[0], 'generate': marks[2] - marks[1], 'total': marks[2] - marks[0]}
        prediction = Prediction('robointer', query, text, confidence=written.confidence, seconds=seconds)
        whole = written.ids[-1] in self.tokenizer.eos_ids
        return to_prediction(prediction, task_of(query), Coordinates(size, size, shares=True), whole=whole)

    def _prepared(
        self, frame: Frame | Sequence[Frame], query: Query, report: ProgressCallback, stop: StopFlag | None
    ) -> torch.Tensor:
        """Return the rows of a question with its images."""
        task = task_of(query)
        frames = [single_frame(frame)] if isinstance(frame, Frame) or task.key else list(frame)
        question = query.text if self._profile.verbatim else ask(self._book, task, query)
        ids = self.tokenizer.encode_prompt(chatml(with_images(question, len(frames))))
        return self._embed(ids, frames, report, stop)

    def _embed(
        self, ids: Sequence[int], frames: Sequence[Frame], report: ProgressCallback, stop: StopFlag | None
    ) -> torch.Tensor:
        features = []
        for index, frame in enumerate(frames):
            check_stop(stop)
            report(Progress('encode', 0.05 + 0.05 * index / len(frames)))
            squared = len(frames) > 1 and self._multi_image == 'train_pad'
            encode = partial(self._encode_squared if squared else self._encode_tiled, frame)
            features.append(self._features.get(frame.rgb, encode, kind=str(squared)))
        check_stop(stop)
        embeddings = self.network.embed(ids, features)
        limit = int(self.network.llm.config.max_position_embeddings)
        if embeddings.shape[1] > limit:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the question has {embeddings.shape[1]} tokens with its images, {limit} fit; give fewer',
            )
        return embeddings

    def _encode_tiled(self, frame: Frame) -> torch.Tensor:
        return self.network.image_features(self.network.anyres.tiles(frame.rgb), (frame.width, frame.height))

    def _encode_squared(self, frame: Frame) -> torch.Tensor:
        return self.network.image_features(self.network.anyres.squared(frame.rgb), (frame.width, frame.height))

    def _guide(self, task: Task, query: Query) -> Guide | None:
        """Return what keeps the answer in the format of its task; a plan has none."""
        grammar = answer_grammar(task, shares=True, options=len(query.options[:4]) or 4)
        if self._guides is None or grammar is None:
            return None
        check_fits(grammar, self._settings.max_new_tokens, 'robointer')
        return self._guides.guide(grammar, self.network.device)

    def _write(
        self, embeddings: torch.Tensor, guide: Guide | None, report: ProgressCallback, stop: StopFlag | None
    ) -> Written:
        settings = self._settings

        def on_token(ids: list[int]) -> None:
            report(Progress('generate', 0.1 + 0.85 * len(ids) / settings.max_new_tokens, self.tokenizer.decode(ids)))

        llm = self.network.llm
        session = Session(llm.model, llm.lm_head, Prompt(embeddings), self._prompts)
        return write(session, self.tokenizer.eos_ids, settings, Watch(stop, on_token), guide)

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        parameters, memory = count_memory(self.network.parts)
        return ModelInfo(
            name='robointer',
            parameters=parameters + self.network.newline.numel(),
            dtype=self._config.dtype,
            device=str(self.network.device),
            memory_bytes=memory,
            code_licence='MIT (LLaVA part Apache-2.0)',
            weights_licence='Apache-2.0 as the card says; the base models keep theirs',
            repository='https://github.com/InternRobotics/RoboInter',
            checkpoint=str(self._config.checkpoint),
            checked=('tiles, features, logits, greedy answers and parsers equal the official code on tiny weights',),
            unchecked=(
                'accuracy of the 7B weights',
                'the wording of the questions: the official ones are in the data set only',
                'contact_points: no training recipe of the release has them',
                'GPU roundings',
            ),
            settings={
                'profile': self._config.profile,
                'multi_image': self._multi_image,
                'repetition_penalty': f'{self._settings.repetition_penalty:g}',
                'prompts': ', '.join(sorted({question.provenance for question in self._book.values()})),
                'decode': self._config.decode,
                'quantization': self._config.quantization or 'none',
            },
        )
