# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes for the parts of the scene objects: lathe, tube, box and prism, with smooth normals.

Vertices are metres in the frame of the object (z up, z = 0 on the table). Sharp edges have their vertices twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mesh:
    """vertices: (V, 3) metres. faces: (F, 3) indices. normals: (V, 3) unit, outwards."""

    vertices: Array
    faces: npt.NDArray[np.int64]
    normals: Array

    def transformed(self, rotation: Array, translation: Array) -> 'Mesh':
        """Return the mesh rotated by (3, 3) and moved by (3,)."""
        return Mesh(self.vertices @ rotation.T + translation, self.faces, self.normals @ rotation.T)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    faces = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)])
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    return Mesh(vertices, faces, np.concatenate([mesh.normals for mesh in meshes]))


def _with_normals(vertices: Array, faces: npt.NDArray[np.int64]) -> Mesh:
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices, faces, normals / np.where(lengths > 0, lengths, 1))


def _grid_faces(rows: int, columns: int) -> npt.NDArray[np.int64]:
    first = np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]
    a, b, c, d = first, first + 1, first + columns + 1, first + columns
    return np.concatenate([np.stack((a, b, c), -1).reshape(-1, 3), np.stack((a, c, d), -1).reshape(-1, 3)])


def lathe(*profiles: Sequence[tuple[float, float]], segments: int = 40) -> Mesh:
    """Turn profiles of (radius, z) about z. Each profile is smooth, the edge between two profiles is sharp.

    Walk a profile so that the outside lies on its right-hand side (upwards along an outer wall).
    """
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    parts = []
    for profile in profiles:
        rings = [np.column_stack((radius * circle, np.full(len(circle), z))) for radius, z in profile]
        mesh = _with_normals(np.concatenate(rings), _grid_faces(len(profile), len(circle)))
        seam = np.arange(len(profile)) * len(circle)  # the first and last vertex of a ring are one place
        normals = mesh.normals.copy()
        joined = normals[seam] + normals[seam + len(circle) - 1]
        joined /= np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-9)
        normals[seam] = normals[seam + len(circle) - 1] = joined
        parts.append(Mesh(mesh.vertices, mesh.faces, normals))
    return merge(parts)


def tube(path: npt.ArrayLike, radii: npt.ArrayLike, *, flatten: float = 1.0, segments: int = 14) -> Mesh:
    """Sweep an ellipse along a path (N, 3) with radii (N,) or one; `flatten` scales its second axis. Capped ends."""
    points = np.asarray(path, dtype=np.float64)
    radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(points),))
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    up = np.array([0.0, 0, 1]) if np.abs(tangents[:, 2]).mean() < 0.8 else np.array([0.0, 1, 0])
    side = np.cross(tangents, up)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    other = np.cross(side, tangents)
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    rings = [
        centre + r * (np.cos(angles)[:, None] * s + flatten * np.sin(angles)[:, None] * o)
        for centre, r, s, o in zip(points, radius, side, other, strict=True)
    ]
    count = len(angles)
    body = _with_normals(np.concatenate(rings), _grid_faces(len(points), count)[:, ::-1])
    caps = []
    for ring, centre, outward in ((rings[0], points[0], -tangents[0]), (rings[-1], points[-1], tangents[-1])):
        fan = np.array([(0, i + 1, i + 2) for i in range(count - 1)])
        vertices = np.concatenate((centre[None], ring))
        cap = Mesh(vertices, fan, np.broadcast_to(outward, vertices.shape).copy())
        caps.append(cap)
    return merge([body, *caps])


def prism(outline: npt.ArrayLike, low: float, high: float) -> Mesh:
    """Extrude a convex counter-clockwise outline (N, 2) from z = low to z = high, flat shaded."""
    corners = np.asarray(outline, dtype=np.float64)
    count = len(corners)
    parts = []
    for z, normal in ((low, -1.0), (high, 1.0)):
        vertices = np.column_stack((corners, np.full(count, z)))
        fan = np.array([(0, i, i + 1) for i in range(1, count - 1)])
        parts.append(Mesh(vertices, fan, np.tile((0, 0, normal), (count, 1))))
    for i in range(count):
        a, b = corners[i], corners[(i + 1) % count]
        vertices = np.array([(*a, low), (*b, low), (*b, high), (*a, high)])
        normal_xy = np.array([b[1] - a[1], a[0] - b[0]]) / max(float(np.linalg.norm(b - a)), 1e-9)
        parts.append(Mesh(vertices, np.array([(0, 1, 2), (0, 2, 3)]), np.tile((*normal_xy, 0), (4, 1))))
    return merge(parts)


def box(low: Sequence[float], high: Sequence[float]) -> Mesh:
    """Return an axis-aligned box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1)


def arc(start_deg: float, end_deg: float, radii: tuple[float, float], count: int = 17) -> Array:
    """Return points (count, 2) of an ellipse arc with the given half axes about the origin."""
    angles = np.radians(np.linspace(start_deg, end_deg, count))
    return np.stack((radii[0] * np.cos(angles), radii[1] * np.sin(angles)), axis=1)
