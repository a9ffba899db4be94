# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the jaws of a grasp target really close on a part: on the true meshes, for the lifting benchmark."""

import numpy as np
import open3d
from lifting_scenes import Shot

from affordance_ros.results import GraspTarget
from affordance_ros.scenes.meshes import merge

TENSOR = open3d.core.Tensor


class Jaws:
    """Closes on the true meshes of a scene."""

    def __init__(self, seen: Shot) -> None:
        mesh = merge([part.mesh for part in seen.scene.placed])
        self.part = np.repeat(
            [part.info.id for part in seen.scene.placed], [len(part.mesh.faces) for part in seen.scene.placed]
        )
        self.pose = np.asarray(seen.scene.table_from_camera)
        self.caster = open3d.t.geometry.RaycastingScene(nthreads=1)
        self.caster.add_triangles(TENSOR(mesh.vertices.astype(np.float32)), TENSOR(mesh.faces.astype(np.uint32)))

    def width_m(self, target: GraspTarget, part_id: int, pad_m: tuple[float, float]) -> float:
        """Return what is between the pads when they first meet the part on both sides, NaN when they do not."""
        grasp = self.pose @ target.grasp
        x, z = np.meshgrid(np.linspace(-0.48, 0.48, 9) * pad_m[0], -np.linspace(0.0002, pad_m[1], 20))
        way = []
        for sign in (1.0, -1.0):
            start = np.column_stack((x.ravel(), np.full(x.size, sign * target.opening_m / 2), z.ravel()))
            origins = start @ grasp[:3, :3].T + grasp[:3, 3]
            rays = np.concatenate((origins, np.broadcast_to(-sign * grasp[:3, 1], origins.shape)), axis=1)
            hits = self.caster.cast_rays(TENSOR(rays.astype(np.float32)))
            away, own = hits['t_hit'].numpy(), hits['primitive_ids'].numpy().astype(np.int64)
            met = np.isfinite(away) & (self.part[np.minimum(own, len(self.part) - 1)] == part_id)
            way.append(float(away[met].min()) if met.any() else float('nan'))
        width = target.opening_m - sum(way)
        return width if width > 0 else float('nan')
