# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accepting an image: newest bundle, its age, its camera pose at its own stamp, all frozen into a Frame."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration

from affordance_ros.camera_messages import rgb_from_message
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.nodes.cameras import Camera, CameraReader, cameras_of
from affordance_ros.nodes.decoding import Decoder
from affordance_ros.nodes.lifecycle import SuiteNode
from affordance_ros.nodes.rgbd_sync import Bundle
from affordance_ros.nodes.silence import SilenceWatch
from affordance_ros.nodes.tf_listener import TfListener
from affordance_ros.nodes.thread_reading import Unread
from affordance_ros.results import Frame

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Wanted:
    """Which image: camera ('' the first), frame of its pose ('' the parameter), how long to wait for it."""

    camera: str = ''
    target_frame: str = ''
    wait_s: float = 5.0
    stop: Stop = lambda: False


@dataclass(frozen=True)
class Accepted:
    """A frozen frame. pose_refused: why its pose is not known when it should be. seconds: wall time by stage.

    earlier: the images before it, oldest first, colour only, for a model that looks at clips.
    """

    frame: Frame
    camera: str
    pose_refused: AffordanceError | None
    seconds: dict[str, float]
    earlier: tuple[Frame, ...] = ()


class FrameSource:
    """Holds the newest bundle of every camera and the camera poses around it. Reads `node.settings` anew each time."""

    def __init__(self, node: SuiteNode) -> None:
        self.node = node
        self.cameras = cameras_of(node, node.settings)
        self.tf = TfListener(node)
        self.reader = CameraReader(node, list(self.cameras.values()), self.tf.read)
        self._decoder = Decoder(node, self.tf)
        self.watch = SilenceWatch(list(self.cameras.values()), node.get_logger().warning)
        self.valid_ratio = float('nan')
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jump = node.get_clock().create_jump_callback(threshold, post_callback=self._on_time_jump)

    @property
    def first(self) -> Camera:
        """The camera of requests that name none."""
        return next(iter(self.cameras.values()))

    def keep_clips(self, *, wanted: bool) -> None:
        """Keep the last seconds of every camera from now on, or no longer."""
        for camera in self.cameras.values():
            camera.keep_clip = wanted
            if not wanted:
                camera.clip.clear()

    def listen(self) -> None:
        """Subscribe to /tf and /tf_static when a target frame is set. Raises AffordanceError TF without tf2_msgs."""
        if self.node.settings.tf_target_frame:
            self.tf.listen()

    def accept(self, wanted: Wanted) -> Accepted:
        """Return the newest bundle as a frame.

        Raises AffordanceError: CANCELED, NO_IMAGE, NO_DEPTH, NO_CLIP, STALE, BAD_ENCODING, UNITS, UNALIGNED, TF,
        BAD_INPUT.
        """
        start = time.perf_counter()
        camera = self._camera(wanted.camera)
        target = wanted.target_frame or self.node.settings.tf_target_frame
        bundle, before = self._newest_with_clip(camera, wanted)
        waited = time.perf_counter()
        seen = self._decoder.decoded(bundle, camera.rectified, wanted.stop)
        if seen.depth is not None:
            self.valid_ratio = float(np.isfinite(seen.depth[::8, ::8]).mean())
        earlier = tuple(_colour_frame(image) for image in before)
        decoded = time.perf_counter()
        pose, refused = None, None
        if target and target != seen.frame_id:
            self._require_transforms(target)
            timeout = self.node.settings.tf_timeout_s
            pose, refused = self.tf.lookup(target, seen.frame_id, bundle.stamp_ns, timeout, wanted.stop)
            if wanted.stop():
                raise AffordanceError(Code.CANCELED, 'canceled while it waited for the pose of the camera')
        place = (pose, target if pose is not None else '')
        frame = Frame(seen.rgb, seen.depth, seen.intrinsics, bundle.stamp_ns, seen.frame_id, *place)
        seconds = {'wait': waited - start, 'decode': decoded - waited - seen.registered_s}
        if seen.registered_s:
            seconds['register'] = seen.registered_s
        return Accepted(frame, camera.name, refused, {**seconds, 'pose': time.perf_counter() - decoded}, earlier)

    def _require_transforms(self, target: str) -> None:
        """Raise TF when a request asks for a frame and the node does not listen to the transforms."""
        if not self.tf.listening:
            text = f'the request asks for frame {target!r}, but this node does not listen to /tf'
            raise AffordanceError(Code.TF, f'{text}; set the parameter tf.target_frame')

    def age_s(self, bundle: Bundle) -> float:
        """Return the age of a bundle in the time of the node."""
        return (self.node.get_clock().now().nanoseconds - bundle.stamp_ns) / 1e9

    def _camera(self, name: str) -> Camera:
        if not name:
            return self.first
        if name not in self.cameras:
            known = ', '.join(repr(other) for other in self.cameras if other) or 'none has a name'
            raise AffordanceError(
                Code.BAD_INPUT, f'there is no camera {name!r}; cameras: {known} (parameter input.cameras)'
            )
        return self.cameras[name]

    def _newest(self, camera: Camera, wanted: Wanted) -> Bundle:
        deadline = time.monotonic() + wanted.wait_s
        bundle = camera.store.wait(wanted.wait_s, stop=wanted.stop)
        while bundle is not None and self._too_old(bundle) and time.monotonic() < deadline and not wanted.stop():
            left = deadline - time.monotonic()
            bundle = camera.store.wait(left, after=bundle.number, stop=wanted.stop) or camera.store.newest
        if wanted.stop():
            raise AffordanceError(Code.CANCELED, 'canceled while it waited for an image')
        if bundle is None or bundle.info is None:
            raise self._missing(camera, wanted.wait_s)
        if self._too_old(bundle):
            raise self._stale(bundle)
        return bundle

    def _newest_with_clip(self, camera: Camera, wanted: Wanted) -> tuple[Bundle, list[Any]]:
        """Return the newest bundle and the images of the clip before it, none for a model that looks at one image.

        A clip that is too short may still grow until the request has waited long enough.
        """
        if not camera.keep_clip:
            return self._newest(camera, wanted), []
        deadline = time.monotonic() + wanted.wait_s
        while True:
            bundle = self._newest(camera, replace(wanted, wait_s=max(0.0, deadline - time.monotonic())))
            now_ns, max_age_s = self.node.get_clock().now().nanoseconds, self.node.settings.input_max_age_s
            try:
                return bundle, camera.clip.clip(now_ns, max_age_s, ending=(bundle.stamp_ns, bundle.image))[:-1]
            except AffordanceError:
                left = max(0.0, deadline - time.monotonic())
                if camera.store.wait(left, after=bundle.number, stop=wanted.stop) is None and not wanted.stop():
                    raise

    def _too_old(self, bundle: Bundle) -> bool:
        return abs(self.age_s(bundle)) > self.node.settings.input_max_age_s

    def _stale(self, bundle: Bundle) -> AffordanceError:
        age, limit = self.age_s(bundle), self.node.settings.input_max_age_s
        if self.node.get_clock().now().nanoseconds == 0:
            text = 'use_sim_time is true, but the clock stands at zero: nobody publishes /clock'
            return AffordanceError(Code.STALE, f'{text}; play the bag with --clock, or set use_sim_time to false')
        told = f'{age:.2f} s old' if age > 0 else f'{-age:.2f} s in the future'
        text = f'the newest image is {told}, the limit is {limit} s'
        return AffordanceError(Code.STALE, f'{text}; check the camera, the clocks or use_sim_time')

    def _missing(self, camera: Camera, wait_s: float) -> AffordanceError:
        missing = camera.store.missing()
        if missing == 'image':
            text = f'no image on {camera.topic("image")} for {wait_s:.1f} s{camera.offered("image")}'
            return AffordanceError(Code.NO_IMAGE, f'{text}; start the camera or remap the topic')
        if missing == 'depth':
            text = f'images come, but no depth on {camera.topic("depth")}{camera.offered("depth")}'
            return AffordanceError(Code.NO_DEPTH, f'{text}; start the depth stream or set input.need_depth to false')
        if missing == 'pair':
            text = f'colour and depth never have stamps within {self.node.settings.input_slop_s} s'
            return AffordanceError(Code.UNALIGNED, f'{text}; raise input.slop_s or synchronise the camera')
        if missing == 'info':
            text = f'images come, but no camera info on {camera.topic("info")}{camera.offered("info")}'
            return AffordanceError(Code.NO_IMAGE, f'{text}; remap it')
        return AffordanceError(
            Code.NO_IMAGE, f'no new image on {camera.topic("image")} for {wait_s:.1f} s; is the camera running?'
        )

    def _on_time_jump(self, _: Any) -> None:
        """A simulation or a bag starts again: what was seen before is of another time."""
        for camera in self.cameras.values():
            camera.store.forget_images()
            camera.clip.clear()
        self.tf.poses.forget_moving()


def _colour_frame(image: Unread) -> Frame:
    message = image.message()
    return Frame(rgb_from_message(message), stamp_ns=image.stamp_ns, frame_id=message.header.frame_id)
