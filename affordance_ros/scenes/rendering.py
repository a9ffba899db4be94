# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ray casting of a scene (Open3D / Embree): Lambert light with soft shadows, a small highlight and a patterned table.

Rays have z = 1 in the camera frame, so the hit parameter is the depth along the optical axis, exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import open3d

from affordance_ros.results import Frame
from affordance_ros.scenes.meshes import merge, prism
from affordance_ros.scenes.view import View

if TYPE_CHECKING:
    from affordance_ros.scenes.scene import Scene, TableLook

Float32 = npt.NDArray[Any]  # float32; numpy's stubs widen most results
TABLE_HALF_M = 1.6
TENSOR: Any = open3d.core.Tensor  # its type stubs refuse the arrays that it takes
BACKGROUND = (0.34, 0.35, 0.38)


def render(scene: Scene, stamp_ns: int) -> View:
    """Return colour, depth (NaN where no ray hits), normals and part ids of a scene."""
    table = prism(
        [
            (-TABLE_HALF_M, -TABLE_HALF_M),
            (TABLE_HALF_M, -TABLE_HALF_M),
            (TABLE_HALF_M, TABLE_HALF_M),
            (-TABLE_HALF_M, TABLE_HALF_M),
        ],
        -0.03,
        0.0,
    )
    meshes = [table, *(part.mesh for part in scene.placed)]
    mesh = merge(meshes)
    face_part = np.repeat(np.arange(len(meshes)), [len(item.faces) for item in meshes]).astype(np.int32)
    caster = open3d.t.geometry.RaycastingScene(nthreads=1)
    caster.add_triangles(TENSOR(mesh.vertices.astype(np.float32)), TENSOR(mesh.faces.astype(np.uint32)))

    pose = np.asarray(scene.table_from_camera).astype(np.float32)
    rays = camera_rays(scene, pose)
    hits = caster.cast_rays(TENSOR(rays))
    depth = hits['t_hit'].numpy()
    hit = np.isfinite(depth)
    parts, normals = np.zeros(depth.shape, np.int32), np.zeros((*depth.shape, 3), np.float32)
    primitive = hits['primitive_ids'].numpy()[hit]
    parts[hit] = face_part[primitive]
    normals[hit] = _smooth_normals(
        mesh.normals, mesh.faces[primitive], hits['primitive_uvs'].numpy()[hit], rays[..., 3:][hit]
    )

    points = rays[..., :3] + np.where(hit, depth, 0)[..., None] * rays[..., 3:]
    lit = _shadows(caster, points, normals, hit, scene.light.direction.astype(np.float32))
    rgb = _shade(scene, points, normals, parts, hit, lit, rays[..., 3:])
    frame = Frame(
        rgb=rgb,
        depth=np.where(hit, depth, np.nan).astype(np.float32),
        intrinsics=scene.intrinsics,
        stamp_ns=stamp_ns,
        frame_id='camera_optical_frame',
        target_from_camera=scene.table_from_camera,
        target_frame='table',
    )
    return View(frame, parts, normals @ pose[:3, :3])


def camera_rays(scene: Scene, pose: Float32) -> Float32:
    """Return rays (H, W, 6), origin and direction with z = 1 in the camera, in the table frame. pose: (4, 4)."""
    k = scene.intrinsics
    x = (np.arange(k.width, dtype=np.float32) - k.cx) / k.fx
    y = (np.arange(k.height, dtype=np.float32) - k.cy) / k.fy
    rotation = pose[:3, :3]
    rays = np.empty((k.height, k.width, 6), np.float32)
    rays[..., :3] = pose[:3, 3]
    rays[..., 3:] = x[None, :, None] * rotation[:, 0] + y[:, None, None] * rotation[:, 1] + rotation[:, 2]
    return rays


