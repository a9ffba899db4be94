# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why a topic is silent: nobody publishes it, its type or QoS does not fit; and which topic may be meant instead."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

MOST_NAMED = 8
# Topics of the image_transport plugins and the parameter that has them read.
PLUGINS = {'/compressed': 'input.image_transport', '/compressedDepth': 'input.depth_transport'}


def offered(node: Any, topic: str, kind: type, asked: QoSProfile | None, read: Iterable[str] = ()) -> str:
    """Return in brackets who publishes a topic and how, or where its type is published otherwise.

    asked: the QoS of the subscription, None without one. read: topics that are read already and so are not meant.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f' (nobody publishes it{_elsewhere(node, topic, kind, set(read))})'
    offers = {f'{info.qos_profile.reliability.name} {info.qos_profile.durability.name}' for info in publishers}
    text = f'{len(publishers)} publisher(s) offering {", ".join(sorted(offers))}'
    types = {info.topic_type.rsplit('/', 1)[-1] for info in publishers} - {kind.__name__}
    if types:
        way = 'remap it' if kind.__name__ == 'CameraInfo' else 'set input.image_transport or remap it'
        return f' ({text}, but of type {", ".join(sorted(types))}: {way})'
    if asked is not None and (reason := _incompatible(topic, publishers, asked)):
        return f' ({text}; incompatible with what we ask for: {reason})'
    return f' ({text})'


def _elsewhere(node: Any, topic: str, kind: type, read: set[str]) -> str:
    """Return which other topics may be meant."""
    ours = f'{node.get_fully_qualified_name()}/'
    graph = dict(node.get_topic_names_and_types())
    for plugin, parameter in PLUGINS.items():
        if topic + plugin in graph:
            return f'; {topic}{plugin} is there: set {parameter} to {plugin[1:]}'
        if topic.endswith(plugin) and topic.removesuffix(plugin) in graph:
            return f'; {topic.removesuffix(plugin)} is there: set {parameter} to raw'
    wanted = f'sensor_msgs/msg/{kind.__name__}'
    others = sorted(name for name, kinds in graph.items() if wanted in kinds and not name.startswith(ours))
    others = [name for name in others if name != topic and name not in read and node.count_publishers(name)]
    if not others:
        return ''
    more = f' and {len(others) - MOST_NAMED} more' if len(others) > MOST_NAMED else ''
    return f'; {kind.__name__} is on {", ".join(others[:MOST_NAMED])}{more}'


def _incompatible(topic: str, publishers: Sequence[Any], asked: QoSProfile) -> str:
    for info in publishers:
        verdict, reason = qos_check_compatible(info.qos_profile, asked)
        if verdict == QoSCompatibility.ERROR:
            policies = f'we ask for {asked.reliability.name} {asked.durability.name}'
            return f'{policies}; {reason.strip()} set qos_overrides.{topic}.subscription.reliability'
    return ''


class SilenceWatch:
    """Says which topics are silent and why: when it begins, when the reason changes, then every half minute."""

    AGAIN_S = 30.0

    def __init__(self, cameras: Sequence[Any], warn: Any) -> None:
        self._cameras, self._warn = cameras, warn
        self._said: dict[tuple[str, str], tuple[float, str]] = {}

    def look(self, after_s: float) -> None:
        """Warn about every topic that has been silent for `after_s`."""
        for camera in self._cameras:
            for stream in camera.topics:
                key, silent = (camera.name, stream), camera.silence(stream)
                if silent < after_s:
                    self._said.pop(key, None)
                    continue
                why, (when, before) = camera.offered(stream), self._said.get(key, (0.0, ''))
                if why != before or time.monotonic() - when >= self.AGAIN_S:
                    self._said[key] = time.monotonic(), why
                    self._warn(f'nothing on {camera.topic(stream)} for {silent:.0f} s{why}')
