# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An RGB-D frame from files: image, registered depth (16-bit PNG, float TIFF, .npy), intrinsics in all usual forms."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.depth import metres_from_raw
from affordance_ros.results import Frame, Intrinsics

_MATRIX_KEYS = ('camera_matrix', 'intrinsic_matrix', 'k', 'K', 'cam_K')
_NAMES = {'fx': ('fx',), 'fy': ('fy',), 'cx': ('cx', 'ppx', 'x_offset'), 'cy': ('cy', 'ppy', 'y_offset')}
_FORMS = '"fx,fy,cx,cy", or a file: 3x3 text, JSON, a CameraInfo YAML or a .mat with intrinsic_matrix'


@dataclass(frozen=True)
class FrameFiles:
    """image: any picture that OpenCV reads. depth_scale: metres per unit; 0 means 0.001 for integers and 1 for floats.

    intrinsics: four numbers 'fx,fy,cx,cy' or the path of a file; empty: none.
    """

    image: Path
    depth: Path | None = None
    intrinsics: str = ''
    depth_scale: float = 0.0


def read_frame(files: FrameFiles) -> Frame:
    """Read a frame.

    Raises:
        AffordanceError: BAD_INPUT, BAD_ENCODING, UNITS or UNALIGNED, with what is wrong and the way out.
    """
    rgb = read_image(files.image)
    height, width = rgb.shape[:2]
    if files.depth is not None and not files.intrinsics:
        raise AffordanceError(Code.BAD_INPUT, f'depth needs the camera: give --intrinsics as {_FORMS}')
    intrinsics = read_intrinsics(files.intrinsics, width, height) if files.intrinsics else None
    depth = None
    if files.depth is not None:
        depth = read_depth(files.depth, files.depth_scale)
        if depth.shape != (height, width):
            text = f'depth is {depth.shape[1]}x{depth.shape[0]} and the image {width}x{height}'
            raise AffordanceError(Code.UNALIGNED, f'{text}; give depth that is registered to the image')
    return Frame(rgb, depth, intrinsics, frame_id='camera')


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB (H, W, 3)."""
    _there(path, 'image')
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise AffordanceError(Code.BAD_ENCODING, f'{path} is no picture that can be read; give PNG or JPEG')
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8, copy=False)


def read_depth(path: Path, scale: float = 0.0) -> npt.NDArray[np.float32]:
    """Return float32 metres (H, W), NaN where there is no depth (0, 65535, NaN, infinite)."""
    _there(path, 'depth')
    if not math.isfinite(scale) or scale < 0:
        raise AffordanceError(Code.BAD_INPUT, f'the depth scale must be metres per unit and positive, got {scale}')
    raw = _depth_array(path)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[..., 0]
    if raw.ndim != 2 or raw.size == 0:
        raise AffordanceError(Code.BAD_ENCODING, f'{path} must hold one channel (H, W), got shape {raw.shape}')
    if raw.dtype == np.uint16:
        return metres_from_raw(raw, '16UC1', scale)
    if np.issubdtype(raw.dtype, np.floating):
        return metres_from_raw(raw.astype(np.float32), '32FC1', scale)
    if np.issubdtype(raw.dtype, np.integer) and raw.dtype.itemsize > 1 and raw.max() <= 65535:
        return metres_from_raw(np.clip(raw, 0, 65535).astype(np.uint16), '16UC1', scale)
    raise AffordanceError(Code.BAD_ENCODING, f'{path} holds {raw.dtype}; depth is 16-bit integers or floats')


def read_intrinsics(given: str, width: int, height: int) -> Intrinsics:
    """Return the intrinsics of an image of width x height from four numbers or a file."""
    numbers = _four_numbers(given)
    if numbers is None:
        path = Path(given)
        if not path.is_file():
            raise AffordanceError(
                Code.BAD_INPUT, f'{given!r} is neither a file nor four numbers; give intrinsics as {_FORMS}'
            )
        return _from_file(path, width, height)
    return _checked(numbers, width, height, given)


def _there(path: Path, kind: str) -> None:
    if not path.is_file():
        raise AffordanceError(Code.BAD_INPUT, f'there is no {kind} file {path}')


def _depth_array(path: Path) -> npt.NDArray[Any]:
    if path.suffix == '.npy':
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (ValueError, OSError, EOFError) as error:
            raise AffordanceError(Code.BAD_ENCODING, f'{path} is no array that can be read: {error}') from error
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise AffordanceError(Code.BAD_ENCODING, f'{path} cannot be read; give depth as 16-bit PNG or .npy')
    return np.asarray(image)


def _four_numbers(given: str) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in given.replace(';', ',').split(','))
    except ValueError:
        return None
    return numbers if len(numbers) == 4 else None


def _checked(numbers: tuple[float, ...], width: int, height: int, source: object) -> Intrinsics:
    fx, fy, cx, cy = numbers
    if not all(math.isfinite(value) for value in numbers) or fx <= 0 or fy <= 0:
        raise AffordanceError(Code.BAD_INPUT, f'{source}: fx and fy must be positive numbers in pixels, got {numbers}')
    if not (0 <= cx <= width and 0 <= cy <= height):
        text = f'{source}: the principal point ({cx:.1f}, {cy:.1f}) lies outside the {width}x{height} image'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; are the intrinsics those of another resolution?')
    return Intrinsics(fx, fy, cx, cy, width, height)


def _from_file(path: Path, width: int, height: int) -> Intrinsics:
    try:
        content = _content(path)
        matrix = content if isinstance(content, np.ndarray) else _matrix(content)
        if matrix is not None:
            k = np.asarray(matrix, np.float64).reshape(3, 3)
            numbers: tuple[float, ...] = (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        else:
            numbers = tuple(float(next(content[n] for n in names if n in content)) for names in _NAMES.values())
    except (ValueError, TypeError, StopIteration, KeyError, yaml.YAMLError) as error:
        raise AffordanceError(Code.BAD_INPUT, f'no intrinsics can be read from {path}; give {_FORMS}') from error
    intrinsics = _checked(tuple(float(value) for value in numbers), width, height, path)
    return intrinsics if isinstance(content, np.ndarray) else _with_lens(intrinsics, content, path)


def _content(path: Path) -> Any:
    if path.suffix == '.mat':
        from scipy.io import loadmat

        return {key: value for key, value in loadmat(path).items() if not key.startswith('__')}
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.json':
        return json.loads(text)
    if path.suffix in ('.yaml', '.yml'):
        return yaml.safe_load(text)
    return np.array(text.replace(',', ' ').split(), np.float64).reshape(3, 3)


def _matrix(content: Any) -> Any:
    for key in _MATRIX_KEYS:
        if key in content:
            value = content[key]
            return value['data'] if isinstance(value, dict) else value
    return None


def _with_lens(intrinsics: Intrinsics, content: Any, path: Path) -> Intrinsics:
    """Take over distortion and check the size where the file tells them."""
    said = tuple(
        content.get(key) or content.get(other) for key, other in (('image_width', 'width'), ('image_height', 'height'))
    )
    if all(isinstance(value, int) for value in said) and said != (intrinsics.width, intrinsics.height):
        text = f'{path} is for {said[0]}x{said[1]} and the image is {intrinsics.width}x{intrinsics.height}'
        raise AffordanceError(Code.BAD_INPUT, f'{text}; give the intrinsics of this resolution')
    given = content.get('distortion_coefficients', content.get('d', content.get('D')))
    values = given['data'] if isinstance(given, dict) else given
    distortion = tuple(float(value) for value in np.asarray(values if values is not None else (), np.float64).ravel())
    if not any(distortion):
        return intrinsics
    k = intrinsics
    model = str(content.get('distortion_model', 'plumb_bob'))
    return Intrinsics(k.fx, k.fy, k.cx, k.cy, k.width, k.height, distortion, model)
