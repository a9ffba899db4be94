# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GLOVER (arXiv 2411.12286) and GLOVER++ (arXiv 2505.11865): where to touch OBJECT to ACTION it, as a soft map.

Reads what the official merge script writes. CLIP comes from its own folder; both SAMs are inside the checkpoint.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import ModelInfo, Progress, ProgressCallback, StopFlag, check_stop, single_frame
from affordance_ros.models.glover_answer import GloverAnswer
from affordance_ros.models.glover_maps import find_places
from affordance_ros.models.glover_network import GloverNetwork, ImageCodes
from affordance_ros.models.glover_options import TASKS, GloverConfig
from affordance_ros.models.glover_prompts import (
    IMAGE_END,
    IMAGE_START,
    PROFILES,
    SEG_TOKEN,
    TRAINING_ANSWER,
    SegGuide,
    build_prompt,
    build_question,
)
from affordance_ros.models.parts.added_tokens import AddedTokenTokenizer
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
from affordance_ros.models.parts.decoding import Prompt, PromptCache, Session, Watch, write
from affordance_ros.models.parts.device import count_memory, torch_dtype, torch_errors
from affordance_ros.models.parts.llava_loading import LlavaSource
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.text_options import check_known
from affordance_ros.results import Frame, Prediction, Query

__all__ = ['PROFILES', 'Glover', 'GloverAnswer', 'GloverConfig', 'GloverPlus']


@dataclass(frozen=True)
class _Said:
    """What the language model wrote, the hidden states (n, H) before each `[SEG]`, and its confidence."""

    ids: list[int]
    hidden: list[torch.Tensor]
    confidence: float


