# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What GLOVER is loaded with."""

from dataclasses import dataclass

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.glover_prompts import PROFILES
from affordance_ros.models.parts.text_options import TextOptions, check_known

TASKS = ('', 'contact', 'heatmap', 'keypoints')


@dataclass(frozen=True)
class GloverConfig(TextOptions):
    """Options of GLOVER beyond `TextOptions`; None: what the profile says.

    clip: folder of openai/clip-vit-large-patch14. sam_dtype: number type of the SAM parts, None: `dtype`.
    text_in_second_stage: whether the second decoder of GLOVER++ sees the text embedding. peak_ratio: a region reaches
    down to this share of the highest value. max_points: most keypoints of an answer. lora_alpha: of the training, where
    the checkpoint is an unmerged training state.
    """

    clip: str | None = None
    sam_dtype: str | None = None
    text_in_second_stage: bool | None = None
    peak_ratio: float = 0.5
    max_points: int = 5
    lora_alpha: float = 16.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_known('profile', self.profile, PROFILES)
        for name, fits, rule in (
            ('peak_ratio', 0 < self.peak_ratio <= 1, 'above 0 and at most 1'),
            ('max_points', self.max_points >= 1, 'at least 1'),
        ):
            if not fits:
                raise AffordanceError(Code.BAD_INPUT, f'{name} must be {rule}, got {getattr(self, name)}')
