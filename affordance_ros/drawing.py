# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anti-aliased lines, dots and text on an RGB array, with a font that is the same on every machine: Pillow's own."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from affordance_ros.results import FloatArray

Canvas = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
_SUBPIXEL = 4  # cv2 takes coordinates in sixteenths of a pixel
_FAR_PX = 20_000


def line(canvas: Canvas, ends: npt.ArrayLike, color: Color, width: float) -> None:
    """Draw an anti-aliased line between two pixels (2, 2); does nothing when an end is NaN or far outside."""
    pixels = np.asarray(ends, np.float64)
    if np.isfinite(pixels).all() and np.abs(pixels).max() < _FAR_PX:
        start, end = (tuple(int(round(c * 2**_SUBPIXEL)) for c in pixel) for pixel in pixels)
        cv2.line(canvas, start, end, color, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)


def dot(canvas: Canvas, pixel: npt.ArrayLike, radius: float, color: Color) -> None:
    """Draw an anti-aliased disc; does nothing when the pixel is NaN or far outside."""
    center = np.asarray(pixel, np.float64)
    if np.isfinite(center).all() and np.abs(center).max() < _FAR_PX:
        u, v, r = (int(round(value * 2**_SUBPIXEL)) for value in (*center, radius))
        cv2.circle(canvas, (u, v), r, color, -1, cv2.LINE_AA, _SUBPIXEL)


def ring(canvas: Canvas, pixel: npt.ArrayLike, radius: float, color: Color, width: float = 1.0) -> None:
    """Draw an anti-aliased circle; does nothing when the pixel is NaN or far outside, or the radius is too large."""
    center = np.asarray(pixel, np.float64)
    if np.isfinite(center).all() and np.abs(center).max() < _FAR_PX and 0 <= radius < _FAR_PX:
        u, v, r = (int(round(value * 2**_SUBPIXEL)) for value in (*center, radius))
        cv2.circle(canvas, (u, v), r, color, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return Pillow's own font, so that pictures look the same on every machine."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> int:
    """Width of a text in pixels."""
    return int(np.ceil(font(size).getlength(text)))


def write(canvas: Canvas, text: str, at: tuple[float, float], color: Color, size: int) -> None:
    """Write text with a dark outline; `at` is the left end of its middle line, kept inside the image."""
    height, width = canvas.shape[:2]
    left = int(min(max(2, at[0]), max(2, width - text_width(text, size) - 3)))
    middle = int(min(max(size * 0.7, at[1]), height - size * 0.7))
    top, bottom = max(0, middle - size), min(height, middle + size)
    strip = Image.fromarray(canvas[top:bottom])
    stroke = max(1, size // 16)
    ImageDraw.Draw(strip).text(
        (left, middle - top), text, color, font(size), anchor='lm', stroke_width=stroke, stroke_fill=(15, 15, 15)
    )
    canvas[top:bottom] = np.asarray(strip)


def arrow_head(canvas: Canvas, start: FloatArray, tip: FloatArray, color: Color, size: float) -> None:
    """Draw the two strokes at the tip of an arrow that comes from `start`."""
    along = tip - start
    length = float(np.linalg.norm(along))
    if np.isfinite(length) and length > 0.5:
        back = -along / length
        side = np.array([-back[1], back[0]])
        for sign in (1, -1):
            line(canvas, (tip, tip + size * (back + sign * 0.5 * side)), color, max(1.0, size / 4))


def wrap(text: str, size: int, width: int, most: int) -> list[str]:
    """Break a text into at most `most` lines of `width` pixels; the last one ends in '...' when text is left."""
    row = ''
    rows: list[str] = []
    for word in text.split():
        if row and text_width(f'{row} {word}', size) > width:
            rows.append(row)
            row = word
        else:
            row = f'{row} {word}'.strip()
    rows.append(row)
    if len(rows) > most:
        rows = [*rows[: most - 1], rows[most - 1] + ' ...']
    return rows


def darken(canvas: Canvas, top: int, bottom: int) -> None:
    """Darken the rows from `top` to `bottom`, as a ground for text."""
    part = canvas[max(0, top) : bottom]
    part[:] = (part * 0.35).astype(np.uint8)
