#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""scene_node: a simulated RGB-D camera over a procedural scene, with the truth on a topic.

A still scene is rendered once; noisy depth images take turns.
"""

import json
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.images import camera_info_message, image_message
from affordance_ros.nodes.lifecycle import LATCHED, SuiteNode
from affordance_ros.nodes.parameters import SceneParameters
from affordance_ros.nodes.running import run_node
from affordance_ros.scenes import PRESETS, SensorModel, sample_scene

CAMERA = QoSProfile(depth=10)  # reliable, as camera drivers are: a recorder need not lose images
NOISE_FRAMES = 5  # noisy depth images that take turns: noise costs more than publishing


class SceneNode(SuiteNode):
    """Publishes image, depth/image, camera_info, the camera pose on /tf_static, and ~/truth (JSON, latched)."""

    def __init__(self) -> None:
        super().__init__('scene_node', SceneParameters)
        self._timer: Any = None
        self._count = 0
        self.images = self.create_publisher(Image, 'image', CAMERA)
        self.depths = self.create_publisher(Image, 'depth/image', CAMERA)
        self.infos = self.create_publisher(CameraInfo, 'camera_info', CAMERA)
        self.truth = self.create_publisher(String, '~/truth', LATCHED)
        self._static: Any = None

    def start(self) -> None:
        """Render the scene once."""
        s = self.settings
        if s.scene_preset not in PRESETS or s.depth_encoding not in ('16UC1', '32FC1'):
            raise AffordanceError(
                Code.BAD_INPUT, f'scene.preset must be one of {", ".join(PRESETS)}, depth.encoding 16UC1 or 32FC1'
            )
        words = s.scene_must_have.split()
        self.scene = sample_scene(
            s.scene_seed, s.scene_preset, must_have=(words[0], words[1]) if len(words) == 2 else None
        )
        self.view = self.scene.render()
        rng = np.random.default_rng(s.scene_seed)
        frames = (
            [SensorModel().apply(self.view.frame, rng) for _ in range(NOISE_FRAMES)]
            if s.scene_noise
            else [self.view.frame]
        )
        self._depth_pixels = [self._encoded(np.asarray(frame.depth)) for frame in frames]
        header = Header(frame_id=self.view.frame.frame_id)
        self._image = image_message(self.view.frame.rgb, 'rgb8', header)
        self._depth_images = [image_message(pixels, s.depth_encoding, header) for pixels in self._depth_pixels]
        self._info = camera_info_message(self.scene.intrinsics, header)

    def activate(self) -> None:
        """Publish the truth once and images from now on."""
        self._publish_static()
        self.truth.publish(String(data=json.dumps(self._truth())))
        # A group of its own: on a busy machine publishing alone would keep states and parameters from being answered.
        group = MutuallyExclusiveCallbackGroup()
        self._timer = self.create_timer(1 / self.settings.scene_rate, self._publish, callback_group=group)

    def deactivate(self) -> None:
        """Publish no more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def health(self) -> dict[str, str]:
        """What is shown."""
        return {'scene': str(self.settings.scene_seed), 'images': str(self._count)}

    def _encoded(self, depth: Any) -> Any:
        if self.settings.depth_encoding == '32FC1':
            return depth
        return np.where(np.isfinite(depth), np.rint(depth * 1000), 0).astype(np.uint16)

    def _publish(self) -> None:
        stamp = self.get_clock().now().to_msg()
        depth = self._depth_images[self._count % len(self._depth_images)]
        for message in (self._image, depth, self._info):
            message.header.stamp = stamp
        self.infos.publish(self._info)
        self.images.publish(self._image)
        if self.settings.scene_depth:
            self.depths.publish(depth)
        self._count += 1

    def _publish_static(self) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self.get_logger().warning(
                'tf2_msgs is not installed: no camera pose (run make setup, or apt install ros-jazzy-tf2-msgs)'
            )
            return
        self._static = self._static or self.create_publisher(TFMessage, '/tf_static', LATCHED)
        frame = self.view.frame
        pose = convert.transform_message(np.asarray(frame.target_from_camera), frame.target_frame, frame.frame_id, 0)
        self._static.publish(TFMessage(transforms=[pose]))

    def _truth(self) -> dict[str, Any]:
        """The camera pose, and per part what it is and where it is seen (pixels, metres, camera frame)."""
        parts = []
        for part in self.scene.parts:
            truth = self.scene.truth(self.view, part.id)
            entry = {
                'id': part.id,
                'object': part.object_name,
                'color': part.color,
                'part': part.part,
                'actions': part.actions,
            }
            entry |= {'pixels': int(truth.mask.sum()), 'width_m': truth.width_m, 'axis': truth.axis.tolist()}
            if len(truth.points):
                entry |= {'middle_m': truth.points.mean(axis=0).tolist(), 'sentences': list(truth.sentences)}
            parts.append(entry)
        s = self.settings
        scene = {'seed': s.scene_seed, 'preset': s.scene_preset, 'must_have': s.scene_must_have}
        return {**scene, 'table_from_camera': np.asarray(self.scene.table_from_camera).tolist(), 'parts': parts}


def main() -> None:
    """Run the node."""
    run_node(SceneNode, threads=2)


if __name__ == '__main__':
    main()