def _smooth_normals(
    vertex_normals: npt.NDArray[np.float64], corners: npt.NDArray[np.int64], uv: Float32, rays: Float32
) -> Float32:
    """Interpolate vertex normals at barycentric (u, v) of each hit and turn them towards the viewer."""
    table = vertex_normals.astype(np.float32)
    u, v = uv[:, :1], uv[:, 1:]
    normals = table[corners[:, 0]] * (1 - u - v) + table[corners[:, 1]] * u + table[corners[:, 2]] * v
    normals *= -np.sign(np.einsum('ij,ij->i', normals, rays))[:, None]
    unit: Float32 = (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return unit


def _shadows(
    caster: open3d.t.geometry.RaycastingScene,
    points: Float32,
    normals: Float32,
    hit: npt.NDArray[np.bool_],
    light: Float32,
) -> Float32:
    """Return the share of direct light (H, W); large images are tested on every second pixel (soft edges)."""
    height, width = hit.shape
    step = 2 if width >= 400 else 1
    start = points[::step, ::step] + 0.0015 * normals[::step, ::step]
    rays = np.concatenate((start, np.broadcast_to(light, start.shape)), axis=-1).astype(np.float32)
    free = ~caster.test_occlusions(TENSOR(rays)).numpy()
    lit: Float32 = (free | ~hit[::step, ::step]).astype(np.float32)
    if step == 1:
        return lit
    padded = np.pad(lit, ((0, 1), (0, 1)), mode='edge')
    rows = np.repeat(lit, 2, axis=0)[:height]
    rows[1::2] = 0.5 * (padded[:-1, :-1] + padded[1:, :-1])[: rows[1::2].shape[0]]
    full = np.repeat(rows, 2, axis=1)[:, :width]
    right = np.pad(rows, ((0, 0), (0, 1)), mode='edge')
    full[:, 1::2] = 0.5 * (right[:, :-1] + right[:, 1:])[:, : full[:, 1::2].shape[1]]
    return full


def _shade(  # noqa: PLR0913 - the G-buffer of one image
    scene: Scene,
    points: Float32,
    normals: Float32,
    parts: npt.NDArray[np.int32],
    hit: npt.NDArray[np.bool_],
    lit: Float32,
    rays: Float32,
) -> npt.NDArray[np.uint8]:
    light = scene.light.direction.astype(np.float32)
    colors = np.array([(0, 0, 0), *(part.color for part in scene.placed)], np.float32)
    gloss = np.array([0.02, *(part.gloss for part in scene.placed)], np.float32)[parts]
    albedo = colors[parts]
    table = hit & (parts == 0)
    albedo[table] = _table_color(points[table], scene.table)
    facing = np.clip(normals @ light, 0, 1)
    ambient = scene.light.ambient * (0.75 + 0.25 * normals[..., 2])
    view = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    half = light - view
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    shine = np.clip(np.einsum('hwc,hwc->hw', half, normals), 0, 1) ** 32 * gloss * lit
    tint = np.asarray(scene.light.tint, np.float32)
    image = albedo * (ambient + (1 - scene.light.ambient) * facing * lit)[..., None] * tint + shine[..., None]
    image[~hit] = BACKGROUND
    noise = np.random.default_rng(scene.seed).standard_normal(hit.shape, np.float32)[..., None]
    encoded = np.clip(image, 0, 1) ** (1 / 1.8) * 255 + 1.5 * noise
    rgb: npt.NDArray[np.uint8] = np.clip(np.rint(encoded), 0, 255).astype(np.uint8)
    return rgb


def _table_color(points: Float32, look: TableLook) -> Float32:
    """Return the pattern of the table (N, 3) at points (N, 3) on it."""
    cosine, sine = np.cos(look.angle), np.sin(look.angle)
    x = (points[:, 0] * cosine - points[:, 1] * sine) / look.period_m
    y = (points[:, 0] * sine + points[:, 1] * cosine) / look.period_m
    if look.pattern == 'checker':
        share = ((np.floor(x) + np.floor(y)) % 2).astype(np.float32)
    elif look.pattern == 'stripes':
        share = (0.5 + 0.5 * np.sin(2 * np.pi * x)).astype(np.float32)
    elif look.pattern == 'grain':
        share = (
            0.5 + 0.25 * np.sin(9 * x + 1.5 * np.sin(0.7 * y)) + 0.25 * np.sin(23 * x + 2.5 * np.sin(0.4 * y + 1))
        ).astype(np.float32)
    else:
        share = np.zeros(len(points), np.float32)
    first, second = (np.asarray(color, np.float32) for color in look.colors)
    mixed: Float32 = first + share[:, None] * (second - first)
    return mixed
