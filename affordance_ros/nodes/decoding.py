# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle of messages to arrays that fit: depth in metres, registered to the colour image, and its intrinsics."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.camera_messages import depth_from_message, intrinsics_from_message, rgb_from_message
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.registration import register_depth
from affordance_ros.nodes.requests import LONGEST_NAME, bounded
from affordance_ros.nodes.rgbd_sync import Bundle
from affordance_ros.nodes.tf_listener import TfListener
from affordance_ros.results import Intrinsics

FIRST_S = 2.0  # how long the first transforms may take to arrive when nobody has listened for them before


@dataclass(frozen=True)
class Decoded:
    """rgb uint8 (H, W, 3); depth float32 (H, W) metres or None; intrinsics of both. frame_id: optical frame.

    registered_s: wall time that registering the depth took, 0 where it came registered.
    """

    rgb: Any
    depth: Any
    intrinsics: Intrinsics
    frame_id: str
    registered_s: float = 0.0


class Decoder:
    """Reads bundles with the settings of a node, which it looks up anew each time."""

    def __init__(self, node: Any, tf: TfListener) -> None:
        self._node, self._tf = node, tf

    def decoded(self, bundle: Bundle, rectified: Mapping[str, bool], stop: Callable[[], bool]) -> Decoded:
        """Return the arrays of a bundle. rectified: whether 'image' and 'depth' come without distortion.

        Raises AffordanceError: BAD_ENCODING, BAD_INPUT, UNITS, UNALIGNED, TF.
        """
        image = bundle.image.message()
        rgb, frame_id = rgb_from_message(image), image.header.frame_id
        if not bounded(frame_id, LONGEST_NAME, 'the frame_id of the image'):
            raise AffordanceError(Code.BAD_INPUT, 'the image has an empty frame_id; set it in the camera driver')
        intrinsics = intrinsics_from_message(bundle.info, rectified=rectified['image'])
        if (intrinsics.height, intrinsics.width) != rgb.shape[:2]:
            text = f'camera_info is for {intrinsics.width}x{intrinsics.height}, the image is {_size(rgb)}'
            raise AffordanceError(Code.BAD_INPUT, f'{text}; use the camera_info of this stream')
        if bundle.depth is None:
            return Decoded(rgb, None, intrinsics, frame_id)
        message = bundle.depth.message()
        bounded(message.header.frame_id, LONGEST_NAME, 'the frame_id of the depth image')
        depth = depth_from_message(message, self._node.settings.input_depth_scale)
        reason = self._unregistered(frame_id, message.header.frame_id, rgb, depth)
        if not reason:
            return Decoded(rgb, depth, intrinsics, frame_id)
        start = time.perf_counter()
        of, pose = (
            self._own_camera(reason, bundle, depth, rectified=rectified['depth']),
            self._pose(reason, frame_id, bundle, message, stop),
        )
        depth = register_depth(depth, of, intrinsics, pose)
        if not np.isfinite(depth).any():
            text = f'{reason}, and none of it falls into the colour image when it is registered'
            raise AffordanceError(Code.UNALIGNED, f'{text}; check the pose of {message.header.frame_id!r} on /tf')
        return Decoded(rgb, depth, intrinsics, frame_id, time.perf_counter() - start)

    def _unregistered(self, ours: str, theirs: str, rgb: Any, depth: Any) -> str:
        """Return why the depth does not lie on the colour image as it is, '' when it does."""
        if self._node.settings.input_check_frames and ours != theirs:
            return f'depth is in frame {theirs!r}, colour in {ours!r}'
        if depth.shape != rgb.shape[:2]:
            return f'depth is {_size(depth)}, colour {_size(rgb)}'
        return ''

    def _own_camera(self, reason: str, bundle: Bundle, depth: Any, *, rectified: bool) -> Intrinsics:
        """Return the intrinsics of the depth camera."""
        if self._node.settings.depth_registration != 'auto':
            text = f'{reason}; publish depth that is registered to the colour image, set depth.registration to auto'
            raise AffordanceError(Code.UNALIGNED, f'{text}, or input.check_frames to false if it is registered')
        if bundle.depth_info is None:
            way = 'publish depth that is registered to the colour image'
            text = f'{reason}; {way}, or depth/camera_info so that it can be registered here'
            raise AffordanceError(Code.UNALIGNED, f'{text}; set input.check_frames to false if it is registered')
        of = intrinsics_from_message(bundle.depth_info, rectified=rectified)
        if (of.height, of.width) != depth.shape:
            text = f'depth/camera_info is for {of.width}x{of.height}, the depth image is {_size(depth)}'
            raise AffordanceError(Code.BAD_INPUT, f'{text}; use the camera_info of this stream')
        return of

    def _pose(self, reason: str, ours: str, bundle: Bundle, message: Any, stop: Callable[[], bool]) -> Any:
        """Return color_from_depth (4, 4) at the stamp of the bundle."""
        theirs = message.header.frame_id
        if theirs == ours:
            return np.eye(4)
        timeout = self._node.settings.tf_timeout_s
        if not self._tf.listening:
            self._tf.listen()
            timeout = max(timeout, FIRST_S)
        pose, refused = self._tf.lookup(ours, theirs, bundle.stamp_ns, timeout, stop)
        if stop():
            raise AffordanceError(Code.CANCELED, 'canceled while it waited for the pose of the depth camera')
        if refused is not None:
            text = f'{reason}; to register it here the pose between both is needed: {refused.message}'
            raise AffordanceError(Code.TF, f'{text}. Or publish registered depth')
        return pose


def _size(pixels: Any) -> str:
    return f'{pixels.shape[1]}x{pixels.shape[0]}'
