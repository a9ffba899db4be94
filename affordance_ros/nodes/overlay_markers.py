# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grasp targets as RViz markers. Every array begins with DELETEALL; a namespace per kind, to be switched on and off."""

from typing import Any

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from affordance_ros import msg
from affordance_ros.errors import Code
from affordance_ros.nodes import conversions as convert
from affordance_ros.outlines import gripper_segments, place_segments

BEST, OTHER = (0.1, 0.9, 0.2, 1.0), (0.9, 0.8, 0.1, 0.7)
FREE, FREE_OTHER = (0.4, 0.9, 1.0, 1.0), (0.4, 0.9, 1.0, 0.6)
REFUSED, WAY = (1.0, 0.3, 0.2, 1.0), (0.3, 0.6, 1.0, 1.0)
ARROW_M, TEXT_M, ABOVE_M = 0.05, 0.02, 0.06
NAMESPACES = ('contacts', 'normals', 'grippers', 'labels', 'places', 'refused', 'trajectory')


def grasp_markers(message: msg.GraspTargetArray) -> MarkerArray:
    """Return the markers of an answer: what can be grasped, where things can be put, and why something is refused."""
    header = message.header
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index, target in enumerate(message.targets):
        markers += _target(header, index, target)
    for index, place in enumerate(message.places):
        color = FREE if index == 0 else FREE_OTHER
        markers.append(_lines(header, 'places', index, color, place_segments(convert.place_from(place))))
    if message.outcome.code:
        markers.append(_text(header, 'refused', 0, REFUSED, Point(), _reason(message)))
    return MarkerArray(markers=markers)


def trajectory_marker(path: Any) -> MarkerArray:
    """Return the way of the hand of a nav_msgs/Path. It is added to what is shown: no DELETEALL."""
    line = _marker(path.header, 'trajectory', 0, Marker.LINE_STRIP, WAY)
    line.scale.x = 0.004
    line.points = [pose.pose.position for pose in path.poses]
    return MarkerArray(markers=[line])


def _target(header: Any, index: int, target: msg.GraspTarget) -> list[Marker]:
    color = BEST if index == 0 else OTHER
    point, normal = target.contact.point, target.contact.normal
    ball = _marker(header, 'contacts', index, Marker.SPHERE, color)
    ball.pose.position, ball.pose.orientation.w = point, 1.0
    ball.scale.x = ball.scale.y = ball.scale.z = 0.010
    arrow = _marker(header, 'normals', index, Marker.ARROW, color)
    tip = {axis: getattr(point, axis) + ARROW_M * getattr(normal, axis) for axis in 'xyz'}
    arrow.points = [point, Point(**tip)]
    arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.004, 0.009, 0.012
    hand = _lines(header, 'grippers', index, color, gripper_segments(convert.target_from(target)))
    told = ' '.join(filter(None, (target.label, f'{target.score:.2f}', f'{1000 * target.width_m:.0f} mm')))
    beside = Point(**{axis: getattr(point, axis) + ABOVE_M * getattr(normal, axis) for axis in 'xyz'})
    return [ball, arrow, hand, _text(header, 'labels', index, color, beside, told)]


def _reason(message: msg.GraspTargetArray) -> str:
    code = Code(message.outcome.code).name
    return f'{message.query[:60]}\n{code}: {message.outcome.message.split("; ")[0][:120]}'


def _marker(header: Any, group: str, index: int, kind: int, color: tuple[float, ...]) -> Marker:
    r, g, b, a = color
    return Marker(header=header, ns=group, id=index, type=kind, action=Marker.ADD, color=ColorRGBA(r=r, g=g, b=b, a=a))


def _text(header: Any, group: str, index: int, color: tuple[float, ...], at: Point, text: str) -> Marker:  # noqa: PLR0913
    marker = _marker(header, group, index, Marker.TEXT_VIEW_FACING, color)
    marker.pose.position, marker.pose.orientation.w = at, 1.0
    marker.scale.z, marker.text = TEXT_M, text
    return marker


def _lines(header: Any, group: str, index: int, color: tuple[float, ...], segments: Any) -> Marker:
    """Return segments (N, 2, 3) as one marker."""
    lines = _marker(header, group, index, Marker.LINE_LIST, color)
    lines.scale.x = 0.003
    lines.points = [convert.point_message(point) for point in segments.reshape(-1, 3)]
    return lines
