# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What RoboInter (LLaVA-OneVision) is loaded with, and how each official entry point asks it."""

from dataclasses import dataclass
from pathlib import Path

from affordance_ros.models.parts.decoding import DecodeSettings
from affordance_ros.models.parts.device import torch_dtype
from affordance_ros.models.parts.llava_onevision import OneVisionSource
from affordance_ros.models.parts.placement import AUTO, main_device
from affordance_ros.models.parts.text_options import TextOptions, check_known

MULTI_IMAGE = ('train_pad', 'official_eval_anyres')


@dataclass(frozen=True)
class Profile:
    """How one entry point asks. verbatim: the query's text is the whole question. multi_image: one of MULTI_IMAGE."""

    verbatim: bool
    multi_image: str
    decode: DecodeSettings


# The repetition penalty of generation_config.json joins each of them, 1.05 in the release. It is active in the official
# greedy call, and sees the written tokens only (`evaluation_intermediate.py` generates from embeddings).
PROFILES = {
    'robot': Profile(verbatim=False, multi_image='train_pad', decode=DecodeSettings(max_new_tokens=256)),
    # eval_llava_format/manip: questions of the data set as they are, every image cut into tiles.
    'eval': Profile(
        verbatim=True,
        multi_image='official_eval_anyres',
        decode=DecodeSettings(max_new_tokens=512),
    ),
    # generation_config.json of the release.
    'sampled': Profile(
        verbatim=False,
        multi_image='train_pad',
        decode=DecodeSettings(max_new_tokens=256, temperature=0.7, top_p=0.8, top_k=20),
    ),
}


@dataclass(frozen=True)
class RoboInterConfig(TextOptions):
    """Options of RoboInter beyond `TextOptions`; None: what the profile says.

    siglip: folder of the tower's release, needed for towers of unknown width only. prompts: YAML file of questions in
    place of ours. multi_image: how several images are prepared, see `MULTI_IMAGE`.
    """

    siglip: str | None = None
    prompts: str | None = None
    multi_image: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('multi_image', self.multi_image or MULTI_IMAGE[0], MULTI_IMAGE)


def source_of(config: RoboInterConfig, folder: Path, tokens: int) -> OneVisionSource:
    """Return where the parts come from. tokens: length of the tokenizer."""
    return OneVisionSource(
        folder,
        tokens,
        Path(config.siglip) if config.siglip else None,
        main_device(config.device),
        torch_dtype(config.dtype),
        spread=config.device == AUTO,
        quantization=config.quantization,
        attention=config.attention,
    )
