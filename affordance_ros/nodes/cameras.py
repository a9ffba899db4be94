# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras by name: their topics, reading them, and what is wrong when nothing comes."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from affordance_ros.camera_messages import is_rectified
from affordance_ros.clip_buffer import ClipBuffer, ClipShape
from affordance_ros.nodes.parameters import AffordanceParameters
from affordance_ros.nodes.rgbd_sync import BundleStore
from affordance_ros.nodes.silence import offered
from affordance_ros.nodes.thread_reading import ReadByThread, ReadingThread, Unread, never_called, take_all

SENSOR = QoSProfile(depth=4, reliability=ReliabilityPolicy.BEST_EFFORT)
MESSAGE = {'raw': Image, 'compressed': CompressedImage, 'compressedDepth': CompressedImage}
STREAMS = ('image', 'depth', 'info', 'depth_info')


class Camera:
    """One RGB-D camera: topics, subscriptions while it is open, and the store of its bundles.

    keep_clip: keep the last seconds in `clip`, for a model that wants them.
    """

    def __init__(self, node: Any, name: str, settings: AffordanceParameters) -> None:
        self.name, self._node = name, node
        self.clip = ClipBuffer(ClipShape(settings.input_clip_frames, settings.input_clip_rate))
        self.keep_clip = False
        self.store = BundleStore(int(settings.input_slop_s * 1e9), need_depth=settings.input_need_depth)
        prefix = f'{name}/' if name else ''
        color, depth = settings.input_image_transport, settings.input_depth_transport
        self.topics = {
            'image': (f'{prefix}image{"" if color == "raw" else "/" + color}', MESSAGE[color]),
            'depth': (f'{prefix}depth/image{"" if depth == "raw" else "/" + depth}', MESSAGE[depth]),
            'info': (f'{prefix}camera_info', CameraInfo),
        }
        if not settings.input_need_depth:
            del self.topics['depth']
        # Of rectified images the camera matrix P counts, told by the name that a topic was remapped to.
        self.rectified = {
            name: is_rectified(node.resolve_topic_name(topic)) for name, (topic, _) in self.topics.items()
        }
        # What is not missed when it is silent: only depth that comes from a camera of its own needs it.
        self.further: dict[str, tuple[str, Any]] = {}
        if settings.input_need_depth and settings.depth_registration == 'auto':
            self.further['depth_info'] = (f'{prefix}depth/camera_info', CameraInfo)
        self._subscriptions: dict[str, Any] = {}
        self._arrivals = {stream: deque[float](maxlen=30) for stream in (*STREAMS, 'bundle')}
        self._opened_at = 0.0

    def open(self) -> None:
        """Subscribe; the parameters qos_overrides./TOPIC.subscription... override the QoS."""
        self._opened_at = time.monotonic()
        for stream, (topic, kind) in (self.topics | self.further).items():
            options = QoSOverridingOptions.with_default_policies()
            self._subscriptions[stream] = self._node.create_subscription(
                kind, topic, never_called, SENSOR, callback_group=ReadByThread(), qos_overriding_options=options
            )

    def close(self) -> None:
        """Unsubscribe and forget what was seen."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.popitem()[1])
        for arrivals in self._arrivals.values():
            arrivals.clear()
        self.store.clear()
        self.clip.clear()

    def read(self) -> None:
        """Take what has arrived."""
        for stream, subscription in self._subscriptions.items():
            images = stream in ('image', 'depth')
            take_all(subscription, partial(self._take, stream, subscription.msg_type), raw=images)

    def _take(self, stream: str, kind: Any, arrived: Any) -> None:
        self._arrivals[stream].append(time.monotonic())
        if stream == 'info':
            self.store.add_info(arrived)
            return
        if stream == 'depth_info':
            self.store.add_depth_info(arrived)
            return
        image = Unread(kind, arrived)
        if stream == 'image' and self.keep_clip:
            self.clip.add(image.stamp_ns, image)
        add, before = self.store.add_image if stream == 'image' else self.store.add_depth, self.store.counters.bundles
        add(image.stamp_ns, image)
        if self.store.counters.bundles != before:
            self._arrivals['bundle'].append(time.monotonic())

    def rate(self, stream: str) -> float:
        """Return messages per second over the last few, 0 when none comes."""
        arrivals = list(self._arrivals[stream])
        if len(arrivals) < 2 or time.monotonic() - arrivals[-1] > 2.0:
            return 0.0
        return (len(arrivals) - 1) / max(1e-6, arrivals[-1] - arrivals[0])

    def silence(self, stream: str) -> float:
        """Return for how many seconds nothing has come."""
        arrivals = self._arrivals[stream]
        return time.monotonic() - max(self._opened_at, arrivals[-1] if arrivals else 0.0)

    def topic(self, stream: str) -> str:
        """Return the whole name of a topic after remapping."""
        return str(self._node.resolve_topic_name((self.topics | self.further)[stream][0]))

    def offered(self, stream: str) -> str:
        """Return in brackets who publishes a topic and how, or which other topics may be meant."""
        subscription = self._subscriptions.get(stream)
        asked = None if subscription is None else subscription.qos_profile
        read = [self.topic(other) for other in (*self.topics, *self.further)]
        return offered(self._node, self.topic(stream), (self.topics | self.further)[stream][1], asked, read)


class CameraReader:
    """Reads all cameras of a node, and whatever else it is given, from one thread while they are open."""

    def __init__(self, node: Any, cameras: Sequence[Camera], *others: Callable[[], None]) -> None:
        self._cameras = cameras
        readers = [*(camera.read for camera in cameras), *others]
        self._thread = ReadingThread('cameras', readers, node.get_logger())

    def open(self) -> None:
        """Subscribe to every camera and begin."""
        for camera in self._cameras:
            camera.open()
        self._thread.open()

    def close(self) -> None:
        """End the thread, then the subscriptions."""
        self._thread.close()
        for camera in self._cameras:
            camera.close()


def cameras_of(node: Any, settings: AffordanceParameters) -> dict[str, Camera]:
    """Return the cameras that the parameter input.cameras names; one without a name when it is empty."""
    names = [name.strip() for name in settings.input_cameras.split(',') if name.strip()] or ['']
    return {name: Camera(node, name, settings) for name in names}
