#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""overlay_node: the debug image and RViz markers, computed only while someone listens."""

from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from affordance_ros import msg
from affordance_ros.camera_messages import rgb_from_message
from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.transforms import inverse
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.evidence import frame_from, predictions_from
from affordance_ros.nodes.images import image_message
from affordance_ros.nodes.lifecycle import RESULT, SENSOR, SuiteNode
from affordance_ros.nodes.parameters import OverlayParameters
from affordance_ros.nodes.running import run_node
from affordance_ros.outlines import gripper_segments, place_segments
from affordance_ros.pipeline import Answer
from affordance_ros.visualization import draw_overlay

KEPT = 60  # colour images kept for an answer that comes late


class OverlayNode(SuiteNode):
    """Draws every answer on the image it was given for."""

    def __init__(self) -> None:
        super().__init__('overlay_node', OverlayParameters)
        self._images: dict[int, Any] = {}
        self._evidence: dict[int, msg.Evidence] = {}
        self.debug = self.create_publisher(Image, '~/debug_image', QoSProfile(depth=1))
        self.markers = self.create_publisher(MarkerArray, '~/markers', RESULT)
        self.create_subscription(Image, 'image', self._image, SENSOR)
        self.create_subscription(msg.Evidence, f'{self.settings.source}/evidence', self._answer, RESULT)
        self.create_subscription(msg.GraspTargetArray, f'{self.settings.targets}/grasp_targets', self._targets, RESULT)

    def _image(self, message: Image) -> None:
        if self.active and self.debug.get_subscription_count():
            self._images[convert.nanoseconds_of(message.header.stamp)] = message
            while len(self._images) > KEPT:
                del self._images[next(iter(self._images))]

    def _answer(self, message: msg.Evidence) -> None:
        self._evidence = {convert.nanoseconds_of(message.answer.header.stamp): message}

    def _targets(self, message: msg.GraspTargetArray) -> None:
        if not self.active:
            return
        if self.markers.get_subscription_count():
            self.markers.publish(grasp_markers(message))
        stamp = convert.nanoseconds_of(message.header.stamp)
        image, evidence = self._images.get(stamp), self._evidence.get(stamp)
        if image is None or evidence is None or not self.debug.get_subscription_count():
            return
        try:
            drawn = draw_overlay(drawable(image, evidence, message))
        except AffordanceError as error:
            self.refuse(error)
        else:
            self.debug.publish(image_message(drawn, 'rgb8', image.header))


def drawable(image: Image, evidence: msg.Evidence, targets: msg.GraspTargetArray) -> Answer:
    """Return the answer as the library knows it: with its image, everything in the camera frame."""
    frame = replace(frame_from(evidence), rgb=rgb_from_message(image))
    predictions = [prediction for prediction, _ in predictions_from(evidence) if prediction is not None]
    camera_from_header = np.eye(4) if frame.target_from_camera is None else inverse(frame.target_from_camera)
    found = tuple(convert.target_from(target, camera_from_header) for target in targets.targets)
    refused = tuple(convert.abstention_from(item) for item in targets.abstentions)
    places = tuple(convert.place_from(place, camera_from_header) for place in targets.places)
    contacts = tuple(item.contact for item in (*found, *places))
    return Answer(frame, predictions[0], contacts, found, refused, {}, places)


def grasp_markers(message: msg.GraspTargetArray) -> MarkerArray:
    """Return DELETEALL, then an arrow for every normal and a line list for every gripper and place, by namespace."""
    array = MarkerArray(markers=[Marker(header=message.header, action=Marker.DELETEALL)])
    for index, target in enumerate(message.targets):
        good = ColorRGBA(r=0.1, g=0.9, b=0.2, a=1.0) if index == 0 else ColorRGBA(r=0.9, g=0.8, b=0.1, a=0.7)
        arrow = Marker(header=message.header, ns='normals', id=index, type=Marker.ARROW, action=Marker.ADD, color=good)
        point, normal = target.contact.point, target.contact.normal
        arrow.points = [
            point,
            Point(x=point.x + 0.05 * normal.x, y=point.y + 0.05 * normal.y, z=point.z + 0.05 * normal.z),
        ]
        arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.004, 0.009, 0.012
        outline = gripper_segments(convert.target_from(target))
        array.markers += [arrow, _line_list(message.header, 'grippers', index, good, outline)]
    for index, place in enumerate(message.places):
        free = ColorRGBA(r=0.4, g=0.9, b=1.0, a=1.0 if index == 0 else 0.6)
        outline = place_segments(convert.place_from(place))
        array.markers.append(_line_list(message.header, 'places', index, free, outline))
    return array


def _line_list(header: Any, group: str, index: int, color: ColorRGBA, segments: Any) -> Marker:
    """Return segments (N, 2, 3) as one marker."""
    lines = Marker(header=header, ns=group, id=index, type=Marker.LINE_LIST, action=Marker.ADD, color=color)
    lines.scale.x = 0.003
    lines.points = [convert.point_message(point) for point in segments.reshape(-1, 3)]
    return lines


def main() -> None:
    """Run the node."""
    run_node(OverlayNode, threads=2)


if __name__ == '__main__':
    main()
