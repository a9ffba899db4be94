# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parallel-jaw grippers as boxes. TCP frame: origin midway between the fingertips, z to the object, y closing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.errors import AffordanceError, Code

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GripperSettings:
    """Sizes in metres.

    max_aperture: widest opening. finger_length: from palm to tip. finger_thickness: along y. finger_width: along x.
    palm: full extents (x, y, z) of the hand behind the fingers.
    """

    name: str = 'generic'
    max_aperture_m: float = 0.085
    finger_length_m: float = 0.050
    finger_thickness_m: float = 0.010
    finger_width_m: float = 0.020
    palm_m: tuple[float, float, float] = (0.06, 0.14, 0.06)

    def boxes(self, opening_m: float, sweep_m: float = 0.0) -> Array:
        """Return the boxes (3, 2, 3) of left finger, right finger and palm (TCP frame), drawn out by sweep_m."""
        half = opening_m / 2
        x, thick, length = self.finger_width_m / 2, self.finger_thickness_m, self.finger_length_m
        px, py, pz = self.palm_m
        return np.array([
            [(-x, half, -length - sweep_m), (x, half + thick, 0)],
            [(-x, -half - thick, -length - sweep_m), (x, -half, 0)],
            [(-px / 2, -py / 2, -length - pz - sweep_m), (px / 2, py / 2, -length)],
        ])  # fmt: skip


# Franka Hand: product manual (80 mm stroke). Robotiq 2F-85 and 2F-140: instruction manual (85 and 140 mm stroke).
PRESETS = {
    'generic': GripperSettings(),
    'panda': GripperSettings('panda', 0.080, 0.045, 0.012, 0.018, (0.063, 0.204, 0.066)),
    'robotiq_2f_85': GripperSettings('robotiq_2f_85', 0.085, 0.055, 0.012, 0.022, (0.075, 0.149, 0.095)),
    'robotiq_2f_140': GripperSettings('robotiq_2f_140', 0.140, 0.070, 0.013, 0.027, (0.075, 0.202, 0.110)),
}


def gripper_preset(name: str) -> GripperSettings:
    """Return a preset by name; AffordanceError BAD_INPUT names the ones there are."""
    if name not in PRESETS:
        raise AffordanceError(Code.BAD_INPUT, f'unknown gripper {name!r}; presets: {", ".join(PRESETS)}')
    return PRESETS[name]