class _Request:
    """One question on its way: who watches, and how long each stage took."""

    def __init__(self, report: ProgressCallback, stop: StopFlag | None) -> None:
        self.report, self.stop = report, stop
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def step(self, stage: str, fraction: float) -> None:
        """Begin a stage, unless nobody wants the answer any more."""
        check_stop(self.stop)
        self.report(Progress(stage, fraction))

    def mark(self, stage: str) -> None:
        """Note the time since the mark before."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


class Glover:
    """Loads in the constructor; see `GloverConfig` for the options."""

    Config: ClassVar[type[GloverConfig]] = GloverConfig
    outputs = frozenset({'heatmap', 'keypoints', 'boxes', 'text'})
    name: ClassVar[str] = 'glover'
    plus: ClassVar[bool] = False

    def __init__(self, config: GloverConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        source = LlavaSource.of(config, checkpoint_folder(config.checkpoint, self.name, 'glover'), config.clip)
        self.tokenizer = AddedTokenTokenizer.from_folder(source.checkpoint)
        self.seg_id, *_ = (self.tokenizer.id_of(token) for token in (SEG_TOKEN, IMAGE_START, IMAGE_END))
        with torch_errors(f'loading {self.name}', device=config.device):
            sam_dtype = torch_dtype(config.sam_dtype or config.dtype)
            self.network = GloverNetwork(source, sam_dtype, plus=self.plus, lora_alpha=config.lora_alpha)
        self._check_vocabulary(source.checkpoint)
        given = config.text_in_second_stage
        self._text_in_second = self._profile.text_in_second_stage if given is None else given
        self._codes: Remembered[ImageCodes] = Remembered()
        self._prompts = PromptCache() if config.share_prefix else None

    def _check_vocabulary(self, folder: Path) -> None:
        size = int(self.network.llm.config.vocab_size)
        outside = [token for token, number in self.tokenizer.added.items() if number >= size]
        if outside:
            raise AffordanceError(
                Code.BAD_CHECKPOINT,
                f'{folder}: added_tokens.json numbers {", ".join(outside)} beyond the {size} embeddings of the model',
            )

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query. Without `[SEG]` in the answer the map is zero, and `repairs` says NO_ANSWER_TOKEN."""
        check_known('task', query.task, TASKS)
        start = time.perf_counter()
        answer = self.answer(single_frame(frame), query, progress=progress, stop=stop)
        if progress is not None:
            progress(Progress('parse', 1.0, answer.text))
        heatmap = answer.heatmap()
        points, boxes = find_places(heatmap, self._config.peak_ratio, self._config.max_points, query.object)
        return Prediction(
            model=self.name, query=query, text=answer.text, heatmap=heatmap, keypoints=points, boxes=boxes,
            repairs=answer.notices, confidence=answer.confidence,
            seconds={**answer.seconds, 'total': time.perf_counter() - start},
        )  # fmt: skip

    def answer(
        self, frame: Frame, query: Query, *, progress: ProgressCallback | None = None, stop: StopFlag | None = None
    ) -> GloverAnswer:
        """Return all that the networks gave for one query, every map included."""
        watch = _Request(progress or (lambda _: None), stop)
        with torch_errors(self.name, device=self._config.device):
            watch.step('preprocess', 0.0)
            prompt = build_prompt(build_question(query))
            ids = self._ids(prompt)
            watch.step('encode', 0.05)
            codes = self._encode(frame.rgb, stop)
            watch.mark('encode')
            said = self._force(prompt, codes, watch) if self._profile.forced else self._write(ids, codes, watch)
            watch.mark('generate')
            check_stop(stop)
            hidden = torch.stack(said.hidden) if said.hidden else codes.features.new_zeros(0, codes.features.shape[1])
            embeddings = self.network.prompt_embeddings(hidden)
            maps = self.network.decode(codes, embeddings, text_in_second=self._text_in_second)
            logits = maps.logits.cpu().numpy()
            watch.mark('decode')
        sequence = (*ids, *said.ids)
        return GloverAnswer(self._text(said.ids), sequence, embeddings, maps, logits, said.confidence, watch.seconds)

    def _text(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode([token for token in ids if token != self.tokenizer.eos_id]).strip()

    def _ids(self, prompt: str) -> list[int]:
        ids = self.tokenizer.encode_prompt(prompt)
        full = len(ids) + 255
        if full >= self.network.max_length:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the question is too long: {full} tokens with the image, {self.network.max_length} fit; shorten it',
            )
        return ids

    @property
    def encoded_images(self) -> int:
        """How many images went through CLIP and SAM so far."""
        return self._codes.computed

    def _encode(self, rgb: npt.NDArray[np.uint8], stop: StopFlag | None) -> ImageCodes:
        """Return the codes of an image; those of the last one are remembered, so that several questions share them."""

        def encode() -> ImageCodes:
            check_stop(stop)
            features = self.network.project(self.network.clip_features(self.network.clip_pixels(rgb)))
            check_stop(stop)
            scaled = self.network.scale(rgb)
            return ImageCodes(features, self.network.sam.encode(scaled.pixels), scaled)

        return self._codes.get(rgb, encode)

    def _write(self, ids: list[int], codes: ImageCodes, watch: _Request) -> _Said:
        settings = self._config.settings(self._profile.decode)
        asked = [] if self._profile.answer_only else [i for i, token in enumerate(ids) if token == self.seg_id]
        session = self._session(ids, codes, shared=not asked)
        hidden: list[torch.Tensor] = []
        if asked:  # officially a [SEG] in the question counts too; row = index + 255 image rows - 1 before it
            rows = session.new_hidden
            hidden += [rows[index + 254] for index in asked]

        def on_token(written: list[int]) -> None:
            if written[-1] == self.seg_id:
                hidden.append(session.hidden)  # the state that predicted it: the new token was not run yet
            text = self._text(written)
            watch.report(Progress('generate', 0.1 + 0.8 * len(written) / settings.max_new_tokens, text))

        eos = self.tokenizer.eos_id
        vocabulary = int(self.network.llm.config.vocab_size)
        patience = min(32, settings.max_new_tokens - 1)
        guide = SegGuide(self.seg_id, eos, vocabulary, patience) if self._config.decode == 'constrained' else None
        written = write(session, (eos,), settings, Watch(watch.stop, on_token), guide)
        return _Said(written.ids, hidden, written.confidence)

    def _force(self, prompt: str, codes: ImageCodes, watch: _Request) -> _Said:
        """Put the training answer into the model's mouth; the confidence is the probability of `[SEG]` in it."""
        watch.step('generate', 0.1)
        length = len(self.tokenizer.encode_prompt(prompt))
        sequence = self.tokenizer.encode_prompt(f'{prompt} {TRAINING_ANSWER}</s>')
        at = len(sequence) - 1 - sequence[::-1].index(self.seg_id)
        session = self._session(sequence[:at], codes, shared=True)
        confidence = float(session.logits.softmax(-1)[self.seg_id])
        return _Said(sequence[length:], [session.hidden], confidence)

    def _session(self, ids: list[int], codes: ImageCodes, *, shared: bool) -> Session:
        llm = self.network.llm
        prompt = Prompt(self.network.embed(ids, codes.features))
        return Session(llm.model, llm.lm_head, prompt, self._prompts if shared else None)

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        parameters, memory = count_memory(self.network.parts)
        projector = 'linear' if isinstance(self.network.projector, torch.nn.Linear) else 'mlp'
        return ModelInfo(
            name=self.name,
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.network.device),
            memory_bytes=memory,
            code_licence='MIT; parts from LISA and segment-anything are Apache-2.0',
            weights_licence='none stated by the authors; the base models keep the LLaMA 2 licence',
            repository='https://github.com/TeleeMa/GLOVER',
            checkpoint=str(self._config.checkpoint),
            checked=(
                'pixels, features, logits, greedy answers, SAM embeddings and maps equal the official code on tiny '
                'weights, with both projectors and both tokenizer modes',
            ),
            unchecked=(
                'accuracy of the released weights', 'sampled answers (temperature above 0)', 'GPU roundings',
                'config.json, tokenizer and licence of the released folder',
            ),
            settings={
                'profile': self._config.profile, 'clip': str(self.network.clip_folder), 'projector': projector,
                'legacy tokenizer': str(self.tokenizer.legacy),
                'sam_dtype': self._config.sam_dtype or self._config.dtype,
                'text_in_second_stage': str(self._text_in_second) if self.plus else 'has no second stage',
                'decode': self._config.decode,
            },
        )  # fmt: skip


class GloverPlus(Glover):
    """GLOVER++: the map of the first decoder goes as a mask prompt into a second one."""

    name: ClassVar[str] = 'glover_plus'
    plus: ClassVar[bool] = True
