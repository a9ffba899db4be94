# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a depth image fits its colour image, told by the borders of things: aligned, misaligned and how, or unknown.

Where depth steps there is mostly a colour edge of the same direction. Both are written as complex numbers of twice
their angle, so that parallel edges add, crossed ones subtract and unrelated ones cancel; their correlation over all
shifts is one Fourier transform. A peak counts only when it is high and stands alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from affordance_ros.results import FloatArray

Float32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
Uint8 = npt.NDArray[np.uint8]
WIDTH_PX = 320  # images are looked at in about this width
REACH = 0.04  # the largest shift that is looked for, in image widths
TOLERANCE = 0.0065  # up to this shift, in image widths, depth and colour fit: 4 px of 640
APART = 0.0125  # what is farther than this from the peak competes with it, in image widths
SCALES = (0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14)
_FEWEST_EDGES = 100
_LEAST_SCORE = 0.33  # depth of another scene reaches 0.25
_LEAST_LEAD = 0.07
_STEP = 0.03  # of the depth, between a pixel and its far neighbour, beyond the slope of its surface
_BRIDGE = 3  # pixels of the small image: holes beside a border belong to the surface behind
_NOISE = 12.0  # of the colour gradient


class Verdict(Enum):
    """What the edges say."""

    ALIGNED = 'aligned'
    MISALIGNED = 'misaligned'
    UNKNOWN = 'unknown'


@dataclass(frozen=True)
class Alignment:
    """How well the edges of depth and colour fit.

    shift: (du, dv) pixels and scale: what the depth image would have to undergo to fit best: `scale` about the middle
    of the image, then `shift`. Meaningless where the verdict is UNKNOWN. score: agreement there, 1 for edges that are
    all parallel to strong colour edges, 0 for unrelated ones. lead: score less the best elsewhere. edges: their number.
    """

    verdict: Verdict
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    score: float = 0.0
    lead: float = 0.0
    edges: int = 0


@dataclass(frozen=True)
class _Pair:
    """A frame, made small by `factor`.

    places (N, 2) as (row, column) and directions (N,) are those of the borders of things; color is the Fourier
    transform of the colour edges, size the (height, width) that it is of.
    """

    places: FloatArray
    directions: Complex64
    color: Complex64
    size: tuple[int, int]
    factor: int


def alignment(frames: Iterable[tuple[Uint8, Float32]]) -> Alignment:
    """Compare the borders of depth and colour over frames of one camera, which has one misalignment or none.

    It abstains where there is too little to tell: few borders, colour without edges, repeated patterns.

    Args:
        frames: pairs of uint8 (H, W, 3) and float32 (H, W) metres, NaN or 0 where unknown; all of one size.

    Raises:
        ValueError: when images are not all of one size.
    """
    pairs = list(frames)
    if not pairs:
        return Alignment(Verdict.UNKNOWN)
    sizes = {image.shape[:2] for pair in pairs for image in pair}
    if len(sizes) != 1:
        raise ValueError(f'colour and depth of all frames must be of one size, got {sorted(sizes)}')
    width = sizes.pop()[1]
    factor = max(1, round(width / WIDTH_PX))
    small = [_pair(rgb, depth, factor) for rgb, depth in pairs]
    found = _best(small, 1.0, width)
    if found.verdict is Verdict.ALIGNED or found.edges < _FEWEST_EDGES:
        return found
    scaled = max((_best(small, scale, width) for scale in SCALES), key=lambda each: each.score)
    better = scaled.verdict is not Verdict.UNKNOWN and scaled.score > found.score + _LEAST_LEAD
    return scaled if better else found


