# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked: an RGB-D frame with its camera, and the question."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affordance_ros.results.checks import FloatArray, check, pose_of


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole parameters in pixels of a `width` x `height` image; `distortion` as CameraInfo gives it (empty: none)."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()
    distortion_model: str = ''

    def __post_init__(self) -> None:
        check(ok=self.fx > 0 and self.fy > 0, rule='focal lengths must be positive', got=(self.fx, self.fy))
        check(ok=self.width > 0 and self.height > 0, rule='image size must be positive', got=(self.width, self.height))

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The 3x3 matrix K."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class Frame:
    """One RGB-D bundle, frozen at the moment it was accepted.

    rgb: uint8 (H, W, 3). depth: float32 (H, W) in metres registered to rgb, invalid pixels NaN or 0, or None.
    target_from_camera: (4, 4) pose of the optical frame `frame_id` in `target_frame` at `stamp_ns`, or None.
    """

    rgb: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32] | None = None
    intrinsics: Intrinsics | None = None
    stamp_ns: int = 0
    frame_id: str = ''
    target_from_camera: FloatArray | None = None
    target_frame: str = ''

    def __post_init__(self) -> None:
        rgb_ok = self.rgb.dtype == np.uint8 and self.rgb.ndim == 3 and self.rgb.shape[2] == 3 and self.rgb.size > 0
        check(ok=rgb_ok, rule='rgb must be uint8 (H, W, 3)', got=f'{self.rgb.dtype} {self.rgb.shape}')
        if self.depth is not None:
            depth_ok = self.depth.dtype == np.float32 and self.depth.shape == self.rgb.shape[:2]
            check(
                ok=depth_ok,
                rule=f'depth must be float32 {self.rgb.shape[:2]}',
                got=f'{self.depth.dtype} {self.depth.shape}',
            )
        if self.intrinsics is not None:
            size = (self.intrinsics.width, self.intrinsics.height)
            check(
                ok=size == (self.width, self.height),
                rule=f'intrinsics must be for {self.width}x{self.height}',
                got=size,
            )
        if self.target_from_camera is not None:
            object.__setattr__(self, 'target_from_camera', pose_of(self.target_from_camera, 'target_from_camera'))

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.rgb.shape[0])


@dataclass(frozen=True)
class Query:
    """What is asked of a frame: a sentence, or an object and an action; `task` names the kind of answer.

    options: what a question of choice can be answered with.
    """

    text: str = ''
    object: str = ''
    action: str = ''
    task: str = ''
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(ok=bool(self.text.strip() or self.object.strip()), rule='a query needs text or an object', got=self)

    @property
    def sentence(self) -> str:
        """The text, or one made from object and action."""
        return self.text.strip() or f'{self.action.strip() or "Point to"} the {self.object.strip()}'
