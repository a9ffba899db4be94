# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the official RoboPoint programs do around the network, defects included, for metrics and comparisons only.

Robots use `parts.point_answers` and `parts.framing` instead. Behaviour of wentaoyuan/RoboPoint at adbee8d: the
evaluator (eval/summarize_vqa), the drawing tool (eval/visualize_vqa) and the web demo (serve/).
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Number = int | float
_NUM = r'[-+]?\d+\.?\d*'
_TUPLE = re.compile(rf'\(({_NUM}(?:,\s*{_NUM})*)\)')
POINT_SUFFIX = (
    ' Your answer should be formatted as a list of tuples, i.e. [(x1, y1), (x2, y2), ...], '
    'where each tuple contains the x and y coordinates of a point satisfying the conditions above. '
    'The coordinates should be between 0 and 1, indicating the normalized pixel locations of the points in the image.'
)


def official_tuples(text: str) -> list[tuple[Number, ...]]:
    """Return every tuple that the one official pattern finds; a number is float if it has a dot, else int.

    This is also the list that the demo reads, of any length and unscaled.
    """
    return [
        tuple(float(number) if '.' in number else int(number) for number in inside.split(','))
        for inside in _TUPLE.findall(text)
    ]


def official_vectors(text: str, width: int = 640, height: int = 480) -> list[tuple[int | float, ...]]:
    """Return points and boxes in pixels as the drawing tool reads them (boxes stay boxes).

    Raises:
        TypeError: for a box whose first number is an int and another one a float, as the official code does.
    """
    found: list[tuple[int | float, ...]] = []
    for values in official_tuples(text):
        if len(values) == 2:
            scaled = any(isinstance(value, float) for value in values)
        elif len(values) == 4:
            scaled = isinstance(values[0], float)
        else:
            continue
        if scaled:
            sizes = (width, height, width, height)
            found.append(tuple(int(value * size) for value, size in zip(values, sizes, strict=False)))
        elif len(values) == 4 and not all(isinstance(value, int) for value in values):
            raise TypeError(f'box {values} mixes pixels and fractions')
        else:
            found.append(values)
    return found


def official_parse_points(text: str, width: int = 640, height: int = 480) -> npt.NDArray[Any]:
    """Return the pixels (N, 2) that the evaluator scores; a box becomes all pixels of its (Python) slice.

    Raises:
        TypeError, ValueError, OverflowError: as the official code does; it then leaves the whole question out.
    """
    points: list[Any] = []
    for values in official_vectors(text, width, height):
        if len(values) == 2:
            points.append(values)
        else:
            x0, y0, x1, y1 = values
            inside = np.zeros((height, width), dtype=bool)
            inside[y0:y1, x0:x1] = True
            rows, columns = np.where(inside)
            points.extend(np.stack([columns, rows], axis=1))
    return np.array(points)


def official_demo_points(
    text: str, original_from_demo: npt.NDArray[np.float64], size: tuple[int, int] = (640, 480)
) -> tuple[list[list[float]], list[list[float]]]:
    """Return (points, boxes) in pixels of the uploaded image; scaled only where the first number is a float <= 1."""
    points: list[list[float]] = []
    boxes: list[list[float]] = []
    for values in official_tuples(text):
        if len(values) not in (2, 4):
            continue
        factor = size if isinstance(values[0], float) and values[0] <= 1 else (1, 1)
        corners = np.array(values, dtype=np.float64).reshape(-1, 2) * factor
        mapped = np.column_stack([corners, np.ones(len(corners))]) @ original_from_demo.T
        (points if len(values) == 2 else boxes).append(mapped[:, :2].ravel().tolist())
    return points, boxes


def official_letterbox(rgb: npt.NDArray[np.uint8], mode: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the demo's 640x480 image and its matrix to original pixels. mode: 'Pad' or 'Crop'.

    The matrix is up to one pixel off where the border is odd (negative numbers are floored).

    Raises:
        UnboundLocalError: for a wide image and 'Crop', as the official code does.
        ValueError: for any other mode.
    """
    image = Image.fromarray(rgb)
    width, height = image.size
    matrix = np.eye(3)
    if mode not in ('Pad', 'Crop'):
        raise ValueError(f'mode must be Pad or Crop, got {mode!r}')
    wide = width / height > 4 / 3
    if mode == 'Pad':
        new_width, new_height = (width, int(width * 3 / 4)) if wide else (int(height * 4 / 3), height)
        canvas = Image.new('RGB', (new_width, new_height), (122, 116, 104))
        canvas.paste(image, ((new_width - width) // 2, (new_height - height) // 2))
        matrix[0, 2], matrix[1, 2] = (width - new_width) // 2, (height - new_height) // 2
    elif wide:
        raise UnboundLocalError('the demo cannot crop an image wider than 4:3')
    else:
        new_width, new_height = width, int(width * 3 / 4)
        canvas = image.crop((0, (height - new_height) // 2, width, (height + new_height) // 2))
        matrix[1, 2] = (height - new_height) // 2
    matrix[0, 0], matrix[1, 1] = new_width / 640, new_height / 480
    return np.asarray(canvas.resize((640, 480))), matrix


def official_demo_message(instruction: str, *, with_image: bool) -> str | None:
    """Return the demo's user message: suffix added, then cut; None where the demo skips the request."""
    if not instruction and not with_image:
        return None
    text = (instruction + POINT_SUFFIX)[:1536]
    if with_image:
        text = text[:1200]
        if '<image>' not in text:
            text = '<image>\n' + text
    return text


def official_image_first(message: str) -> str:
    """Return the first message as the demo's template puts it: one '<image>' in front, all others gone."""
    return '<image>\n' + message.replace('<image>', '').strip()


def official_points_or_none(texts: Sequence[str]) -> list[npt.NDArray[Any] | None]:
    """Parse a whole answer file for `metrics.points`; None where the evaluator leaves the question out."""
    parsed: list[npt.NDArray[Any] | None] = []
    for text in texts:
        try:
            parsed.append(official_parse_points(text))
        except (TypeError, ValueError, OverflowError):
            parsed.append(None)
    return parsed
