#!/usr/bin/env python3
# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""overlay_node: the debug image and RViz markers, computed only while someone listens."""

import threading
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from affordance_ros import msg
from affordance_ros.camera_messages import rgb_from_message
from affordance_ros.errors import AffordanceError
from affordance_ros.geometry.transforms import inverse
from affordance_ros.nodes import conversions as convert
from affordance_ros.nodes.evidence import frame_from, predictions_from
from affordance_ros.nodes.images import image_message
from affordance_ros.nodes.lifecycle import RESULT, SENSOR, SuiteNode
from affordance_ros.nodes.overlay_markers import grasp_markers, trajectory_marker
from affordance_ros.nodes.parameters import OverlayParameters
from affordance_ros.nodes.running import run_node
from affordance_ros.pipeline import Answer
from affordance_ros.results import Prediction, Query
from affordance_ros.visualization import draw_overlay

KEPT = 60  # colour images kept for an answer that comes late
Key = tuple[str, int]


class OverlayNode(SuiteNode):
    """Draws every answer on the image it was given for. Subscribes to nothing that nobody wants drawn."""

    def __init__(self) -> None:
        super().__init__('overlay_node', OverlayParameters)
        self._images: dict[Key, Any] = {}
        self._evidence: msg.Evidence | None = None
        self._newest: msg.GraspTargetArray | None = None
        self._path: Path | None = None
        self._open: dict[str, list[Any]] = {'targets': [], 'markers': [], 'debug': []}
        self._lock = threading.Lock()
        self._drawing = MutuallyExclusiveCallbackGroup()  # states and parameters are answered beside it
        followed = PublisherEventCallbacks(matched=lambda _: self._follow_listeners())
        self.debug = self.create_publisher(Image, '~/debug_image', QoSProfile(depth=1), event_callbacks=followed)
        self.markers = self.create_publisher(MarkerArray, '~/markers', RESULT, event_callbacks=followed)

    def activate(self) -> None:
        """Draw from now on."""
        self._follow_listeners(active=True)

    def deactivate(self) -> None:
        """Draw no more."""
        self._follow_listeners(active=False)

    def health(self) -> dict[str, str]:
        """Who listens."""
        listeners = {'markers': self.markers, 'debug image': self.debug}
        return {f'{name} listeners': str(publisher.get_subscription_count()) for name, publisher in listeners.items()}

    def topics(self) -> dict[str, list[tuple[Any, str, Any, Any]]]:
        """Return (type, topic, callback, QoS) of what is subscribed to, by what it is for."""
        s = self.settings
        image, ending = (Image, '') if s.input_image_transport == 'raw' else (CompressedImage, '/compressed')
        names = [name.strip() for name in s.input_cameras.split(',') if name.strip()] or ['']
        colors = [
            (image, f'{name}/image{ending}' if name else f'image{ending}', partial(self._image, name), SENSOR)
            for name in names
        ]
        return {
            'targets': [(msg.GraspTargetArray, f'{s.targets}/grasp_targets', self._targets, RESULT)],
            'markers': [(Path, f'{s.targets}/trajectory', self._trajectory, RESULT)],
            'debug': [(msg.Evidence, f'{s.source}/evidence', self._answer, RESULT), *colors],
        }

    def _follow_listeners(self, *, active: bool | None = None) -> None:
        """Open or close subscriptions as listeners come and go."""
        active = self.active if active is None else active
        with self._lock:
            debug, markers = (bool(active and p.get_subscription_count()) for p in (self.debug, self.markers))
            for name, wanted in (('targets', debug or markers), ('markers', markers), ('debug', debug)):
                opened = self._open[name]
                if wanted and not opened:
                    group = self._drawing
                    opened += [self.create_subscription(*each, callback_group=group) for each in self.topics()[name]]
                while opened and not wanted:
                    self.destroy_subscription(opened.pop())
            if not debug:
                self._images.clear()
                self._evidence = self._newest = None

    def _image(self, camera: str, message: Any) -> None:
        self._images[camera, convert.nanoseconds_of(message.header.stamp)] = message
        while len(self._images) > KEPT:
            self._images.pop(next(iter(self._images)), None)

    def _trajectory(self, path: Path) -> None:
        self._path = path
        self.markers.publish(trajectory_marker(path))

    def _targets(self, message: msg.GraspTargetArray) -> None:
        if self.markers.get_subscription_count():
            array = grasp_markers(message)
            if self._path is not None and self._path.header == message.header:  # it came first
                array.markers += trajectory_marker(self._path).markers
            self.markers.publish(array)
        self._newest = message
        self._draw()

    def _answer(self, message: msg.Evidence) -> None:
        self._evidence = message
        self._draw()

    def _draw(self) -> None:
        """Publish the debug image once both halves of an answer are there; either may come first."""
        evidence, targets = self._evidence, self._newest
        if evidence is None or targets is None or _of(evidence.answer) != _of(targets):
            return
        self._evidence = None
        image = self._images.get((evidence.answer.camera, convert.nanoseconds_of(evidence.answer.header.stamp)))
        if image is None:
            return
        try:
            drawn = draw_overlay(drawable(image, evidence, targets))
        except AffordanceError as error:
            self.refuse(error)
        else:
            self.debug.publish(image_message(drawn, 'rgb8', image.header))


def _of(message: Any) -> tuple[str, int]:
    """Return which answer a message belongs to."""
    return message.request_id, convert.nanoseconds_of(message.header.stamp)


def drawable(image: Any, evidence: msg.Evidence, targets: msg.GraspTargetArray) -> Answer:
    """Return the answer as the library knows it: with its image, everything in the camera frame."""
    frame = replace(frame_from(evidence), rgb=rgb_from_message(image))
    predictions = [prediction for prediction, _ in predictions_from(evidence) if prediction is not None]
    predictions.append(Prediction(model=targets.model, query=Query(text=targets.query)))  # all questions may be refused
    camera_from_header = np.eye(4) if frame.target_from_camera is None else inverse(frame.target_from_camera)
    found = tuple(convert.target_from(target, camera_from_header) for target in targets.targets)
    refused = tuple(convert.abstention_from(item) for item in targets.abstentions)
    places = tuple(convert.place_from(place, camera_from_header) for place in targets.places)
    contacts = tuple(item.contact for item in (*found, *places))
    return Answer(frame, predictions[0], contacts, found, refused, {}, places)


def main() -> None:
    """Run the node."""
    run_node(OverlayNode, threads=2)


if __name__ == '__main__':
    main()
