# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Would a grasp hold? Judged on the full meshes of a scene, not on what a camera saw of them.

The open hand and its straight way in may touch no triangle and no table; the closing pads must first meet the asked
part on both sides; and some pair of contact points must be antipodal within the friction cone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import open3d

from affordance_ros.scenes.meshes import Array, merge
from affordance_ros.scenes.scene import Scene

TENSOR: Any = open3d.core.Tensor
SKIN_M = 0.0005  # the boxes of the hand are made smaller by this: touching is not hitting
PAD_M = 0.001  # a pad gives way by this: points so close to the first one are in contact too
OK, HITS, TABLE, EMPTY, WRONG, SLIPS = 'ok', 'hits the scene', 'hits the table', 'closes on air', 'wrong part', 'slips'
LEAKS = 'leaks'
LIFTED_M = 0.01  # from where before its lip the surface under a cup is looked for


@dataclass(frozen=True)
class HandShape:
    """A hand at a grasp, TCP frame (z to the object, y closing), metres.

    boxes: (N, 2, 3) corners of fingers and palm with the way in. opening: between the pads. pad: (x, z) size of a pad.
    """

    boxes: Array
    opening_m: float
    pad_m: tuple[float, float]


@dataclass(frozen=True)
class CupShape:
    """A suction cup at a grasp, TCP frame (z to the object, origin in the plane of the lip), metres.

    boxes: (N, 2, 3) corners of cup and body with the way in. give: how uneven a surface the lip seals.
    """

    boxes: Array
    radius_m: float
    give_m: float


