# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboPoint (arXiv 2406.10721): points for an instruction, from one image. LLaVA-1.5 layout, 7B and 13B.

Reads the official releases as they are: full checkpoints and unmerged LoRA, Vicuna and LLaMA-2.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import (
    ModelInfo,
    Progress,
    ProgressCallback,
    StopFlag,
    check_stop,
    single_frame,
)
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.parts.decoding import (
    DecodeSettings,
    Guide,
    Prompt,
    PromptCache,
    Session,
    Watch,
    Written,
    write,
)
from affordance_ros.models.parts.device import count_memory, torch_dtype, torch_errors
from affordance_ros.models.parts.framing import FRAMINGS, Framed, frame_image
from affordance_ros.models.parts.grammar import GuideVocabulary, TokenTable, check_fits
from affordance_ros.models.parts.llava import LlavaNetwork
from affordance_ros.models.parts.llava_loading import LlavaSource
from affordance_ros.models.parts.placement import AUTO, main_device
from affordance_ros.models.parts.point_answers import PointAnswer, keep_inside, parse_points, point_list_grammar
from affordance_ros.models.parts.text_options import TextOptions, check_known
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN, LlamaTokenizer
from affordance_ros.models.robopoint_official import POINT_SUFFIX, official_demo_message, official_image_first
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

TASKS = ('', 'points', 'text')


@dataclass(frozen=True)
class Profile:
    """How one of the entry points asks: template ('' = by the checkpoint's name, as the demo), framing and sampling."""

    template: str
    framing: str
    message: str
    decode: DecodeSettings


PROFILES = {
    # Deterministic and as trained.
    'robot': Profile('vicuna_v1', 'direct', 'suffix', DecodeSettings(max_new_tokens=512, temperature=0.0)),
    # The published Where2Place numbers: the text of the question file as it is.
    'eval': Profile('llava_v1', 'direct', 'verbatim', DecodeSettings(max_new_tokens=1024, temperature=0.2)),
    # The official web demo with its sliders untouched.
    'web': Profile('', 'letterbox_4_3', 'demo', DecodeSettings(max_new_tokens=512, temperature=1.0, top_p=0.7)),
}


@dataclass(frozen=True)
class RoboPointConfig(TextOptions):
    """Options of RoboPoint beyond `TextOptions`; None: what the profile says.

    clip: folder of openai/clip-vit-large-patch14-336. base: folder of the LLM under a LoRA checkpoint.
    template: vicuna_v1, llava_v1 or llava_llama_2. framing: direct, letterbox_4_3 or crop_4_3.
    max_points: at most this many points; only with decode='constrained', None: as many as fit into max_new_tokens.
    """

    clip: str | None = None
    base: str | None = None
    template: str | None = None
    framing: str | None = None
    max_points: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('template', self.template or 'v1', TEMPLATES)
        check_known('framing', self.framing or 'direct', FRAMINGS)
        if self.max_points is not None and (self.decode != 'constrained' or self.max_points < 1):
            raise AffordanceError(Code.BAD_INPUT, "max_points must be at least 1 and needs decode='constrained'")


def build_message(text: str, style: str) -> str:
    """Return the user message for an instruction. style: 'suffix', 'verbatim' (eval) or 'demo' (web)."""
    if style == 'demo':
        return official_image_first(official_demo_message(text, with_image=True) or '')
    if style == 'suffix':
        text = text if POINT_SUFFIX.strip() in text else text + POINT_SUFFIX
        return official_image_first(text)
    return text if IMAGE_TOKEN in text else f'{IMAGE_TOKEN}\n{text}'


def template_by_name(checkpoint: str) -> str:
    """Return the template that the demo chooses from the name of the checkpoint."""
    name = Path(checkpoint).name.lower()
    return 'vicuna_v1' if 'vicuna' in name else 'llava_llama_2' if 'llama' in name else 'llava_v1'


class RoboPoint:
    """Loads in the constructor; see `RoboPointConfig` for the options."""

    Config: ClassVar[type[RoboPointConfig]] = RoboPointConfig
    outputs = frozenset({'keypoints', 'boxes', 'text'})

    def __init__(self, config: RoboPointConfig) -> None:
        self._config = config
        self._profile = PROFILES[config.profile]
        source = _source(config)
        with torch_errors('loading robopoint', device=config.device):
            self.network = LlavaNetwork(source)
        self.tokenizer = LlamaTokenizer.from_folder(source.base or source.checkpoint)
        name = config.template or self._profile.template or template_by_name(str(source.checkpoint))
        self._template = TEMPLATES[name]
        self._framing = config.framing or self._profile.framing
        self._cached: tuple[bytes, torch.Tensor] | None = None
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
        check_known('task', query.task, TASKS)
        image = single_frame(frame)
        report = progress or (lambda _: None)
        marks = [time.perf_counter()]
        with torch_errors('robopoint', device=self._config.device):
            report(Progress('preprocess', 0.0))
            framed = frame_image(image.rgb, self._framing)
            embeddings = self._embed(query, framed, report, stop)
            marks.append(time.perf_counter())
            written = self._write(embeddings, self._guide(query), report, stop)
        text = self.tokenizer.decode(written.ids).strip()
        marks.append(time.perf_counter())
        report(Progress('parse', 1.0, text))
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
        features = self._features(framed.rgb)
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

    def _features(self, rgb: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Return the image features; the last image is remembered, so that several queries on one frame share them."""
        key = hashlib.blake2b(rgb.tobytes() + str(rgb.shape).encode(), digest_size=16).digest()
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self.network.image_features(self.network.pixels(rgb))
        return self._cached[1]

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
            checked=('pixels, features, logits, greedy answers and parsers equal the official code on tiny weights',),
            unchecked=('accuracy of the 7B and 13B weights', 'sampled answers (temperature above 0)', 'GPU roundings'),
            settings={
                'profile': self._config.profile, 'template': self._template.name, 'framing': self._framing,
                'clip': self.network.clip_source, 'decode': self._config.decode,
            },
        )  # fmt: skip


def read_answer(text: str, framed: Framed, width: int, height: int) -> PointAnswer:
    """Read an answer about the framed image into pixels of the original one of `width` x `height`."""
    answer = parse_points(text, framed.rgb.shape[1], framed.rgb.shape[0])
    if framed.scale == (1.0, 1.0) and framed.offset == (0.0, 0.0):
        return answer
    return keep_inside(answer, framed.to_original, width, height)


def _source(config: RoboPointConfig) -> LlavaSource:
    if config.checkpoint is None:
        raise AffordanceError(
            Code.MISSING_WEIGHTS,
            'robopoint needs checkpoint=: the folder of a release (docs/models/robopoint.md lists them), or pocket',
        )
    folder = Path(config.checkpoint)
    if not (folder / 'config.json').is_file():
        raise AffordanceError(Code.MISSING_WEIGHTS, f'{folder} is no checkpoint folder: it has no config.json')
    clip = Path(config.clip) if config.clip else None
    return LlavaSource(
        folder,
        clip,
        Path(config.base) if config.base else None,
        main_device(config.device),
        torch_dtype(config.dtype),
        spread=config.device == AUTO,
        quantization=config.quantization,
        attention=config.attention,
    ).with_base()
