# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag holds: opening it, and finding the topics that make a frame."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from affordance_ros.bags.types import decode, typestore
from affordance_ros.camera_messages import is_depth, rgb_from_message
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.pose_buffer import StaticTransform
from affordance_ros.results import Intrinsics

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


@dataclass(frozen=True)
class BagTopics:
    """Which topics make a frame; an empty name is found by type and encoding when only one fits.

    intrinsics and static_transforms are for bags that lack them; they count below what the bag says itself. depth_info:
    camera info of the depth camera, with which unregistered depth is moved into the colour image.
    target_frame: frame of `Frame.target_from_camera`; empty takes the root of the bag's static transforms.
    slop_s: how far the stamps of image and depth may lie apart. depth_scale: metres per unit, 0 as the encoding says.
    """

    image: str = ''
    depth: str = ''
    camera_info: str = ''
    depth_info: str = ''
    target_frame: str = ''
    slop_s: float = 0.02
    depth_scale: float = 0.0
    intrinsics: Intrinsics | None = None
    static_transforms: tuple[StaticTransform, ...] = ()


@dataclass(frozen=True)
class BagContent:
    """topics: those that `read_frames` takes. images: number of colour images; width and height are of the first.

    kinds: types of all topics.
    """

    topics: BagTopics
    images: int
    width: int
    height: int
    kinds: Mapping[str, str] = field(default_factory=dict)


def look_into(folder: Path, topics: BagTopics | None = None) -> BagContent:
    """Return what a bag holds, without reading all of it. Raises as `read_frames` does."""
    with open_bag(folder) as reader:
        chosen = choose_topics(reader, topics or BagTopics())
        first = next(read_messages(reader, (chosen.image,)), None)
        if first is None:
            raise AffordanceError(Code.NO_IMAGE, f'the topic {chosen.image} of the bag holds no image')
        height, width = rgb_from_message(first[2]).shape[:2]
        count = sum(c.msgcount for c in reader.connections if c.topic == chosen.image)
        return BagContent(chosen, count, width, height, {c.topic: c.msgtype for c in reader.connections})


@contextmanager
def open_bag(folder: Path) -> Iterator[AnyReader]:
    """Open a bag for reading; use it in a `with` statement. Raises BAD_INPUT for what is no bag."""
    if not folder.exists():
        raise AffordanceError(Code.BAD_INPUT, f'there is no bag at {folder}')
    try:
        reader = AnyReader([folder], default_typestore=typestore())
        reader.open()
    except Exception as error:  # rosbags raises one class per storage, and those of sqlite3, mcap and yaml
        raise AffordanceError(Code.BAD_INPUT, f'{folder} cannot be read as a rosbag2 bag: {error}') from error
    try:
        yield reader
    finally:
        reader.close()


def read_messages(reader: AnyReader, topics: tuple[str, ...]) -> Iterator[tuple[Connection, int, Any]]:
    """Yield (connection, time of recording, message) of some topics, in the order of the bag."""
    connections = [c for c in reader.connections if c.topic in topics]
    if connections:
        for connection, received_ns, data in reader.messages(connections=connections):
            yield connection, received_ns, decode(data, connection.msgtype, reader.typestore)


def choose_topics(reader: AnyReader, topics: BagTopics) -> BagTopics:
    """Return the topics with those that were not named filled in. Raises NO_IMAGE or BAD_INPUT."""
    there = {c.topic: c.msgtype for c in reader.connections}
    for name in (topics.image, topics.depth, topics.camera_info, topics.depth_info):
        if name and name not in there:
            raise AffordanceError(Code.BAD_INPUT, f'the bag has no topic {name}; it has: {", ".join(sorted(there))}')
    depths: list[str] = []
    colors: list[str] = []
    for name in sorted(name for name, kind in there.items() if kind in IMAGE_TYPES):
        first = next(read_messages(reader, (name,)), None)
        if first is not None:
            (depths if is_depth(first[2]) else colors).append(name)
    infos = sorted(name for name, kind in there.items() if kind == 'sensor_msgs/msg/CameraInfo')
    image = topics.image or _only(colors, 'image')
    if not image:
        raise AffordanceError(
            Code.NO_IMAGE, f'the bag has no colour image; it has: {", ".join(sorted(there)) or "nothing"}'
        )
    beside = image.removesuffix('/compressed').rsplit('/', 1)[0] + '/camera_info'
    info = topics.camera_info or (beside if beside in infos else _only(infos, 'camera_info'))
    depth = topics.depth or _only(depths, 'depth')
    own = depth.removesuffix('/compressedDepth').rsplit('/', 1)[0] + '/camera_info'
    depth_info = topics.depth_info or (own if own in infos and own != info else '')
    return replace(topics, image=image, depth=depth, camera_info=info, depth_info=depth_info)


def _only(names: list[str], kind: str) -> str:
    if len(names) > 1:
        raise AffordanceError(Code.NO_IMAGE, f'several topics could be the {kind}: {", ".join(names)}; name one')
    return names[0] if names else ''
