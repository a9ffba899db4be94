# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HandsOnVLM (arXiv 2412.13187): where the right and the left hand will move in the next second, from a short clip.

Reads the official releases as they are (7B and 13B). Nothing is sampled unless asked for: the answer is greedy and the
most likely path is decoded.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import ModelInfo, Progress, ProgressCallback, StopFlag, check_stop
from affordance_ros.models.handsonvlm_answers import HandsAnswer, View, read_hands
from affordance_ros.models.handsonvlm_heads import gaussian
from affordance_ros.models.handsonvlm_network import HandsNetwork
from affordance_ros.models.handsonvlm_official import official_template
from affordance_ros.models.handsonvlm_options import PROFILES, TASKS, HandsOnVLMConfig
from affordance_ros.models.handsonvlm_prompts import (
    HAND_TOKEN,
    build_question,
    forced_answer,
    narration_of,
    render,
    with_image,
)
from affordance_ros.models.handsonvlm_video import RGB, FrameTokens, choose_crop, take_clip, visual_tokens
from affordance_ros.models.handsonvlm_writing import ForcedAnswer, HandSession
from affordance_ros.models.parts.added_tokens import AddedTokenTokenizer
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
from affordance_ros.models.parts.decoding import PromptCache, Watch, Written, write
from affordance_ros.models.parts.device import count_memory, torch_errors
from affordance_ros.models.parts.llava_loading import LlavaSource
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.text_options import check_known
from affordance_ros.models.parts.tokenizer import IMAGE_ID
from affordance_ros.results import NAN, Frame, Prediction, Query

__all__ = ['PROFILES', 'TASKS', 'HandsOnVLM', 'HandsOnVLMConfig']

_REMEMBERED_FRAMES = 32


@dataclass(frozen=True)
class _Request:
    """One question on its way: prompt rows, tokens of a forced answer, and who watches."""

    embeddings: torch.Tensor
    forced: list[int] | None
    report: ProgressCallback
    stop: StopFlag | None


