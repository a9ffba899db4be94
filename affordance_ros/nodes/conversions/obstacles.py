# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Solids for the scene of a planner to messages."""

import numpy as np
from shape_msgs.msg import Mesh, MeshTriangle, SolidPrimitive

from affordance_ros import msg
from affordance_ros.nodes.conversions.basic import point_message, pose_message
from affordance_ros.results import FloatArray, Obstacle


def obstacle_message(obstacle: Obstacle, frame_from_camera: FloatArray) -> msg.Obstacle:
    """Return a solid in another frame. frame_from_camera: (4, 4)."""
    message = msg.Obstacle(id=obstacle.name, pose=pose_message(np.asarray(frame_from_camera) @ obstacle.pose))
    if obstacle.size_m is not None:
        box = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[float(size) for size in obstacle.size_m])
        message.primitives = [box]
    else:
        corners = [MeshTriangle(vertex_indices=[int(index) for index in row]) for row in obstacle.triangles]
        message.meshes = [Mesh(triangles=corners, vertices=[point_message(point) for point in obstacle.vertices])]
    return message
