# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `affordance doctor --ros` finds about the camera of a node: topics, encodings, synchronisation, registration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from affordance_ros.camera_messages import depth_from_message, intrinsics_from_message, rgb_from_message
from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.alignment import Alignment, Verdict, alignment
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.graph_listener import KINDS, SILENT_S, GraphListener

LISTEN_S = 1.5
LATE_S = 2.0
FRAMES = 5  # whose edges are compared
Finding = tuple[str, str, str, str]


@dataclass(frozen=True)
class Wiring:
    """The topics of a camera by stream ('image', 'depth', 'info') and the parameters of its node that judge them."""

    topics: Mapping[str, str]
    slop_s: float = 0.02
    depth_scale: float = 0.0
    check_frames: bool = True
    registration: bool = False
    target_frame: str = ''


def wirings(values: Mapping[str, str], parameters: Mapping[str, Any]) -> list[Wiring]:
    """Return the cameras of a node from its diagnostics and its parameters."""
    topics: dict[str, dict[str, str]] = {}
    for key, topic in values.items():
        camera, _, stream = key.removesuffix(' topic').rpartition(' ')
        if key.endswith(' topic'):
            topics.setdefault(camera, {})[stream] = topic
    settings = {
        'slop_s': parameters.get('input.slop_s', 0.02),
        'depth_scale': parameters.get('input.depth_scale', 0.0),
        'check_frames': parameters.get('input.check_frames', True),
        'registration': parameters.get('depth.registration', '') == 'auto',
        'target_frame': parameters.get('tf.target_frame', ''),
    }
    return [Wiring(streams, **settings) for streams in topics.values()]


def check_camera(graph: GraphListener, wiring: Wiring) -> Iterator[Finding]:
    """Listen to a camera and yield what is found."""
    graph.listen(wiring.topics.values(), LISTEN_S)
    for topic in wiring.topics.values():
        yield _topic(graph, topic)
    last = {stream: graph.seen[topic][-1][1] for stream, topic in wiring.topics.items() if graph.seen[topic]}
    yield from _content(wiring, last)
    yield from _together(graph, wiring)
    yield from _registered(wiring, last)
    yield from _edges(graph, wiring)
    yield from _pose(graph, wiring)


def _topic(graph: GraphListener, topic: str) -> Finding:
    """Whether messages come, how often and how old."""
    publishers = graph.node.get_publishers_info_by_topic(topic)
    offers = [info.qos_profile.reliability.name for info in publishers]
    seen = graph.seen[topic]
    if not seen:
        strange = sorted({info.topic_type for info in publishers} - set(KINDS))
        who = f'{len(offers)} publisher(s), {", ".join(offers)}' if offers else 'nobody publishes it'
        who = f'its type is {", ".join(strange)}' if strange else who
        waited = SILENT_S if offers else graph.wait_s
        return 'missing', topic, f'nothing for {waited:.0f} s ({who})', 'start the camera, or remap the topic'
    _, last = seen[-1]
    rate = (len(seen) - 1) / max(1e-3, seen[-1][0] - seen[0][0])
    age = (graph.node.get_clock().now().nanoseconds - convert.nanoseconds_of(last.header.stamp)) / 1e9
    what = getattr(last, 'encoding', getattr(last, 'format', f'{getattr(last, "width", 0)} wide'))
    size = f'{last.width}x{last.height} ' if hasattr(last, 'width') else ''
    detail = f'{rate:.1f} Hz, {size}{what}, frame {last.header.frame_id!r}, {age:.2f} s old, {", ".join(offers)}'
    if not last.header.frame_id:
        return 'missing', topic, detail, 'the frame_id is empty: set it in the camera driver'
    if abs(age) > LATE_S:
        return 'missing', topic, detail, 'stamps and clock differ: check use_sim_time and the time of the machines'
    return 'ok', topic, detail, ''


def _content(wiring: Wiring, last: Mapping[str, Any]) -> Iterator[Finding]:
    """Read the last messages as the node does: encodings, units, calibration, sizes."""
    read: dict[str, Any] = {}
    readers = {
        'image': rgb_from_message,
        'depth': lambda message: depth_from_message(message, wiring.depth_scale),
        'info': intrinsics_from_message,
    }
    for stream, message in last.items():
        try:
            read[stream] = readers[stream](message)
        except AffordanceError as error:
            yield 'missing', wiring.topics[stream], f'{error.code.name}: {error.message}', 'set the driver accordingly'
    if 'image' not in read:
        return
    height, width = read['image'].shape[:2]
    info, depth = read.get('info'), read.get('depth')
    if info is not None and (info.width, info.height) != (width, height):
        detail = f'it is for {info.width}x{info.height}, the image is {width}x{height}'
        yield 'missing', wiring.topics['info'], detail, 'use the camera_info of this stream'
    if depth is not None and depth.shape != (height, width) and not wiring.registration:
        detail = f'depth is {depth.shape[1]}x{depth.shape[0]}, colour {width}x{height}'
        yield 'missing', 'registration', detail, 'publish depth registered to colour (align_depth)'