class HandsOnVLM:
    """Loads in the constructor; see `HandsOnVLMConfig` for the options."""

    Config: ClassVar[type[HandsOnVLMConfig]] = HandsOnVLMConfig
    outputs = frozenset({'hands', 'text'})

    def __init__(self, config: HandsOnVLMConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        source = LlavaSource.of(config, checkpoint_folder(config.checkpoint, 'handsonvlm'), config.clip)
        with torch_errors('loading handsonvlm', device=config.device):
            self.network = HandsNetwork(source)
        self.tokenizer = AddedTokenTokenizer.from_folder(source.checkpoint)
        self._hand_name = _name_of(self.network.hand_id, self.tokenizer, source.checkpoint)
        self._template = config.template or self._profile.template or official_template(str(source.checkpoint))
        self._framing = config.framing or self._profile.framing
        self._settings = config.decode_settings
        self._seen = Remembered[FrameTokens](_REMEMBERED_FRAMES)
        self._prompts = PromptCache() if config.share_prefix else None

    def predict(
        self,
        frame: Frame | Sequence[Frame],
        query: Query,
        *,
        progress: ProgressCallback | None = None,
        stop: StopFlag | None = None,
    ) -> Prediction:
        """Answer one query about a clip, oldest frame first, or about a still image.

        task: '' or 'hands' for both hands, 'right_hand', 'left_hand', or 'text' for a free question with a text answer.
        The paths are in pixels of the last frame, 0.25 s apart. No hand token in the answer gives no path.
        """
        check_known('task', query.task, TASKS)
        report = progress or (lambda _: None)
        start = time.perf_counter()
        report(Progress('preprocess', 0.0))
        frames, notes = take_clip(frame)
        last = frames[-1]
        crop = choose_crop(last.width, last.height, self._framing, self._config.anchor)
        with torch_errors('handsonvlm', device=self._config.device):
            report(Progress('encode', 0.05))
            visual = visual_tokens(self.frame_tokens([crop.cut(each.rgb) for each in frames], stop))
            check_stop(stop)
            request = _Request(self._embed(query, visual), self._forced(query), report, stop)
            encoded = time.perf_counter()
            sessions = [self._write(request, index) for index in range(self._samples(query))]
        written, first = sessions[0]
        text = self.tokenizer.decode(written.ids).strip()
        answer = HandsAnswer(())
        if query.task != 'text':
            view = View(crop, last.width, last.height)
            positions = [session.positions.numpy() for _, session in sessions]
            answer = read_hands(positions, view, TASKS[query.task], notes)
        report(Progress('parse', 1.0, text))
        done = time.perf_counter()
        return Prediction(
            model='handsonvlm', query=query, text=text, hands=None if query.task == 'text' else answer.hands,
            repairs=answer.repairs, confidence=_confidence(written, first),
            seconds={'encode': encoded - start, 'generate': done - encoded, 'total': done - start},
        )  # fmt: skip

    @property
    def encoded_frames(self) -> int:
        """How many frames went through the vision tower so far."""
        return self._seen.computed

    def frame_tokens(self, rgbs: Sequence[RGB], stop: StopFlag | None = None) -> list[FrameTokens]:
        """Return the tokens of frames; a frame that was seen lately is not encoded again."""
        step = len(rgbs) if self.network.device.type == 'cuda' else 1  # a processor gains nothing from a batch
        found: list[FrameTokens] = []
        for begin in range(0, len(rgbs), step or 1):
            check_stop(stop)
            found += self._seen.get_all(rgbs[begin : begin + step], self.network.encode)
        return found

    def _embed(self, query: Query, visual: torch.Tensor) -> torch.Tensor:
        question = (query.text or query.sentence) if self._profile.verbatim else build_question(query)
        ids = self.tokenizer.encode_prompt(render(self._template, [(with_image(question), None)]))
        if ids.count(IMAGE_ID) != 1 or self.network.hand_id in ids:
            raise AffordanceError(Code.BAD_INPUT, 'the sentence holds <image> or the hand token; leave them out')
        full = len(ids) - 1 + len(visual)
        if full + self._settings.max_new_tokens > self.network.max_length:
            raise AffordanceError(
                Code.BAD_INPUT,
                f'the sentence is too long: {full} tokens with the clip and {self._settings.max_new_tokens} for the '
                f'answer, {self.network.max_length} fit; shorten it',
            )
        return self.network.embed(ids, visual)

    def _forced(self, query: Query) -> list[int] | None:
        if self._config.decode == 'free' or query.task == 'text':
            return None
        answer = self._config.answer or forced_answer(narration_of(query))
        return [*self.tokenizer.encode(answer.replace(HAND_TOKEN, self._hand_name)), self.tokenizer.eos_id]

    def _samples(self, query: Query) -> int:
        return 1 if query.task == 'text' else self._config.samples

    def _write(self, request: _Request, index: int) -> tuple[Written, HandSession]:
        """Write one sample; each has a seed of its own and shares the prompt with the one before."""
        settings = replace(self._settings, seed=self._settings.seed + index)
        shared = self._prompts
        if shared is None and self._config.samples > 1:
            shared = self._prompts = PromptCache()
        session = HandSession(self.network, request.embeddings, gaussian(self._config.latent_scale), shared)

        def on_token(ids: list[int]) -> None:
            share = (index + len(ids) / settings.max_new_tokens) / self._config.samples
            request.report(Progress('generate', 0.1 + 0.85 * min(share, 1.0), self.tokenizer.decode(ids).strip()))

        guide = None if request.forced is None else ForcedAnswer(request.forced, self.network.hand_id)
        if request.forced is not None:
            settings = replace(settings, max_new_tokens=max(settings.max_new_tokens, len(request.forced)))
        written = write(session, (self.tokenizer.eos_id,), settings, Watch(request.stop, on_token), guide)
        return written, session

    def describe(self) -> ModelInfo:
        """Tell what is loaded and what of it was checked against the official code."""
        parameters, memory = count_memory(self.network.parts)
        return ModelInfo(
            name='handsonvlm',
            parameters=parameters,
            dtype=self._config.dtype,
            device=str(self.network.device),
            memory_bytes=memory,
            code_licence='Apache-2.0 (this code); the official code: NVIDIA Source Code License-NC',
            weights_licence='non-commercial: the Vicuna and LLaMA licences and the terms of EPIC-KITCHENS',
            repository='https://github.com/Kami-code/HandsOnVLM-release',
            checkpoint=str(self._config.checkpoint),
            checked=(
                'pixels, features, visual tokens, hidden states, logits, greedy and forced answers, seeded samples and '
                'hand positions equal the official code on tiny weights',
            ),
            unchecked=(
                'accuracy of the 7B and 13B weights', 'whether the template of the training answers better',
                'GPU roundings', 'the MLP head: no release has it',
            ),
            settings={
                'profile': self._config.profile, 'template': self._template, 'framing': self._framing,
                'z_scale': str(self._config.latent_scale), 'samples': str(self._config.samples),
                'decode': self._config.decode, 'head': self.network.head_kind, 'clip': self.network.clip_source,
            },
        )  # fmt: skip


def _confidence(written: Written, session: HandSession) -> float:
    """Return the mean probability of the chosen tokens, or of the hand tokens where the answer was forced."""
    if written.probabilities:
        return written.confidence
    return sum(session.hand_probabilities) / len(session.hands) if session.hands else NAN


def _name_of(hand_id: int, tokenizer: AddedTokenTokenizer, folder: Path) -> str:
    """Return the text of the hand token; it was `<HAND>` before the release and is `<hand_traj>` since."""
    for name, number in tokenizer.added.items():
        if number == hand_id:
            return name
    text = f'{folder}: config.json says that token {hand_id} is a hand, but added_tokens.json has no such id'
    raise AffordanceError(Code.BAD_CHECKPOINT, text)
