# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What RoboPoint is loaded with, and how each official entry point asks it."""

from dataclasses import dataclass
from pathlib import Path

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.checkpoint_folder import checkpoint_folder
from affordance_ros.models.parts.conversation import TEMPLATES
from affordance_ros.models.parts.decoding import DecodeSettings
from affordance_ros.models.parts.framing import FRAMINGS
from affordance_ros.models.parts.llava_loading import LlavaSource
from affordance_ros.models.parts.text_options import TextOptions, check_known
from affordance_ros.models.parts.tokenizer import IMAGE_TOKEN
from affordance_ros.models.robopoint_official import POINT_SUFFIX, official_demo_message, official_image_first

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


def source_of(config: RoboPointConfig) -> LlavaSource:
    """Return where the parts come from. Raises MISSING_WEIGHTS when there is no such folder."""
    folder = checkpoint_folder(config.checkpoint, 'robopoint')
    return LlavaSource.of(config, folder, config.clip, config.base).with_base()