class GraspJudge:
    """Knows every triangle of a scene. Poses are table_from_tcp (4, 4)."""

    def __init__(self, scene: Scene) -> None:
        meshes = [part.mesh for part in scene.placed]
        mesh = merge(meshes)
        self._corners = mesh.vertices[mesh.faces]
        self._part = np.repeat([part.info.id for part in scene.placed], [len(item.faces) for item in meshes])
        self._caster = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._caster.add_triangles(TENSOR(mesh.vertices.astype(np.float32)), TENSOR(mesh.faces.astype(np.uint32)))

    def judge(self, table_from_tcp: Array, hand: HandShape, part_id: int, friction: float = 0.5) -> str:
        """Return OK or the first thing that is wrong: HITS, TABLE, EMPTY, WRONG or SLIPS."""
        pose = np.asarray(table_from_tcp, dtype=np.float64)
        fault = self._blocked(pose, hand.boxes)
        if fault:
            return fault
        return self._closing(pose, hand, part_id, friction)

    def _closing(self, pose: Array, hand: HandShape, part_id: int, friction: float) -> str:
        sides = [self._touched(pose, hand, sign) for sign in (1.0, -1.0)]
        if any(len(points) == 0 for points, _, _ in sides):
            return EMPTY
        if any((parts != part_id).any() for _, _, parts in sides):
            return WRONG
        (p, p_normal, _), (q, q_normal, _) = sides
        line = q[None] - p[:, None]
        line = line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-9)
        cone = np.cos(np.arctan(friction))
        holds = (-np.einsum('pqc,pc->pq', line, p_normal) >= cone) & (np.einsum('pqc,qc->pq', line, q_normal) >= cone)
        return OK if holds.any() else SLIPS

    def _touched(self, pose: Array, hand: HandShape, sign: float) -> tuple[Array, Array, npt.NDArray[np.int64]]:
        """Return points, outward normals and parts where the pad on the side `sign` of y first meets the scene."""
        width, length = hand.pad_m
        x, z = np.meshgrid(np.linspace(-0.48, 0.48, 7) * width, -np.linspace(0.0005, length, 12))
        start = np.column_stack((x.ravel(), np.full(x.size, sign * hand.opening_m / 2), z.ravel()))
        direction = -sign * pose[:3, 1]
        origins = start @ pose[:3, :3].T + pose[:3, 3]
        rays = np.concatenate((origins, np.broadcast_to(direction, origins.shape)), axis=1).astype(np.float32)
        hits = self._caster.cast_rays(TENSOR(rays))
        way = hits['t_hit'].numpy().astype(np.float64)
        met = way <= min(hand.opening_m, float(way.min()) + PAD_M)
        normals = hits['primitive_normals'].numpy()[met].astype(np.float64)
        normals *= -np.sign(normals @ direction)[:, None]
        points = origins[met] + way[met, None] * direction
        return points, normals, self._part[hits['primitive_ids'].numpy()[met].astype(np.int64)]

    def graspable(self, part: int, hands: Any, aperture_m: float, seed: int = 0) -> bool:
        """Tell whether any of many random grasps of a part would hold: sampled on its true surface, from all sides.

        hands: a function from the opening to the HandShape. A part without one is beyond this gripper in this scene.
        """
        points, normals = self._surface(part, seed)
        return any(
            self._held_at(point, sign * normal, part, hands, aperture_m)
            for point, normal in zip(points, normals, strict=True)
            for sign in (1.0, -1.0)
        )

    def _surface(self, part: int, seed: int) -> tuple[Array, Array]:
        """Return 60 points (60, 3) of the surface of a part and their normals (60, 3)."""
        rng = np.random.default_rng(seed)
        faces = self._corners[self._part == part]
        areas = np.linalg.norm(np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0]), axis=1)
        chosen = faces[rng.choice(len(faces), 60, p=areas / areas.sum())]
        a, b = np.sqrt(rng.random(60)), rng.random(60)
        points = np.einsum('nk,nkc->nc', np.column_stack((1 - a, a * (1 - b), a * b)), chosen)
        normals = np.cross(chosen[:, 1] - chosen[:, 0], chosen[:, 2] - chosen[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return points, normals

    def seals(self, table_from_tcp: Array, cup: CupShape, part_id: int) -> str:
        """Return OK or what is wrong with a suction cup: TABLE, HITS, WRONG or LEAKS.

        Every point of the lip must meet the asked part no farther from the plane of the lip than it gives way.
        """
        pose = np.asarray(table_from_tcp, dtype=np.float64)
        fault = self._blocked(pose, cup.boxes)
        if fault:
            return fault
        angle = np.arange(24) * np.pi / 12
        lip = 0.9 * cup.radius_m * np.column_stack((np.cos(angle), np.sin(angle)))
        start = np.column_stack((lip, np.full(24, -LIFTED_M))) @ pose[:3, :3].T + pose[:3, 3]
        rays = np.concatenate((start, np.broadcast_to(pose[:3, 2], start.shape)), axis=1).astype(np.float32)
        hits = self._caster.cast_rays(TENSOR(rays))
        away = hits['t_hit'].numpy() - LIFTED_M
        met = np.isfinite(away)
        if (self._part[hits['primitive_ids'].numpy()[met].astype(np.int64)] != part_id).any():
            return WRONG
        return OK if met.all() and np.abs(away).max() <= cup.give_m else LEAKS

    def sealable(self, part: int, cup: CupShape, seed: int = 0) -> bool:
        """Tell whether a cup holds at any of many random places of a part, square to its true surface."""
        for point, normal in zip(*self._surface(part, seed), strict=True):
            for outwards in (normal, -normal):
                side = np.cross(outwards, (0.0, 0, 1.0) if abs(outwards[2]) < 0.9 else (1.0, 0, 0))
                side /= np.linalg.norm(side)
                pose = np.eye(4)
                pose[:3, :3] = np.column_stack((np.cross(side, -outwards), side, -outwards))
                pose[:3, 3] = point
                if self.seals(pose, cup, part) == OK:
                    return True
        return False

    def _blocked(self, pose: Array, boxes: Array) -> str:
        """Return TABLE or HITS where boxes (N, 2, 3) of a hand at a pose meet the table or a triangle, else ''."""
        low, high = boxes[:, 0] + SKIN_M, boxes[:, 1] - SKIN_M
        corners = np.array([[(x[0], y[1], z[2]) for x in b for y in b for z in b] for b in np.stack((low, high), 1)])
        if (corners.reshape(-1, 3) @ pose[2, :3] + pose[2, 3]).min() < 0:
            return TABLE
        triangles = (self._corners - pose[:3, 3]) @ pose[:3, :3]
        hit = any(triangles_meet_box(triangles, *box).any() for box in zip(low, high, strict=True))
        return HITS if hit else ''

    def _held_at(self, point: Array, inward: Array, part: int, hands: Any, aperture_m: float) -> bool:  # noqa: PLR0913
        ray = np.concatenate((point + 1e-4 * inward, inward)).astype(np.float32)[None]
        hits = self._caster.cast_rays(TENSOR(ray))
        width = float(hits['t_hit'].numpy()[0])
        if not width < aperture_m - 0.004 or self._part[int(hits['primitive_ids'].numpy()[0])] != part:
            return False
        hand = hands(min(aperture_m, width + 0.012))
        side = np.cross(inward, (0.0, 0, 1.0) if abs(inward[2]) < 0.9 else (1.0, 0, 0))
        side /= np.linalg.norm(side)
        other = np.cross(inward, side)
        for angle in np.arange(12) * np.pi / 6:
            approach = np.cos(angle) * side + np.sin(angle) * other
            pose = np.eye(4)
            pose[:3, :3] = np.column_stack((np.cross(inward, approach), inward, approach))
            for insert in (0.004, 0.015):
                pose[:3, 3] = point + width / 2 * inward + insert * approach
                if self.judge(pose, hand, part) == OK:
                    return True
        return False


def triangles_meet_box(triangles: Array, low: Array, high: Array) -> npt.NDArray[np.bool_]:
    """Return (F,): which triangles (F, 3, 3) meet an axis-aligned box (separating axes, after Akenine-Moeller 2001)."""
    middle, half = (low + high) / 2, (high - low) / 2
    corners = triangles - middle
    meet: npt.NDArray[np.bool_] = ((corners.min(axis=1) <= half) & (corners.max(axis=1) >= -half)).all(axis=1)
    near = corners[meet]
    if not len(near):
        return meet
    edges = np.roll(near, -1, axis=1) - near
    normal = np.cross(edges[:, 0], edges[:, 1])
    axes = np.concatenate((normal[:, None], np.cross(edges[:, :, None], np.eye(3)[None, None]).reshape(-1, 9, 3)), 1)
    along = np.einsum('fac,fkc->fak', axes, near)
    reach = np.abs(axes) @ half
    meet[meet] = ~((along.min(axis=2) > reach) | (along.max(axis=2) < -reach)).any(axis=1)
    return meet
