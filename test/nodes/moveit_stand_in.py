# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for moveit_msgs and the MoveIt Task Constructor, which no wheel has: strict about names and types.

A message refuses fields that the real one has not and values of another type. The stages record what is set on them
and refuse properties that the Python bindings do not have.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from geometry_msgs.msg import Pose, PoseStamped, Vector3Stamped
from shape_msgs.msg import Mesh, Plane, SolidPrimitive
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory

# Name and type of every field of moveit_msgs (ROS 2); a list holds many of its type.
TRANSLATION = {'direction': Vector3Stamped, 'desired_distance': float, 'min_distance': float}


def message(name: str, fields: dict[str, Any], **constants: Any) -> type:
    """Return a message class with these fields, which checks what it is given as generated ones do."""

    def init(self: Any, **values: Any) -> None:
        unknown = set(values) - set(fields)
        assert not unknown, f'{name} has no field {sorted(unknown)}'
        for field, kind in fields.items():
            setattr(self, field, values.get(field, [] if isinstance(kind, list) else kind()))

    def check(self: Any, field: str, value: Any) -> None:
        assert field in fields, f'{name} has no field {field}'
        kind = fields[field]
        for item in value if isinstance(kind, list) else [value]:
            wanted = kind[0] if isinstance(kind, list) else kind
            assert isinstance(item, wanted), f'{name}.{field} must be {wanted.__name__}, got {type(item).__name__}'
        object.__setattr__(self, field, value)

    return type(name, (), {'__init__': init, '__setattr__': check, 'FIELDS': fields, **constants})


GripperTranslation = message('GripperTranslation', TRANSLATION)
GRASP = {
    'id': str,
    'pre_grasp_posture': JointTrajectory,
    'grasp_posture': JointTrajectory,
    'grasp_pose': PoseStamped,
    'grasp_quality': float,
    'pre_grasp_approach': GripperTranslation,
    'post_grasp_retreat': GripperTranslation,
    'post_place_retreat': GripperTranslation,
    'max_contact_force': float,
    'allowed_touch_objects': [str],
}
PLACE = {
    'id': str,
    'post_place_posture': JointTrajectory,
    'place_pose': PoseStamped,
    'quality': float,
    'pre_place_approach': GripperTranslation,
    'post_place_retreat': GripperTranslation,
    'allowed_touch_objects': [str],
}
COLLISION = {
    'header': Header,
    'pose': Pose,
    'id': str,
    'primitives': [SolidPrimitive],
    'primitive_poses': [Pose],
    'meshes': [Mesh],
    'mesh_poses': [Pose],
    'planes': [Plane],
    'plane_poses': [Pose],
    'subframe_names': [str],
    'subframe_poses': [Pose],
    'operation': bytes,
}


class Properties:
    """Records which properties come from where."""

    def __init__(self) -> None:
        self.sources: dict[str, Any] = {}

    def configureInitFrom(self, source: Any, names: list[str]) -> None:  # noqa: N802 - the name of the bindings
        """Note the source of every name."""
        self.sources |= dict.fromkeys(names, source)


class Stage:
    """A stage that has only the properties of its class."""

    KNOWN: tuple[str, ...] = ()

    def __init__(self, name: str, child: Any = None) -> None:
        own = {'name': name, 'child': child, 'properties': Properties(), 'monitored': None, 'cost': None}
        self.__dict__.update(own)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.KNOWN, f'{type(self).__name__} has no property {name}'
        self.__dict__[name] = value

    def setCostTerm(self, term: Any) -> None:  # noqa: N802
        """Note the cost."""
        self.__dict__['cost'] = term


class GeneratePose(Stage):
    KNOWN = ('pose',)

    def setMonitoredStage(self, stage: Any) -> None:  # noqa: N802
        """Note the stage whose solutions are taken."""
        self.__dict__['monitored'] = stage


class ComputeIK(Stage):
    KNOWN = (
        'eef',
        'group',
        'default_pose',
        'max_ik_solutions',
        'ignore_collisions',
        'min_solution_distance',
        'ik_frame',
    )


class Alternatives(Stage):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__dict__['children'] = []

    def insert(self, stage: Stage) -> None:
        """Add a child."""
        self.__dict__['children'].append(stage)


def modules() -> dict[str, ModuleType]:
    """Return what `import` finds: moveit_msgs.msg and moveit.task_constructor."""
    messages = ModuleType('moveit_msgs.msg')
    messages.GripperTranslation = GripperTranslation
    messages.Grasp, messages.PlaceLocation = message('Grasp', GRASP), message('PlaceLocation', PLACE)
    messages.CollisionObject = message('CollisionObject', COLLISION, ADD=b'\x00', REMOVE=b'\x01')
    core, stages = ModuleType('moveit.task_constructor.core'), ModuleType('moveit.task_constructor.stages')
    source = type('PropertyInitializerSource', (), {'INTERFACE': 'interface', 'PARENT': 'parent'})
    core.Alternatives, core.Stage = Alternatives, type('Stage', (), {'PropertyInitializerSource': source})
    stages.GeneratePose, stages.ComputeIK = GeneratePose, ComputeIK
    found = {'moveit_msgs': ModuleType('moveit_msgs'), 'moveit_msgs.msg': messages, 'moveit': ModuleType('moveit')}
    constructor = ModuleType('moveit.task_constructor')
    constructor.core, constructor.stages = core, stages
    return found | {'moveit.task_constructor': constructor}


@contextmanager
def installed() -> Iterator[None]:
    """Let imports find the stand-ins, unless the real message package is there."""
    try:
        import moveit_msgs.msg  # noqa: F401
    except ImportError:
        names = modules()
    else:
        names = {name: module for name, module in modules().items() if not name.startswith('moveit_msgs')}
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
