# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be set about lifting."""

from dataclasses import dataclass, field

from affordance_ros.geometry.depth import NoiseModel

TIES = ('both', 'abstain', 'first')


@dataclass(frozen=True)
class LiftSettings:
    """How a pixel becomes a point. Lengths in metres.

    window_m: radius about the pixel that is looked at. min_valid: least share of that window with depth; two thirds of
    it will do where small holes of one surface account for the rest. min_surface: least share of the valid depth for
    a surface to count. min_points: least pixels of the chosen surface. range_m: nearest and farthest depth that is
    believed. pose_sigma_m: error of the camera pose, one axis. noise: of the depth camera; every other threshold is a
    multiple of it.
    ties: what to do when a nearer surface beside the pixel counts as much as the one under it: 'both' gives two
    contacts, 'abstain' refuses, 'first' takes the one under the pixel.
    """

    window_m: float = 0.008
    min_valid: float = 0.3
    min_surface: float = 0.2
    min_points: int = 12
    range_m: tuple[float, float] = (0.15, 3.0)
    pose_sigma_m: float = 0.002
    noise: NoiseModel = field(default_factory=NoiseModel)
    ties: str = 'both'

    def __post_init__(self) -> None:
        if self.ties not in TIES:
            raise ValueError(f'ties must be one of {", ".join(TIES)}, got {self.ties!r}')
        if not (self.window_m > 0 and 0 < self.range_m[0] < self.range_m[1] and self.pose_sigma_m >= 0):
            raise ValueError(f'window_m and range_m must be positive and in order, got {self.window_m}, {self.range_m}')
