# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Named, frozen training recipes."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TowerSizes:
    """CLIP vision tower. image_px: side of the square input."""

    image_px: int = 256
    patch_px: int = 16
    hidden: int = 160
    layers: int = 5
    heads: int = 5

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_px // self.patch_px


@dataclass(frozen=True)
class LanguageSizes:
    """LLaMA decoder."""

    hidden: int = 192
    layers: int = 4
    heads: int = 6
    mlp: int = 512
    vocabulary: int = 512


@dataclass(frozen=True)
class Stage:
    """One part of the schedule: warm-up, then cosine to 2 % of the learning rate.

    images: per process and step. turns: questions per image. frozen_share: share of the steps with the tower frozen.
    """

    steps: int
    images: int
    learning_rate: float
    tower_rate: float = 0.0
    turns: int = 0
    warm_up: int = 60
    frozen_share: float = 0.0


@dataclass(frozen=True)
class PocketRecipe:
    """A tiny RoboPoint: the tower first learns dense part labels, then the whole model learns to answer."""

    name: str = 'pocket'
    tower: TowerSizes = field(default_factory=TowerSizes)
    language: LanguageSizes = field(default_factory=LanguageSizes)
    views: int = 40_000
    seed: int = 0
    perception: Stage = field(
        default_factory=lambda: Stage(steps=2500, images=8, learning_rate=1.8e-3, tower_rate=1.8e-3)
    )
    answers: Stage = field(
        default_factory=lambda: Stage(
            steps=3800, images=4, learning_rate=1.5e-3, tower_rate=3e-4, turns=8, frozen_share=0.4
        )
    )
    save_every: int = 100


RECIPES: dict[str, PocketRecipe] = {
    'pocket': PocketRecipe(),
    # A few steps on a few views: shows that the whole path works (used by the tests), learns nothing.
    'smoke': PocketRecipe(
        name='smoke',
        tower=TowerSizes(image_px=64, hidden=32, layers=2, heads=2),
        language=LanguageSizes(hidden=32, layers=2, heads=2, mlp=64),
        views=12,
        perception=Stage(steps=3, images=2, learning_rate=1e-3, tower_rate=1e-3, warm_up=1),
        answers=Stage(steps=4, images=2, learning_rate=1e-3, tower_rate=1e-3, turns=2, warm_up=1, frozen_share=0.5),
        save_every=2,
    ),
}
