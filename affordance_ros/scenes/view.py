# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a rendered scene consists of: the frame, the part map and the truth of one part."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.results import FloatArray, Frame


@dataclass(frozen=True)
class View:
    """A clean frame with its truth.

    part_ids: int32 (H, W), 0 where no part is seen. normals: float32 (H, W, 3) in the camera frame, towards the camera,
    0 where nothing is hit. The frame's target is the table: z up, origin on its surface.
    """

    frame: Frame
    part_ids: npt.NDArray[np.int32]
    normals: npt.NDArray[np.float32]


@dataclass(frozen=True)
class PartTruth:
    """What is true of one part in one view.

    mask: bool (H, W), visible pixels. points, normals: (N, 3) of those pixels in the camera frame, metres.
    width_m: thickness between the fingers. axis: unit (3,) along the part, camera frame.
    """

    mask: npt.NDArray[np.bool_]
    points: FloatArray
    normals: FloatArray
    width_m: float
    axis: FloatArray
    sentences: tuple[str, ...]

    def distance_m(self, point: npt.ArrayLike) -> float:
        """Distance of a point (3,), camera frame, to the part's visible surface; NaN when nothing of it is seen."""
        if not len(self.points):
            return float('nan')
        return float(np.linalg.norm(self.points - np.asarray(point, dtype=np.float64), axis=1).min())
