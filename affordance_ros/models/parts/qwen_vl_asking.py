# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One question to a Qwen-VL checkpoint: what every model on this back end does, from image and text to a reply.

An image is encoded once for all questions on it, and the cache of the last prompt serves the next one as far as both
begin alike.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.base import Progress, ProgressCallback, StopFlag, check_stop
from affordance_ros.models.parts.batch_writing import Writer, write_batch
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
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
from affordance_ros.models.parts.device import torch_dtype
from affordance_ros.models.parts.generation import read_generation
from affordance_ros.models.parts.placement import AUTO, main_device
from affordance_ros.models.parts.qwen_tokenizer import QwenTokenizer
from affordance_ros.models.parts.qwen_vl import QwenVLNetwork, Seen
from affordance_ros.models.parts.qwen_vl_image import Rgb
from affordance_ros.models.parts.qwen_vl_loading import SUB_FOLDER, QwenVLSource
from affordance_ros.models.parts.remembered import Remembered
from affordance_ros.models.parts.text_options import TextOptions

IMAGE = '<|vision_start|><|image_pad|><|vision_end|>'  # one image in a prompt
_IMAGE_PAD = '<|image_pad|>'
_REMEMBERED_IMAGES = 8


@dataclass(frozen=True)
class Asking:
    """A question. prompt: the whole text with `IMAGE` where an image stands. images: uint8 (H, W, 3), in that order.

    begun: words that the answer is made to begin with. guide: what keeps the answer in its format.
    """

    prompt: str
    images: Sequence[Rgb]
    settings: DecodeSettings
    begun: str = ''
    guide: Guide | None = None


class Listener(NamedTuple):
    """Who follows a question."""

    report: ProgressCallback
    stop: StopFlag | None


@dataclass(frozen=True)
class Reply:
    """text: the answer with the words that it was made to begin with. whole: it came to its end by itself.

    sizes: (width, height) that the network saw of each image. seconds: by stage.
    """

    text: str
    written: Written
    whole: bool
    sizes: tuple[tuple[int, int], ...]
    seconds: dict[str, float]


class QwenVLAsker:
    """Loads in the constructor: `network`, `tokenizer` and `generation` of one checkpoint."""

    def __init__(self, options: TextOptions, model: str) -> None:
        self.folder = checkpoint_folder(options.checkpoint, model, also_in=SUB_FOLDER)
        self.tokenizer = QwenTokenizer(self.folder)
        self.generation = read_generation(self.folder, self.tokenizer)
        image_ids = self.tokenizer.encode(_IMAGE_PAD)
        if len(image_ids) != 1:
            raise AffordanceError(Code.BAD_CHECKPOINT, f'the tokenizer in {self.folder} has no {_IMAGE_PAD}')
        self.network = QwenVLNetwork(_source(options, self.folder), image_ids[0])
        self._seen = Remembered[Seen](_REMEMBERED_IMAGES if options.share_prefix else 0)
        self._prompts = PromptCache() if options.share_prefix else None

    @property
    def encoded_images(self) -> int:
        """How many images went through the vision tower so far."""
        return self._seen.computed

    def look(self, rgb: Rgb) -> Seen:
        """Return the features of an image, from memory when it was seen lately."""
        return self._seen.get(rgb, partial(self._encode, rgb))

    def _encode(self, rgb: Rgb) -> Seen:
        return self.network.see(self.network.pixels(rgb))

    def prompt(self, text: str, images: Sequence[Seen]) -> Prompt:
        """Return the prompt of a text with one `IMAGE` per image. Raises BAD_INPUT when it is too long."""
        prompt = self.network.prompt(self.tokenizer.encode(text), images)
        limit = int(self.network.config.text_config.max_position_embeddings)
        if len(prompt) > limit:
            raise AffordanceError(
                Code.BAD_INPUT, f'the question has {len(prompt)} tokens with its images, {limit} fit; give fewer'
            )
        return prompt

    def session(self, prompt: Prompt) -> Session:
        """Return a text that begins with the prompt."""
        text = self.network.text
        return Session(text.language_model, text.lm_head, prompt, self._prompts)

    def ask(self, asking: Asking, listener: Listener) -> Reply:
        """Return the reply; raises CANCELED when the listener does not want it any more."""
        marks = [time.perf_counter()]
        seen = []
        for index, rgb in enumerate(asking.images):
            check_stop(listener.stop)
            listener.report(Progress('encode', 0.05 + 0.05 * index / len(asking.images)))
            seen.append(self.look(rgb))
        check_stop(listener.stop)
        prompt = self.prompt(asking.prompt + asking.begun, seen)
        marks.append(time.perf_counter())
        written = self._write(prompt, asking, listener)
        marks.append(time.perf_counter())
        seconds = {'encode': marks[1] - marks[0], 'generate': marks[2] - marks[1], 'total': marks[2] - marks[0]}
        return self._reply(asking, written, seen, seconds)

    def _reply(self, asking: Asking, written: Written, seen: Sequence[Seen], seconds: dict[str, float]) -> Reply:
        whole = bool(written.ids) and written.ids[-1] in self.generation.eos_ids
        text = asking.begun + self.tokenizer.decode(written.ids)
        return Reply(text, written, whole, tuple(each.size for each in seen), seconds)

    def ask_batch(self, askings: Sequence[Asking], stop: StopFlag | None = None) -> list[Reply]:
        """Return a reply to each question, all with the settings of the first; raises CANCELED, and BAD_INPUT as `ask`.

        seconds: of each question its share of the batch.
        """
        marks = [time.perf_counter()]
        seen = []
        for asking in askings:
            check_stop(stop)
            seen.append([self.look(rgb) for rgb in asking.images])
        prompts = [self.prompt(each.prompt + each.begun, images) for each, images in zip(askings, seen, strict=True)]
        marks.append(time.perf_counter())
        text = self.network.text
        writer = Writer(text.language_model, text.lm_head, self.generation.eos_ids, askings[0].settings)
        answers = write_batch(writer, prompts, [asking.guide for asking in askings], stop)
        marks.append(time.perf_counter())
        encode, generate = ((after - before) / len(askings) for before, after in itertools.pairwise(marks))
        seconds = {'encode': encode, 'generate': generate, 'total': encode + generate}
        return [
            self._reply(asking, written, images, dict(seconds))
            for asking, written, images in zip(askings, answers, seen, strict=True)
        ]

    def _write(self, prompt: Prompt, asking: Asking, listener: Listener) -> Written:
        settings = asking.settings

        def on_token(ids: list[int]) -> None:
            share = 0.1 + 0.85 * len(ids) / settings.max_new_tokens
            listener.report(Progress('generate', share, asking.begun + self.tokenizer.decode(ids)))

        watch = Watch(listener.stop, on_token)
        return write(self.session(prompt), self.generation.eos_ids, settings, watch, asking.guide)

    def check_sentence(self, sentence: str) -> str:
        """Return a sentence of the user. Raises BAD_INPUT when it holds a special token of the tokenizer."""
        for token in self.tokenizer.fast.all_special_tokens:
            if str(token) in sentence:
                raise AffordanceError(Code.BAD_INPUT, f'the sentence holds {token}, which has a meaning to the model')
        return sentence


def _source(options: TextOptions, folder: Path) -> QwenVLSource:
    return QwenVLSource(
        folder,
        main_device(options.device),
        torch_dtype(options.dtype),
        spread=options.device == AUTO,
        quantization=options.quantization,
        attention=options.attention,
    )
