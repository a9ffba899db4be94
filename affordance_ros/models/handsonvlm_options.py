# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How HandsOnVLM is asked: the official way and a robot's, and every option, checked before anything is loaded."""

from dataclasses import dataclass

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.handsonvlm_prompts import HAND_TOKEN, LLAVA_V0, TEMPLATE_NAMES
from affordance_ros.models.handsonvlm_video import ANCHORS, FRAMINGS
from affordance_ros.models.parts.decoding import DecodeSettings
from affordance_ros.models.parts.text_options import TextOptions, check_known

TASKS = {
    '': ('right', 'left'),
    'hands': ('right', 'left'),
    'right_hand': ('right',),
    'left_hand': ('left',),
    'text': (),
}
MOST_SAMPLES = 64
TRAINED_SCALE = 1.0  # of the latent, where several samples are asked for


@dataclass(frozen=True)
class Profile:
    """How a caller asks: template ('' = by the checkpoint's name), framing, sampling and scale of the latent.

    verbatim: the sentence is the question as it stands, the model's own tokens in it included.
    """

    template: str
    framing: str
    verbatim: bool
    decode: DecodeSettings
    z_scale: float


PROFILES = {
    # Deterministic, for cameras of any shape and sentences that are no questions.
    'robot': Profile(
        LLAVA_V0, 'aspect', verbatim=False, decode=DecodeSettings(max_new_tokens=100, temperature=0.0), z_scale=0.0
    ),
    # The official evaluation and demo: sampled text, and the latent drawn twice as wide as it was trained.
    'official': Profile(
        '', 'direct', verbatim=True, z_scale=2.0,
        decode=DecodeSettings(max_new_tokens=100, temperature=0.5, top_p=0.9, top_k=50),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class HandsOnVLMConfig(TextOptions):
    """Options of HandsOnVLM beyond `TextOptions`; None: what the profile says.

    clip: folder of openai/clip-vit-large-patch14, for sizes and image preparation only. template: llava_v0 (as the
    official programs), vicuna_v1 (as the training), llava_v1 or llava_llama_2. framing: 'aspect' cuts the image to the
    shape of the training frames, 'direct' does not; anchor says which part stays of an image that is too high.
    z_scale: of the random latent, 0 gives the most likely path. samples: paths that are drawn; more than one gives
    their mean and spread. decode='constrained' forces an answer and decodes only its hands: `answer`, or the one that
    was trained for the question.
    """

    clip: str | None = None
    template: str | None = None
    framing: str | None = None
    anchor: str = 'center'
    z_scale: float | None = None
    samples: int = 1
    answer: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        check_known('template', self.template or LLAVA_V0, TEMPLATE_NAMES)
        check_known('framing', self.framing or 'direct', FRAMINGS)
        check_known('anchor', self.anchor, ANCHORS)
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise AffordanceError(Code.BAD_INPUT, f'samples must be from 1 to {MOST_SAMPLES}, got {self.samples}')
        if self.answer is not None and HAND_TOKEN not in self.answer:
            raise AffordanceError(Code.BAD_INPUT, f'answer must hold {HAND_TOKEN} once for every step of the path')
        if self.z_scale is not None and self.z_scale < 0:
            raise AffordanceError(Code.BAD_INPUT, f'z_scale must be at least 0, got {self.z_scale}')

    @property
    def decode_settings(self) -> DecodeSettings:
        """The settings of the profile with the given ones in their place."""
        return self.settings(PROFILES[self.profile].decode)

    @property
    def latent_scale(self) -> float:
        """What random latents are multiplied with; several samples that would all be equal get the trained scale."""
        if self.z_scale is not None:
            return self.z_scale
        scale = PROFILES[self.profile].z_scale
        alike = self.samples > 1 and scale == 0 and self.decode_settings.temperature == 0
        return TRAINED_SCALE if alike else scale
