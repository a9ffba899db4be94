# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of every node: a frozen dataclass whose fields say what they mean, declared in one loop.

A field's metadata: `doc` (with the unit), `low` and `high` (range) or `choices`, `live` (may change at run time),
`configure` (may change while the node is unconfigured). Everything else is read only, above all what names a path or a
program: whoever may set parameters must not be able to have files opened or programs run.
A field `model_name` is the ROS parameter `model.name`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.grasping.candidates import GraspSettings
from affordance_ros.nodes.request_line import POLICIES

Parameters = TypeVar('Parameters')
LONGEST_TEXT = 4000
AUTOSTART = 'configure and activate without a lifecycle manager'


def setting(  # noqa: PLR0913 - what a parameter can be told to be
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = False,
    configure: bool = False,
) -> Any:
    """Return a dataclass field that is a ROS parameter."""
    when = {'live': live, 'configure': configure}
    return field(default=default, metadata={'doc': doc, 'low': low, 'high': high, 'choices': tuple(choices), **when})


def ros_name(name: str) -> str:
    """Return 'model.name' for 'model_name': the first word is the group, where there is a group."""
    group, _, rest = name.partition('_')
    return f'{group}.{rest}' if group in ('model', 'input', 'run', 'tf', 'scene', 'depth') and rest else name


def declare(node: Node, kind: type[Parameters]) -> Parameters:
    """Declare every field of a dataclass as a parameter and return the values that the user gave."""
    values = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        fixed = not entry.metadata['live'] and not entry.metadata['configure']
        descriptor = ParameterDescriptor(description=entry.metadata['doc'], read_only=fixed)
        low, high = entry.metadata['low'], entry.metadata['high']
        if low is not None and isinstance(entry.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)
            ]
        elif low is not None:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        if entry.metadata['choices']:
            descriptor.additional_constraints = f'one of {", ".join(entry.metadata["choices"])}'
        values[entry.name] = node.declare_parameter(ros_name(entry.name), entry.default, descriptor).value
    return checked(kind(**values))


def checked(settings: Parameters) -> Parameters:
    """Return the settings. Raises BAD_INPUT when one is none of its choices or endless."""
    for entry in fields(settings):  # type: ignore[arg-type]
        value, choices = getattr(settings, entry.name), entry.metadata['choices']
        if choices and value not in choices:
            text = f'{ros_name(entry.name)} is {value!r}; it must be one of {", ".join(choices)}'
            raise AffordanceError(Code.BAD_INPUT, text)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            text = f'{ros_name(entry.name)} is {len(value)} characters long; at most {LONGEST_TEXT} are taken'
            raise AffordanceError(Code.BAD_INPUT, text)
    return settings


def changed(settings: Parameters, values: Mapping[str, Any]) -> Parameters:
    """Return the settings with ROS parameters set to new values; parameters that are not ours are left out."""
    names = {ros_name(entry.name): entry.name for entry in fields(settings)}  # type: ignore[arg-type]
    known = {names[name]: value for name, value in values.items() if name in names}
    return checked(replace(settings, **known))  # type: ignore[type-var]


def refuse_unless_live(before: Parameters, after: Parameters, *, unconfigured: bool) -> None:
    """Raise BAD_INPUT when a parameter that configuring the node reads was changed in another state."""
    for entry in fields(before):  # type: ignore[arg-type]
        same = getattr(before, entry.name) == getattr(after, entry.name)
        if not (same or entry.metadata['live'] or unconfigured):
            text = f'{ros_name(entry.name)} is read when the node is configured; deactivate and clean up the node first'
            way = ', or call ~/load_model' if entry.name.startswith('model_') else ''
            raise AffordanceError(Code.BAD_INPUT, text + way)


