# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages for rosbags, which wants every field given: `make` fills in what is left out with zero or empty."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from affordance_ros.bags.types import typestore
from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.results import FloatArray

_BASE, _NAME, _ARRAY, _SEQUENCE = 1, 2, 3, 4  # kinds of rosbags.interfaces.Nodetype


def make(kind: str, **fields: Any) -> Any:
    """Return a message of `kind` ('geometry_msgs/msg/Pose')."""
    store = typestore()
    _, definitions = store.fielddefs[kind]
    unknown = set(fields) - {name for name, _ in definitions}
    if unknown:
        raise ValueError(f'{kind} has no {", ".join(sorted(unknown))}')
    return store.types[kind](**{name: fields.get(name, _default(node)) for name, node in definitions})


def _default(node: Any) -> Any:
    kind, detail = int(node[0]), node[1]
    if kind == _NAME:
        return make(detail)
    if kind == _BASE:
        name = detail[0]
        return '' if name == 'string' else False if name == 'bool' else 0.0 if name.startswith('float') else 0
    (inner, inner_detail), length = detail
    length = length if kind == _ARRAY else 0
    numeric = int(inner) == _BASE and inner_detail[0] != 'string'
    if numeric:
        return np.zeros(length, inner_detail[0])
    return [_default((inner, inner_detail)) for _ in range(length)]


def stamp(stamp_ns: int) -> Any:
    """Return a builtin_interfaces/Time."""
    return make('builtin_interfaces/msg/Time', sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def header(stamp_ns: int, frame_id: str) -> Any:
    """Return a std_msgs/Header."""
    return make('std_msgs/msg/Header', stamp=stamp(stamp_ns), frame_id=frame_id)


def point(xyz: Sequence[float] | FloatArray, kind: str = 'geometry_msgs/msg/Point') -> Any:
    """Return a Point, or another message of x, y and z."""
    x, y, z = (float(value) for value in xyz)
    return make(kind, x=x, y=y, z=z)


def transform(parent_from_child: FloatArray, head: Any, child: str) -> Any:
    """Return the TransformStamped of a (4, 4) transform; `head` names the parent and the time."""
    pose = np.asarray(parent_from_child)
    x, y, z, w = (float(value) for value in quaternion_from_matrix(pose[:3, :3]))
    turn = make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
    shift = point(pose[:3, 3], 'geometry_msgs/msg/Vector3')
    both = make('geometry_msgs/msg/Transform', translation=shift, rotation=turn)
    return make('geometry_msgs/msg/TransformStamped', header=head, child_frame_id=child, transform=both)