def _together(graph: GraphListener, wiring: Wiring) -> Iterator[Finding]:
    """Whether colour and depth have stamps that the node takes for one bundle."""
    ours, theirs = (
        [
            convert.nanoseconds_of(message.header.stamp)
            for _, message in graph.seen.get(wiring.topics.get(stream, ''), [])
        ]
        for stream in ('image', 'depth')
    )
    if not ours or not theirs:
        return
    gaps = sorted(min(abs(a - b) for b in theirs) for a in ours)
    gap = gaps[len(gaps) // 2] / 1e9
    good = gap <= wiring.slop_s
    detail = f'stamps {gap * 1000:.1f} ms apart (median), {wiring.slop_s * 1000:.0f} ms are allowed'
    way = '' if good else 'raise input.slop_s, or let the driver synchronise its streams'
    yield 'ok' if good else 'missing', 'colour with depth', detail, way


def _registered(wiring: Wiring, last: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the depth image belongs to the colour camera."""
    if 'image' not in last or 'depth' not in last:
        return
    ours, theirs = (last[stream].header.frame_id for stream in ('image', 'depth'))
    if ours == theirs or not wiring.check_frames:
        return
    detail = f'depth is in frame {theirs!r}, colour in {ours!r}'
    if wiring.registration:
        yield 'note', 'registration', f'{detail}: the node registers it', 'it needs depth/camera_info and /tf'
        return
    way = 'publish depth registered to colour (align_depth), or set input.check_frames to false if it is'
    yield 'missing', 'registration', detail, way


def _edges(graph: GraphListener, wiring: Wiring) -> Iterator[Finding]:
    """Whether the borders of things lie in the same places of colour and depth."""
    frames = _frames(graph, wiring)
    if not frames:
        return  # why is told by the other lines
    found = alignment(frames)
    over = f'{len(frames)} frame(s), {found.edges} edge pixels'
    name = 'edges of colour and depth'
    if found.verdict is Verdict.ALIGNED:
        yield 'ok', name, f'they fit within {np.hypot(*found.shift):.0f} px ({over})', ''
    elif found.verdict is Verdict.MISALIGNED:
        way = 'publish depth registered to colour (align_depth); if it is, calibrate the camera or synchronise it'
        yield 'missing', name, f'{_misfit(found)} ({over})', way
    else:
        way = 'no matter; to be sure, show the camera things with clear borders, or look at the overlay'
        yield 'note', name, f'too little to tell whether they fit ({over})', way


def _misfit(found: Alignment) -> str:
    """Say what would have to be done to the depth image."""
    right, down = (round(each) for each in found.shift)
    larger = '' if found.scale == 1.0 else f'scaled by {found.scale:.2f} and '
    return f'they do not fit; depth would if it were {larger}shifted by ({right}, {down}) px'


def _frames(graph: GraphListener, wiring: Wiring) -> list[tuple[Any, Any]]:
    """Return colour and depth images that the node takes for one bundle and for registered."""
    images, depths = (graph.seen.get(wiring.topics.get(stream, ''), []) for stream in ('image', 'depth'))
    frames: list[tuple[Any, Any]] = []
    for _, image in images[:: max(1, len(images) // FRAMES)][:FRAMES]:
        stamp = convert.nanoseconds_of(image.header.stamp)
        gaps = [abs(convert.nanoseconds_of(depth.header.stamp) - stamp) for _, depth in depths]
        if not gaps or min(gaps) > wiring.slop_s * 1e9:
            continue
        depth = depths[gaps.index(min(gaps))][1]
        if wiring.check_frames and depth.header.frame_id != image.header.frame_id:
            continue
        try:
            frame = rgb_from_message(image), depth_from_message(depth, wiring.depth_scale)
        except AffordanceError:
            return []  # `_content` says so
        if frame[0].shape[:2] == frame[1].shape:
            frames.append(frame)
    return frames


def _pose(graph: GraphListener, wiring: Wiring) -> Iterator[Finding]:
    """Whether the pose of the camera in the target frame is known at the stamp of an image."""
    target, images = wiring.target_frame, graph.seen.get(wiring.topics.get('image', ''), [])
    if not target or not images:
        yield 'note', 'target frame', target or 'none: targets come in the optical frame', 'set tf.target_frame'
        return
    header = images[-1][1].header
    error = graph.pose(target, header.frame_id, convert.nanoseconds_of(header.stamp))
    if error is not None:
        yield 'missing', 'target frame', f'{header.frame_id} -> {target}: {error}', 'publish the camera pose'
    else:
        yield 'ok', 'target frame', f'{header.frame_id} -> {target} is known at the stamp of the image', ''