@dataclass(frozen=True)
class AffordanceParameters:
    """Parameters of affordance_node."""

    autostart: bool = setting(default=True, doc=AUTOSTART)
    model_name: str = setting('robopoint', 'model to load; see ~/list_models', configure=True)
    model_checkpoint: str = setting('pocket', "folder of the checkpoint, or 'pocket' for the small one in this package")
    model_device: str = setting('cpu', "'cpu', 'cuda', 'cuda:1', ...", configure=True)
    model_dtype: str = setting('float32', "'float32', 'float16' or 'bfloat16'", configure=True)
    model_options: str = setting('{}', 'further options of the model as JSON, for example {"clip": "/data/clip"}')
    model_refine: str = setting('', "'sam2' or 'sam': masks for the points and boxes of every answer; empty: none")
    model_sam2: str = setting('', 'checkpoint of SAM 2 for model.refine: a .pt file or a folder')
    model_sam: str = setting('', 'checkpoint of SAM for model.refine: a sam_vit_*.pth file')
    model_folders: str = setting('', "folders, joined by ':', in which ~/load_model may open checkpoints")
    model_threads: int = setting(2, 'CPU threads of the model', low=1, high=256, configure=True)
    model_python: str = setting('', 'Python of the model process, with its own packages; empty: the one of this node')
    model_warmup: bool = setting(
        default=True, doc='answer once before serving: the first answer on a GPU is slow', live=True
    )
    model_check_memory: bool = setting(
        default=True, doc='refuse a model that needs more memory than is free', live=True
    )
    model_load_timeout_s: float = setting(600.0, 'seconds that loading may take', low=1.0, high=7200.0, live=True)
    input_cameras: str = setting(
        '', "names of the cameras, joined by ',': NAME/image, ...; empty: one without a name on image, depth/image, ..."
    )
    input_image_transport: str = setting(
        'raw', 'what comes on the image topic: raw, or compressed on image/compressed', choices=('raw', 'compressed')
    )
    input_depth_transport: str = setting(
        'raw',
        'what comes on the depth topic: raw, or compressedDepth on depth/image/compressedDepth',
        choices=('raw', 'compressedDepth'),
    )
    input_warn_after_s: float = setting(
        5.0, 'a topic that is silent for so long is warned about, seconds', low=0.5, high=600.0, live=True
    )
    input_need_depth: bool = setting(default=True, doc='wait for a depth image with every colour image')
    input_check_frames: bool = setting(
        default=True,
        doc='take depth whose frame_id is not that of the colour image for unregistered; false: it is registered',
        live=True,
    )
    depth_registration: str = setting(
        'auto',
        'what happens to unregistered depth: auto (it is registered, with depth/camera_info and the pose on /tf), or '
        'off (it is refused as UNALIGNED)',
        choices=('auto', 'off'),
    )
    input_slop_s: float = setting(
        0.02, 'largest difference between the stamps of colour and depth, seconds', low=0.0, high=1.0, live=True
    )
    input_max_age_s: float = setting(2.0, 'an older image is refused, seconds', low=0.05, high=600.0, live=True)
    input_clip_frames: int = setting(10, 'images in a clip, for models that look at one', low=2, high=64)
    input_clip_rate: float = setting(4.0, 'images per second in a clip', low=0.5, high=30.0)
    input_depth_scale: float = setting(
        0.0, 'metres per depth unit, 0: what the encoding means', low=0.0, high=1.0, live=True
    )
    run_timeout_s: float = setting(30.0, 'time for one request, seconds', low=0.1, high=3600.0, live=True)
    run_wait_image_s: float = setting(
        5.0, 'how long a request waits for an image, seconds', low=0.0, high=600.0, live=True
    )
    run_policy: str = setting(
        'queue',
        'a request that comes while one runs: queue (it waits), reject (BUSY), replace (the one that runs ends)',
        choices=POLICIES,
        live=True,
    )
    run_max_pending: int = setting(
        1, 'requests that may wait (run.policy queue); more are refused as BUSY', low=0, high=8, live=True
    )
    run_max_rate: float = setting(1.0, 'answers per second in continuous mode', low=0.01, high=60.0, live=True)
    tf_target_frame: str = setting(
        '', 'frame of the targets, standing still and with z up; empty: the optical frame', configure=True
    )
    tf_timeout_s: float = setting(
        0.2, 'how long to wait for the pose of the image, seconds', low=0.0, high=5.0, live=True
    )


@dataclass(frozen=True)
class TargetParameters:
    """Parameters of target_node."""

    autostart: bool = setting(default=True, doc=AUTOSTART)
    source: str = setting('affordance_node', 'name of the affordance_node whose answers are lifted, relative')
    gripper: str = setting(
        'generic', 'generic, panda, robotiq_2f_85, robotiq_2f_140, suction, or a YAML file', live=True
    )
    depth_noise: str = setting(
        'generic', 'noise preset of the depth camera: generic, realsense_d415, realsense_d435, zed, ...', live=True
    )
    run_timeout_s: float = setting(30.0, 'time for one request, seconds', low=0.1, high=3600.0, live=True)
    run_max_requests: int = setting(4, 'requests at a time; more are refused as BUSY', low=1, high=8, live=True)
    window_m: float = setting(0.008, 'radius of the window about a point, metres', low=0.001, high=0.05, live=True)
    min_score: float = setting(
        GraspSettings.min_score, 'targets below are refused as LOW_SCORE', low=0.0, high=1.0, live=True
    )
    per_contact: int = setting(1, 'most targets for one contact, each unlike the others', low=1, high=20, live=True)
    obstacles: bool = setting(default=False, doc='send the table and the held things as solids', live=True)


@dataclass(frozen=True)
class OverlayParameters:
    """Parameters of overlay_node."""

    autostart: bool = setting(default=True, doc=AUTOSTART)
    source: str = setting('affordance_node', 'name of the affordance_node, relative')
    targets: str = setting('target_node', 'name of the target_node, relative')
    input_cameras: str = setting('', "names of the cameras, joined by ',', as those of affordance_node")
    input_image_transport: str = setting(
        'raw', 'what comes on the image topic: raw, or compressed on image/compressed', choices=('raw', 'compressed')
    )


@dataclass(frozen=True)
class SceneParameters:
    """Parameters of scene_node."""

    autostart: bool = setting(default=True, doc=AUTOSTART)
    scene_seed: int = setting(3, 'which scene', low=0, high=2_000_000_000)
    scene_preset: str = setting('vga', "camera: 'vga' 640x480 or 'hd' 1280x720", choices=('vga', 'hd'))
    scene_must_have: str = setting('', "an object that has to be there, as 'red mug'")
    scene_rate: float = setting(10.0, 'images per second', low=0.1, high=60.0)
    scene_noise: bool = setting(default=True, doc='depth as a stereo camera measures it; false: exact')
    scene_depth: bool = setting(default=True, doc='publish depth')
    depth_encoding: str = setting('16UC1', "'16UC1' (millimetres) or '32FC1' (metres)", choices=('16UC1', '32FC1'))


OF_NODES: Mapping[str, type[Any]] = {
    'affordance_node': AffordanceParameters,
    'target_node': TargetParameters,
    'overlay_node': OverlayParameters,
    'scene_node': SceneParameters,
}
