# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the dataclasses of results check themselves with: copies that nobody can write to, shapes, units."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
NAN = float('nan')
_EYE, _LAST_ROW = np.eye(3), np.array([0.0, 0.0, 0.0, 1.0])
_TURNED, _MOVED = 1e-5 * (1 + _EYE), 1e-8 + 1e-5 * _LAST_ROW  # how far a pose may be off


def check(*, ok: bool, rule: str, got: object) -> None:
    """Raise ValueError that names the rule and what was given."""
    if not ok:
        raise ValueError(f'{rule}, got {got}')


def array_of(value: npt.ArrayLike, shape: tuple[int | None, ...], name: str) -> npt.NDArray[np.float64]:
    """Return a read-only float64 copy of `value`, whose shape must match `shape` (None: any length)."""
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        fits = array.ndim == len(shape) and all(
            want in (None, got) for want, got in zip(shape, array.shape, strict=True)
        )
        check(ok=fits, rule=f'{name} must have shape {shape}', got=array.shape)
    array.flags.writeable = False
    return array


def unit_of(value: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Return a read-only (3,) vector, which must have length 1."""
    array = array_of(value, (3,), name)
    numbers = array.tolist()
    check(ok=abs(math.hypot(*numbers) - 1) < 1e-5, rule=f'{name} must have length 1', got=numbers)
    return array


def pose_of(value: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Return a read-only (4, 4) matrix, which must be a rigid transform."""
    array = array_of(value, (4, 4), name)
    rotation = array[:3, :3]
    rigid = bool((np.abs(rotation @ rotation.T - _EYE) <= _TURNED).all()) and np.linalg.det(rotation) > 0
    whole = bool((np.abs(array[3] - _LAST_ROW) <= _MOVED).all())
    check(ok=rigid and whole, rule=f'{name} must be a rigid transform', got=array.tolist())
    return array


def scores_of(value: npt.ArrayLike | None, count: int) -> npt.NDArray[np.float64]:
    """Return `count` scores, NaN where none are given."""
    return array_of(np.full(count, np.nan) if value is None else value, (count,), 'scores')


def labels_of(labels: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return `count` labels, empty ones where none are given."""
    check(ok=len(labels) in (0, count), rule=f'labels must be empty or {count}', got=len(labels))
    return labels or ('',) * count
