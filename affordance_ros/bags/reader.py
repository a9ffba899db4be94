# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read RGB-D frames out of a rosbag2 folder (MCAP or sqlite3): image and depth are paired by their header stamps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affordance_ros.bags.pairing import Pairing
from affordance_ros.bags.topics import BagTopics, choose_topics, open_bag, read_messages
from affordance_ros.camera_messages import (
    depth_from_message,
    intrinsics_from_message,
    is_calibrated,
    is_rectified,
    rgb_from_message,
)
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.camera import scaled
from affordance_ros.geometry.pose_buffer import PoseBuffer
from affordance_ros.geometry.registration import register_depth
from affordance_ros.geometry.transforms import pose_from
from affordance_ros.results import FloatArray, Frame, Intrinsics

OnBad = Callable[[int, AffordanceError], None]


@dataclass
class _Pending:
    """What the reading of a bag knows so far."""

    pairing: Pairing
    intrinsics: Intrinsics | None = None
    depth_intrinsics: Intrinsics | None = None
    poses: PoseBuffer = field(default_factory=lambda: PoseBuffer(keep_ns=None))
    on_bad: OnBad | None = None

    @contextmanager
    def tolerant(self, stamp_ns: int) -> Iterator[None]:
        """Tell of a message that cannot be read, or let the refusal through when nobody listens."""
        try:
            yield
        except AffordanceError as error:
            if self.on_bad is None:
                raise
            self.on_bad(stamp_ns, error)


def read_frames(folder: Path, topics: BagTopics | None = None, on_bad: OnBad | None = None) -> Iterator[Frame]:
    """Yield the frames of a bag in the order of their images; depth is None where none lies within the slop.

    on_bad: told the stamp and the reason of every image or depth image that cannot be read, which is then left out;
    without it the first one ends the reading.

    Raises:
        AffordanceError: BAD_INPUT for what is no bag, NO_IMAGE when no image topic is there or several could be meant.
    """
    with open_bag(folder) as reader:
        chosen = choose_topics(reader, topics or BagTopics())
        pairing = Pairing(int(chosen.slop_s * 1e9), has_depth=bool(chosen.depth))
        pending = _Pending(pairing, intrinsics=chosen.intrinsics, on_bad=on_bad)
        for item in chosen.static_transforms:
            pending.poses.add(item.parent, item.child, 0, item.parent_from_child, static=True)
        for topic in ('/tf_static', '/tf'):
            for _, _, message in read_messages(reader, (topic,)):
                _take_transforms(pending.poses, message, static=topic == '/tf_static')
        for _, _, message in read_messages(reader, (chosen.depth_info,)):
            rectified = is_rectified(chosen.depth)
            known = is_calibrated(message)
            pending.depth_intrinsics = intrinsics_from_message(message, rectified=rectified) if known else None
            break
        for _, _, message in read_messages(reader, (chosen.camera_info,)):
            pending.intrinsics = _intrinsics(message, chosen)
            break
        names = tuple(name for name in (chosen.image, chosen.depth, chosen.camera_info) if name)
        for connection, _, message in read_messages(reader, names):
            _take(pending, chosen, connection.topic, message)
            yield from _ready(pending, chosen, at_end=False)
        yield from _ready(pending, chosen, at_end=True)


def messages_of(folder: Path, kind: str) -> Iterator[Any]:
    """Yield the messages of one type, such as 'affordance_ros/msg/GraspTargetArray', in the order of the bag."""
    with open_bag(folder) as reader:
        names = tuple(c.topic for c in reader.connections if c.msgtype == kind)
        for _, _, message in read_messages(reader, names):
            yield message


def stamp_of(message: Any) -> int:
    """Return the header stamp in nanoseconds."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _intrinsics(message: Any, topics: BagTopics) -> Intrinsics | None:
    if not is_calibrated(message):
        return topics.intrinsics
    return intrinsics_from_message(message, rectified=is_rectified(topics.image))


def _take_transforms(poses: PoseBuffer, message: Any, *, static: bool) -> None:
    for item in message.transforms:
        t, q = item.transform.translation, item.transform.rotation
        pose = pose_from((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        poses.add(item.header.frame_id, item.child_frame_id, stamp_of(item), pose, static=static)


def _take(pending: _Pending, topics: BagTopics, topic: str, message: Any) -> None:
    if topic == topics.image:
        pending.pairing.add_image(stamp_of(message), message)
    elif topic == topics.depth:
        pending.pairing.add_depth(stamp_of(message), message)
    else:
        pending.intrinsics = _intrinsics(message, topics)


def _ready(pending: _Pending, topics: BagTopics, *, at_end: bool) -> Iterator[Frame]:
    for stamp, image, depth in pending.pairing.ready(at_end=at_end):
        with pending.tolerant(stamp):
            frame = _frame(pending, topics, (stamp, image), _measured(pending, topics, depth))
            yield frame


def _measured(pending: _Pending, topics: BagTopics, message: Any) -> tuple[str, npt.NDArray[np.float32]] | None:
    """Return frame and depth in metres of a depth message; None without one, or where it cannot be read."""
    found = None
    if message is not None:
        with pending.tolerant(stamp_of(message)):
            found = str(message.header.frame_id), depth_from_message(message, topics.depth_scale)
    return found


def _frame(
    pending: _Pending,
    topics: BagTopics,
    image: tuple[int, Any],
    measured: tuple[str, npt.NDArray[np.float32]] | None,
) -> Frame:
    stamp, message = image
    rgb = rgb_from_message(message)
    height, width = rgb.shape[:2]
    intrinsics = pending.intrinsics
    if intrinsics is not None and (intrinsics.width, intrinsics.height) != (width, height):
        intrinsics = scaled(intrinsics, width, height)
    frame_id = str(message.header.frame_id)
    frame = Frame(rgb, None, intrinsics, stamp, frame_id, *_pose(pending.poses, frame_id, topics.target_frame, stamp))
    return frame if measured is None else replace(frame, depth=_registered(pending, frame, *measured))


def _pose(poses: PoseBuffer, frame: str, target: str, stamp_ns: int) -> tuple[FloatArray | None, str]:
    """Return (target_from_frame, name of the target), (None, '') when it is not known; '' is the root."""
    target = target or poses.root_of(frame)
    try:
        return (None, '') if target == frame.lstrip('/') else (poses.lookup(target, frame, stamp_ns), target)
    except AffordanceError:
        return None, ''  # an image before the first transform still has an answer in the camera's own frame


def _registered(
    pending: _Pending, frame: Frame, depth_frame: str, depth: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return depth in the pixels of the image: as it is when it is of the same camera, else moved there."""
    same_size = depth.shape == frame.rgb.shape[:2]
    of = pending.depth_intrinsics
    if same_size and (depth_frame == frame.frame_id or of is None or of == frame.intrinsics):
        return depth
    said = f'depth is {depth.shape[1]}x{depth.shape[0]} in {depth_frame!r}, the image {frame.width}x{frame.height}'
    if of is None or frame.intrinsics is None:
        text = f'{said} in {frame.frame_id!r}; record registered depth, or the camera info of both cameras'
        raise AffordanceError(Code.UNALIGNED, text)
    try:
        pose = pending.poses.lookup(frame.frame_id, depth_frame, frame.stamp_ns)
    except AffordanceError as error:
        raise AffordanceError(Code.UNALIGNED, f'{said}, and no transform joins them: {error.message}') from error
    return register_depth(depth, of, frame.intrinsics, pose)
