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
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from affordance_ros.bags.images import camera_info_intrinsics, color_pixels, depth_metres, is_depth
from affordance_ros.bags.tf_tree import StaticTransform, TransformTree
from affordance_ros.bags.types import typestore
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.camera import scaled
from affordance_ros.results import Frame, Intrinsics

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_PENDING = 60
OnBad = Callable[[int, AffordanceError], None]


@dataclass(frozen=True)
class BagTopics:
    """Which topics make a frame; an empty name is found by type and encoding when only one fits.

    intrinsics and static_transforms are for bags that lack them; they count below what the bag says itself.
    target_frame: frame of `Frame.target_from_camera`; empty takes the root of the bag's static transforms.
    slop_s: how far the stamps of image and depth may lie apart. depth_scale: metres per unit, 0 as the encoding says.
    """

    image: str = ''
    depth: str = ''
    camera_info: str = ''
    target_frame: str = ''
    slop_s: float = 0.02
    depth_scale: float = 0.0
    intrinsics: Intrinsics | None = None
    static_transforms: tuple[StaticTransform, ...] = ()


@dataclass
class _Pending:
    """Messages that still wait for their partner."""

    images: list[tuple[int, Any]] = field(default_factory=list)
    depths: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    intrinsics: Intrinsics | None = None
    tree: TransformTree = field(default_factory=TransformTree)
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
    with _open(folder) as reader:
        chosen = _choose(reader, topics or BagTopics())
        pending = _Pending(intrinsics=chosen.intrinsics, on_bad=on_bad)
        for item in chosen.static_transforms:
            pending.tree.add_static(item)
        for topic in ('/tf_static', '/tf'):
            for _, _, message in _messages(reader, (topic,)):
                pending.tree.add(message.transforms, static=topic == '/tf_static')
        for _, _, message in _messages(reader, (chosen.camera_info,)):
            pending.intrinsics = camera_info_intrinsics(message) or chosen.intrinsics
            break
        names = tuple(name for name in (chosen.image, chosen.depth, chosen.camera_info) if name)
        for connection, _, message in _messages(reader, names):
            _take(pending, chosen, connection.topic, message)
            yield from _ready(pending, chosen, at_end=False)
        yield from _ready(pending, chosen, at_end=True)


@dataclass(frozen=True)
class BagContent:
    """topics: those that `read_frames` takes. images: number of colour images; width and height are of the first."""

    topics: BagTopics
    images: int
    width: int
    height: int


def look_into(folder: Path, topics: BagTopics | None = None) -> BagContent:
    """Return what a bag holds, without reading all of it. Raises as `read_frames` does."""
    with _open(folder) as reader:
        chosen = _choose(reader, topics or BagTopics())
        first = next(_messages(reader, (chosen.image,)), None)
        if first is None:
            raise AffordanceError(Code.NO_IMAGE, f'the topic {chosen.image} of the bag holds no image')
        height, width = color_pixels(first[2]).shape[:2]
        count = sum(c.msgcount for c in reader.connections if c.topic == chosen.image)
        return BagContent(chosen, count, width, height)


def messages_of(folder: Path, kind: str) -> Iterator[Any]:
    """Yield the messages of one type, such as 'affordance_ros/msg/GraspTargetArray', in the order of the bag."""
    with _open(folder) as reader:
        names = tuple(c.topic for c in reader.connections if c.msgtype == kind)
        for _, _, message in _messages(reader, names):
            yield message


def _open(folder: Path) -> AnyReader:
    if not folder.exists():
        raise AffordanceError(Code.BAD_INPUT, f'there is no bag at {folder}')
    try:
        reader = AnyReader([folder], default_typestore=typestore())
        reader.open()
        reader.close()
    except Exception as error:  # rosbags raises one class per storage, and those of sqlite3, mcap and yaml
        raise AffordanceError(Code.BAD_INPUT, f'{folder} cannot be read as a rosbag2 bag: {error}') from error
    return AnyReader([folder], default_typestore=typestore())


