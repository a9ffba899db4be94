# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accepting an image: newest bundle, its age, its camera pose at its own stamp, all frozen into a Frame."""

import time
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import QoSProfile

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.camera_pose import PoseBuffer
from affordance_ros.nodes.images import depth_from_message, intrinsics_from_message, rgb_from_message
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.nodes.rgbd_sync import Bundle, BundleStore
from affordance_ros.nodes.lifecycle import LATCHED, SuiteNode
from affordance_ros.results import Frame


class FrameSource:
    """Holds the newest bundle of a node and the camera poses around it."""

    def __init__(self, node: SuiteNode, settings: AffordanceParameters) -> None:
        self.node, self.settings = node, settings
        self.store = BundleStore(int(settings.input_slop_s * 1e9), need_depth=settings.input_need_depth)
        self.poses = PoseBuffer()
        if settings.tf_target_frame:
            self._listen()

    def image(self, message: Any) -> None:
        """Take a colour image."""
        self.store.add_image(convert.nanoseconds_of(message.header.stamp), message)

    def depth(self, message: Any) -> None:
        """Take a depth image."""
        self.store.add_depth(convert.nanoseconds_of(message.header.stamp), message)

    def info(self, message: Any) -> None:
        """Take a camera info."""
        self.store.add_info(message)

    def accept(self, wait_s: float, stop: Any = None) -> tuple[Frame, AffordanceError | None]:
        """Return the newest bundle as a frame, and why its pose is not known when it should be.

        Raises AffordanceError: CANCELED, NO_IMAGE, NO_DEPTH, STALE, BAD_ENCODING, UNITS, BAD_INPUT.
        """
        deadline = time.monotonic() + wait_s
        bundle = self.store.wait(wait_s, stop=stop)
        while (
            bundle is not None and self._age_s(bundle) > self.settings.input_max_age_s and time.monotonic() < deadline
        ):
            bundle = self.store.wait(deadline - time.monotonic(), after=bundle.number, stop=stop) or bundle
        if stop is not None and stop():
            raise AffordanceError(Code.CANCELED, 'canceled while it waited for an image')
        if bundle is None:
            raise self._missing(wait_s)
        if (age := self._age_s(bundle)) > self.settings.input_max_age_s:
            text = f'the newest image is {age:.2f} s old, the limit is {self.settings.input_max_age_s} s'
            raise AffordanceError(Code.STALE, f'{text}; check the camera, the clocks or use_sim_time')
        return self._freeze(bundle)

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        c, newest = self.store.counters, self.store.newest
        counts = {name: str(getattr(c, name)) for name in ('images', 'depths', 'bundles', 'unpaired', 'jumps')}
        return counts | {'image age s': f'{self._age_s(newest):.3f}' if newest else 'no image'}

    def _age_s(self, bundle: Bundle) -> float:
        return (self.node.get_clock().now().nanoseconds - bundle.stamp_ns) / 1e9

    def _missing(self, wait_s: float) -> AffordanceError:
        name, c = self.node.resolve_topic_name, self.store.counters
        if not c.images:
            publishers = self.node.count_publishers(name('image'))
            text = f'no image on {name("image")} for {wait_s:.1f} s ({publishers} publishers)'
            return AffordanceError(Code.NO_IMAGE, f'{text}; start the camera or remap the topic')
        if not c.bundles and not c.depths:
            text = f'{c.images} images came, but no depth on {name("depth/image")}'
            return AffordanceError(
                Code.NO_DEPTH, f'{text}; start the depth stream, remap it, or set input.need_depth to false'
            )
        if not c.bundles:
            text = f'colour and depth never have stamps within {self.settings.input_slop_s} s'
            return AffordanceError(Code.UNALIGNED, f'{text}; raise input.slop_s or synchronise the camera')
        return AffordanceError(
            Code.NO_IMAGE, f'no camera info on {name("camera_info")}, or no new image for {wait_s:.1f} s'
        )

    def _freeze(self, bundle: Bundle) -> tuple[Frame, AffordanceError | None]:
        rgb = rgb_from_message(bundle.image)
        depth = None if bundle.depth is None else depth_from_message(bundle.depth, self.settings.input_depth_scale)
        intrinsics = intrinsics_from_message(bundle.info)
        if depth is not None and depth.shape != rgb.shape[:2]:
            text = f'depth is {depth.shape[1]}x{depth.shape[0]}, colour {rgb.shape[1]}x{rgb.shape[0]}'
            raise AffordanceError(Code.UNALIGNED, f'{text}; publish depth that is registered to the colour image')
        if (intrinsics.width, intrinsics.height) != (rgb.shape[1], rgb.shape[0]):
            text = (
                f'camera_info is for {intrinsics.width}x{intrinsics.height}, the image is {rgb.shape[1]}x{rgb.shape[0]}'
            )
            raise AffordanceError(Code.BAD_INPUT, f'{text}; use the camera_info of this stream')
        frame_id, pose, refused = bundle.image.header.frame_id, None, None
        target = self.settings.tf_target_frame
        if target:
            pose, refused = self._pose(target, frame_id, bundle.stamp_ns)
        known = target if pose is not None else ''
        return Frame(rgb, depth, intrinsics, bundle.stamp_ns, frame_id, pose, known), refused

    def _pose(self, target: str, frame_id: str, stamp_ns: int) -> tuple[Any, AffordanceError | None]:
        deadline = time.monotonic() + self.settings.tf_timeout_s
        while True:
            try:
                return self.poses.lookup(target, frame_id, stamp_ns), None
            except AffordanceError as error:
                if time.monotonic() >= deadline:
                    return None, error
                time.sleep(0.01)

    def _listen(self) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            text = 'tf.target_frame needs the package tf2_msgs; run make setup, or apt install ros-jazzy-tf2-msgs'
            raise AffordanceError(Code.TF, text) from error
        group = ReentrantCallbackGroup()
        self.node.create_subscription(
            TFMessage, '/tf', lambda m: self._take(m, static=False), QoSProfile(depth=100), callback_group=group
        )
        latched = QoSProfile(depth=100, durability=LATCHED.durability)
        self.node.create_subscription(
            TFMessage, '/tf_static', lambda m: self._take(m, static=True), latched, callback_group=group
        )

    def _take(self, message: Any, *, static: bool) -> None:
        for item in message.transforms:
            stamp = convert.nanoseconds_of(item.header.stamp)
            self.poses.add(
                item.header.frame_id, item.child_frame_id, stamp, convert.matrix_from_transform(item), static=static
            )