def _best(pairs: list[_Pair], scale: float, width: int) -> Alignment:
    """Return the shift at which the edges of all frames fit best at a scale. width: of the images as they were."""
    factor = pairs[0].factor
    reach = round(REACH * width / factor)
    parts = [_spectrum(pair, scale, reach) for pair in pairs]
    count = sum(each for _, each in parts)
    if count < _FEWEST_EDGES:
        return Alignment(Verdict.UNKNOWN, edges=count)
    around = np.arange(-reach, reach + 1)
    agreement = fft.ifft2(np.sum([part for part, _ in parts], axis=0)).real[np.ix_(around, around)]
    total = np.asarray(agreement / count, np.float32)
    row, column = (int(each) for each in np.unravel_index(int(total.argmax()), total.shape))
    away = around * factor
    others = np.hypot(*np.meshgrid(away - away[column], away - away[row])) > APART * width
    score = float(total[row, column])
    lead = score - float(total[others].max())
    right, down = column - reach + _peak(total[row], column), row - reach + _peak(total[:, column], row)
    shift = (factor * right, factor * down)
    verdict = Verdict.UNKNOWN
    if score >= _LEAST_SCORE and lead >= _LEAST_LEAD:
        fits = scale == 1.0 and np.hypot(*shift) <= TOLERANCE * width
        verdict = Verdict.ALIGNED if fits else Verdict.MISALIGNED
    return Alignment(verdict, shift, scale, score, lead, count)


def _peak(values: Float32, index: int) -> float:
    """Return where between its neighbours the peak of a parabola lies, from -0.5 to 0.5."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[index - 1 : index + 2])
    bend = 2 * here - before - after
    return (after - before) / (2 * bend) if bend > 0 else 0.0


def _spectrum(pair: _Pair, scale: float, reach: int) -> tuple[Complex64, int]:
    """Return the Fourier transform of the summed agreement over all shifts, and the number of edges."""
    size = np.array(pair.size)
    middle = (size - 1) / 2
    places = np.rint((pair.places - middle) * scale + middle).astype(np.int64)
    inner = ((places >= reach) & (places < size - reach)).all(axis=1)
    field = np.zeros(pair.color.shape, np.complex64)
    np.add.at(field, tuple(places[inner].T), pair.directions[inner])
    return np.conj(fft.fft2(field)) * pair.color, int(inner.sum())


def _pair(rgb: Uint8, depth: Float32, factor: int) -> _Pair:
    """Return the borders and the colour edges of a frame."""
    places, directions = _edges_of(depth, factor)
    color = _color_field(rgb, factor)
    height, width = color.shape
    spectrum = fft.fft2(color, [fft.next_fast_len(each) for each in color.shape])
    return _Pair(places, directions, spectrum, (height, width), factor)


def _edges_of(depth: Float32, factor: int) -> tuple[FloatArray, Complex64]:
    """Return places (N, 2) and directions (N,) of the near sides of the steps in depth."""
    half = factor // 2
    height, width = (each // factor for each in depth.shape)
    z = np.nan_to_num(depth[half::factor, half::factor][:height, :width], nan=0.0, posinf=0.0).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    filled = z
    for _ in range(_BRIDGE):
        filled = np.where(filled > 0, filled, cv2.dilate(filled, square)).astype(np.float32)
    far = cv2.dilate(filled, square)
    near = cv2.erode(np.where(filled > 0, filled, np.inf).astype(np.float32), square)
    unknown = cv2.dilate((filled <= 0).astype(np.uint8), square) > 0
    places = np.argwhere((z > 0) & ~unknown & (far + near > (2 + _STEP) * z))
    log = cv2.GaussianBlur(np.log(np.maximum(filled, np.float32(1e-3))), (0, 0), 0.8)
    across, down = (cv2.Sobel(log, cv2.CV_32F, *order)[tuple(places.T)] for order in ((1, 0), (0, 1)))
    outwards = (across + 1j * down) / np.maximum(np.hypot(across, down), 1e-12)
    border = places + 0.5 * np.column_stack((outwards.imag, outwards.real))  # between the near pixel and the far one
    return border, (outwards**2).astype(np.complex64)


def _color_field(rgb: Uint8, factor: int) -> Complex64:
    """Return the colour edges (h, w): twice their angle; strength 0 to 1, measured by what is around."""
    height, width = (each // factor for each in rgb.shape[:2])
    cut = rgb[: height * factor, : width * factor]
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA) if factor > 1 else cut
    smooth = cv2.GaussianBlur(small, (0, 0), 0.8).astype(np.float32)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    real, imaginary = (across**2 - down**2).sum(axis=2), (2 * across * down).sum(axis=2)
    squared = np.hypot(real, imaginary) + np.float32(1e-6)
    strength = np.sqrt(squared)
    gain = strength / (strength + cv2.boxFilter(strength, -1, (31, 31)) + _NOISE) / squared
    return np.asarray((real + 1j * imaginary) * gain, np.complex64)