def _messages(reader: AnyReader, topics: tuple[str, ...]) -> Iterator[tuple[Connection, int, Any]]:
    connections = [c for c in reader.connections if c.topic in topics]
    if connections:
        for connection, received_ns, data in reader.messages(connections=connections):
            yield connection, received_ns, reader.deserialize(data, connection.msgtype)


def _choose(reader: AnyReader, topics: BagTopics) -> BagTopics:
    """Fill in the topics that were not named."""
    there = {c.topic: c.msgtype for c in reader.connections}
    for name in (topics.image, topics.depth, topics.camera_info):
        if name and name not in there:
            raise AffordanceError(Code.BAD_INPUT, f'the bag has no topic {name}; it has: {", ".join(sorted(there))}')
    depths: list[str] = []
    colors: list[str] = []
    for name in sorted(name for name, kind in there.items() if kind in IMAGE_TYPES):
        first = next(_messages(reader, (name,)), None)
        if first is not None:
            (depths if is_depth(first[2]) else colors).append(name)
    infos = sorted(name for name, kind in there.items() if kind == 'sensor_msgs/msg/CameraInfo')
    image = topics.image or _only(colors, 'image')
    if not image:
        raise AffordanceError(
            Code.NO_IMAGE, f'the bag has no colour image; it has: {", ".join(sorted(there)) or "nothing"}'
        )
    beside = image.rsplit('/', 1)[0] + '/camera_info'
    info = topics.camera_info or (beside if beside in infos else _only(infos, 'camera_info'))
    depth = topics.depth or _only(depths, 'depth')
    return replace(topics, image=image, depth=depth, camera_info=info)


def _only(names: list[str], kind: str) -> str:
    if len(names) > 1:
        raise AffordanceError(Code.NO_IMAGE, f'several topics could be the {kind}: {", ".join(names)}; name one')
    return names[0] if names else ''


def stamp_of(message: Any) -> int:
    """Return the header stamp in nanoseconds."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _take(pending: _Pending, topics: BagTopics, topic: str, message: Any) -> None:
    if topic == topics.image:
        pending.images.append((stamp_of(message), message))
    elif topic == topics.depth:
        with pending.tolerant(stamp_of(message)):
            pending.depths[stamp_of(message)] = depth_metres(message, topics.depth_scale)
        for stamp in sorted(pending.depths)[:-_PENDING]:
            del pending.depths[stamp]
    else:
        pending.intrinsics = camera_info_intrinsics(message) or topics.intrinsics


def _ready(pending: _Pending, topics: BagTopics, *, at_end: bool) -> Iterator[Frame]:
    """Yield the oldest images whose partner is known: the same stamp is there, or nothing nearer can come."""
    while pending.images:
        stamp, message = pending.images[0]
        nearest = min(pending.depths, key=lambda other: abs(other - stamp), default=None)
        newest = max(pending.depths, default=stamp - 1)
        decided = not topics.depth or nearest == stamp or newest > stamp or len(pending.images) > _PENDING
        if not (decided or at_end):
            return
        pending.images.pop(0)
        fits = nearest is not None and abs(nearest - stamp) <= topics.slop_s * 1e9
        depth = pending.depths[nearest] if fits and nearest is not None else None
        with pending.tolerant(stamp):
            frame = _frame(pending, topics, (stamp, message), depth)
            yield frame


def _frame(
    pending: _Pending, topics: BagTopics, image: tuple[int, Any], depth: npt.NDArray[np.float32] | None
) -> Frame:
    stamp, message = image
    rgb = color_pixels(message)
    height, width = rgb.shape[:2]
    if depth is not None and depth.shape != (height, width):
        text = f'depth is {depth.shape[1]}x{depth.shape[0]} and the image {width}x{height}; record registered depth'
        raise AffordanceError(Code.UNALIGNED, text)
    intrinsics = pending.intrinsics
    if intrinsics is not None and (intrinsics.width, intrinsics.height) != (width, height):
        intrinsics = scaled(intrinsics, width, height)
    frame_id = str(message.header.frame_id)
    pose, target = pending.tree.pose_of(frame_id, topics.target_frame, stamp)
    return Frame(rgb, depth, intrinsics, stamp, frame_id, pose, target)
