# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accepting an image: newest bundle, its age, its camera pose at its own stamp, all frozen into a Frame."""

import time
from functools import partial
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.qos import QoSProfile

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.camera_pose import PoseBuffer
from affordance_ros.nodes.images import depth_from_message, intrinsics_from_message, rgb_from_message
from affordance_ros.nodes.lifecycle import LATCHED, SuiteNode
from affordance_ros.nodes.rgbd_sync import Bundle, BundleStore
from affordance_ros.results import Frame

IMAGE = 'sensor_msgs/msg/Image'


class FrameSource:
    """Holds the newest bundle of a node and the camera poses around it. Reads `node.settings`, which may change."""

    def __init__(self, node: SuiteNode) -> None:
        self.node = node
        self.store = BundleStore(int(node.settings.input_slop_s * 1e9), need_depth=node.settings.input_need_depth)
        self.poses = PoseBuffer()
        self._listening = False
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jump = node.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)

    def _on_time_jump(self, _: Any) -> None:
        """A simulation or a bag starts again: what was seen before is of another time."""
        self.store.forget_images()
        self.poses.forget_moving()

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
        while bundle is not None and self._too_old(bundle) and time.monotonic() < deadline:
            bundle = self.store.wait(deadline - time.monotonic(), after=bundle.number, stop=stop) or bundle
            if stop is not None and stop():
                break
        if stop is not None and stop():
            raise AffordanceError(Code.CANCELED, 'canceled while it waited for an image')
        if bundle is None:
            raise self._missing(wait_s)
        if self._too_old(bundle):
            age, limit = self._age_s(bundle), self.node.settings.input_max_age_s
            text = f'{age:.2f} s old' if age > 0 else f'{-age:.2f} s in the future'
            raise AffordanceError(
                Code.STALE,
                f'the newest image is {text}, the limit is {limit} s; check the camera, the clocks or use_sim_time',
            )
        return self._freeze(bundle)

    def health(self) -> dict[str, str]:
        """Counters for the diagnostics."""
        c, newest = self.store.counters, self.store.newest
        counts = {name: str(getattr(c, name)) for name in ('images', 'depths', 'bundles', 'unpaired', 'jumps')}
        return counts | {'image age s': f'{self._age_s(newest):.3f}' if newest else 'no image'}

    def _too_old(self, bundle: Bundle) -> bool:
        return abs(self._age_s(bundle)) > self.node.settings.input_max_age_s

    def _age_s(self, bundle: Bundle) -> float:
        return (self.node.get_clock().now().nanoseconds - bundle.stamp_ns) / 1e9

    def _missing(self, wait_s: float) -> AffordanceError:
        name, missing = self.node.resolve_topic_name, self.store.missing()
        if missing == 'image':
            text = f'no image on {name("image")} for {wait_s:.1f} s{self._offered("image")}'
            return AffordanceError(Code.NO_IMAGE, f'{text}; start the camera or remap the topic')
        if missing == 'depth':
            text = f'images come, but no depth on {name("depth/image")}{self._offered("depth/image")}'
            return AffordanceError(Code.NO_DEPTH, f'{text}; start the depth stream or set input.need_depth to false')
        if missing == 'pair':
            text = f'colour and depth never have stamps within {self.node.settings.input_slop_s} s'
            return AffordanceError(Code.UNALIGNED, f'{text}; raise input.slop_s or synchronise the camera')
        if missing == 'info':
            return AffordanceError(Code.NO_IMAGE, f'images come, but no camera info on {name("camera_info")}; remap it')
        return AffordanceError(
            Code.NO_IMAGE, f'no new image on {name("image")} for {wait_s:.1f} s; is the camera running?'
        )

    def _offered(self, topic: str) -> str:
        """Return who publishes a topic, or which other topics of images there are."""
        name = self.node.resolve_topic_name(topic)
        publishers = self.node.get_publishers_info_by_topic(name)
        if publishers:
            offers = {f'{info.qos_profile.reliability.name} {info.qos_profile.durability.name}' for info in publishers}
            return f' ({len(publishers)} publishers, offering {", ".join(sorted(offers))})'
        images = [other for other, kinds in self.node.get_topic_names_and_types() if IMAGE in kinds and other != name]
        return f' (nobody publishes it; images are on {", ".join(images)})' if images else ' (nobody publishes it)'

    def _freeze(self, bundle: Bundle) -> tuple[Frame, AffordanceError | None]:
        settings, header = self.node.settings, bundle.image.header
        rgb = rgb_from_message(bundle.image)
        depth = None
        if bundle.depth is not None:
            _check_registered(bundle.image, bundle.depth, frames=settings.input_check_frames)
            depth = depth_from_message(bundle.depth, settings.input_depth_scale)
        intrinsics = intrinsics_from_message(bundle.info)
        if (intrinsics.width, intrinsics.height) != (rgb.shape[1], rgb.shape[0]):
            text = f'camera_info is for {intrinsics.width}x{intrinsics.height}, the image is {_size(bundle.image)}'
            raise AffordanceError(Code.BAD_INPUT, f'{text}; use the camera_info of this stream')
        pose, refused = None, None
        if settings.tf_target_frame:
            pose, refused = self._pose(settings.tf_target_frame, header.frame_id, bundle.stamp_ns)
        known = settings.tf_target_frame if pose is not None else ''
        return Frame(rgb, depth, intrinsics, bundle.stamp_ns, header.frame_id, pose, known), refused

    def _pose(self, target: str, frame_id: str, stamp_ns: int) -> tuple[Any, AffordanceError | None]:
        deadline = time.monotonic() + self.node.settings.tf_timeout_s
        while True:
            try:
                return self.poses.lookup(target, frame_id, stamp_ns), None
            except AffordanceError as error:
                if time.monotonic() >= deadline:
                    return None, error
                time.sleep(0.01)

    def listen(self) -> None:
        """Subscribe to /tf and /tf_static when a target frame is set. Raises AffordanceError TF without tf2_msgs."""
        if self._listening or not self.node.settings.tf_target_frame:
            return
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            text = 'tf.target_frame needs the package tf2_msgs; run make setup, or apt install ros-jazzy-tf2-msgs'
            raise AffordanceError(Code.TF, text) from error
        self._listening = True
        group = ReentrantCallbackGroup()
        latched = QoSProfile(depth=100, durability=LATCHED.durability)
        for topic, qos, static in (('/tf', QoSProfile(depth=100), False), ('/tf_static', latched, True)):
            take = partial(self._take, static=static)
            self.node.create_subscription(TFMessage, topic, take, qos, callback_group=group)

    def _take(self, message: Any, *, static: bool) -> None:
        for item in message.transforms:
            stamp = convert.nanoseconds_of(item.header.stamp)
            self.poses.add(
                item.header.frame_id, item.child_frame_id, stamp, convert.matrix_from_transform(item), static=static
            )


def _size(message: Any) -> str:
    return f'{message.width}x{message.height}'


def _check_registered(image: Any, depth: Any, *, frames: bool) -> None:
    """Raise UNALIGNED when a depth image cannot be registered to the colour image."""
    if (depth.width, depth.height) != (image.width, image.height):
        text = f'depth is {_size(depth)}, colour {_size(image)}'
        raise AffordanceError(Code.UNALIGNED, f'{text}; publish depth that is registered to the colour image')
    ours, theirs = image.header.frame_id, depth.header.frame_id
    if frames and ours != theirs:
        text = f'depth is in frame {theirs!r}, colour in {ours!r}; publish depth that is registered to the colour image'
        raise AffordanceError(Code.UNALIGNED, f'{text}, or set input.check_frames to false if it is')
