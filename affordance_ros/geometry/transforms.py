# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as (4, 4) matrices named target_from_source, and quaternions in xyzw order as ROS has them."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def matrix_from_quaternion(xyzw: npt.ArrayLike) -> Array:
    """Return the (3, 3) rotation of a quaternion (4,); it is normalised first. Raises ValueError for length 0."""
    quaternion = np.asarray(xyzw, dtype=np.float64)
    length = float(np.linalg.norm(quaternion))
    if quaternion.shape != (4,) or not length > 1e-9:
        raise ValueError(f'quaternion must be (4,) and not zero, got {quaternion}')
    x, y, z, w = quaternion / length
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def quaternion_from_matrix(rotation: npt.ArrayLike) -> Array:
    """Return the quaternion xyzw (4,), w >= 0, of a rotation (3, 3) (Shepperd's method)."""
    m = np.asarray(rotation, dtype=np.float64)
    trace = float(np.trace(m))
    squares = np.array([1 + 2 * m[0, 0] - trace, 1 + 2 * m[1, 1] - trace, 1 + 2 * m[2, 2] - trace, 1 + trace])
    largest = int(squares.argmax())
    products = np.array([
        [squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
        [m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
        [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]],
    ])  # fmt: skip
    quaternion = products[largest] / np.linalg.norm(products[largest])
    return np.asarray(quaternion if quaternion[3] >= 0 else -quaternion)


def pose_from(translation: npt.ArrayLike, rotation: npt.ArrayLike) -> Array:
    """Return the (4, 4) pose of a translation (3,) in metres and a rotation (3, 3) or quaternion xyzw (4,)."""
    given = np.asarray(rotation, dtype=np.float64)
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_quaternion(given) if given.shape == (4,) else given
    pose[:3, 3] = np.asarray(translation, dtype=np.float64)
    return pose


def inverse(target_from_source: npt.ArrayLike) -> Array:
    """Return source_from_target of a rigid (4, 4) transform."""
    pose = np.asarray(target_from_source, dtype=np.float64)
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def transform_points(target_from_source: npt.ArrayLike, points: npt.ArrayLike) -> Array:
    """Return points (N, 3) of the source frame in the target frame."""
    pose = np.asarray(target_from_source, dtype=np.float64)
    return np.asarray(np.asarray(points, dtype=np.float64) @ pose[:3, :3].T + pose[:3, 3])


def interpolate(first: npt.ArrayLike, second: npt.ArrayLike, share: float) -> Array:
    """Return a pose between two (4, 4) poses: straight translation, slerp rotation. share 0: first, 1: second."""
    start, end = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    a, b = quaternion_from_matrix(start[:3, :3]), quaternion_from_matrix(end[:3, :3])
    cosine = float(a @ b)
    b, cosine = (b, cosine) if cosine >= 0 else (-b, -cosine)
    angle = np.arccos(min(1.0, cosine))
    if angle < 1e-6:
        mixed = a + share * (b - a)
    else:
        mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return pose_from(start[:3, 3] + share * (end[:3, 3] - start[:3, 3]), mixed)
