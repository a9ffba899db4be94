# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write frames, and messages that were recorded as bytes, into a rosbag2 folder."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from affordance_ros.bags.messages import header, make, transform
from affordance_ros.bags.types import typestore
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import FloatArray, Frame, Intrinsics

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
DEPTH_ENCODINGS = ('16UC1', '32FC1', 'compressedDepth')
_NEVER = QosTime(2147483647, 4294967295)


@dataclass(frozen=True)
class WriterSettings:
    """storage: 'mcap' or 'sqlite3'. depth_encoding: '16UC1' (mm), '32FC1' (m) or 'compressedDepth' (PNG of mm).

    jpeg: colour goes to `image`/compressed. depth_info: topic of the depth camera's own CameraInfo, see `write_depth`.
    moving_camera: poses go to /tf, one per frame, instead of one on /tf_static.
    """

    storage: str = 'mcap'
    depth_encoding: str = '16UC1'
    image: str = '/camera/color/image_raw'
    depth: str = '/camera/depth/image_raw'
    camera_info: str = '/camera/color/camera_info'
    depth_info: str = '/camera/depth/camera_info'
    moving_camera: bool = False
    jpeg: bool = False

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise AffordanceError(Code.BAD_INPUT, f'unknown bag storage {self.storage!r}; use {" or ".join(STORAGES)}')
        if self.depth_encoding not in DEPTH_ENCODINGS:
            text = f'depth is written as {", ".join(DEPTH_ENCODINGS)}, got {self.depth_encoding!r}'
            raise AffordanceError(Code.BAD_ENCODING, text)


@dataclass(frozen=True)
class Recorded:
    """A message as it came over the wire. type: 'sensor_msgs/msg/Image'. received_ns: when it came. cdr: its bytes."""

    topic: str
    type: str
    received_ns: int
    cdr: bytes
    latched: bool = False


class BagWriter:
    """A rosbag2 folder that is being written; use it in a `with` statement.

    Raises:
        AffordanceError: BAD_INPUT when the folder exists already.
    """

    def __init__(self, folder: Path, settings: WriterSettings | None = None) -> None:
        self._settings = settings or WriterSettings()
        if folder.exists():
            raise AffordanceError(Code.BAD_INPUT, f'the bag {folder} exists already; remove it or name another folder')
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(folder, version=9, storage_plugin=STORAGES[self._settings.storage])
        self._connections: dict[str, Connection] = {}
        self._static_pose: np.ndarray[Any, Any] | None = None

    def __enter__(self) -> 'BagWriter':
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write_frame(self, frame: Frame, received_ns: int | None = None) -> None:
        """Write image, depth, camera info and camera pose of a frame; what is None is left out.

        received_ns: when they were recorded, None: at the stamp. A recording that loops has stamps that go back.
        """
        settings = self._settings
        head = header(frame.stamp_ns, frame.frame_id)
        when = frame.stamp_ns if received_ns is None else received_ns
        if settings.jpeg:
            self._write(f'{settings.image}/compressed', _jpeg(head, frame.rgb), when)
        else:
            self._write(settings.image, _image(head, frame.rgb, 'rgb8'), when)
        if frame.depth is not None:
            self._write_depth(frame.depth, head, when)
        if frame.intrinsics is not None:
            self._write(settings.camera_info, _camera_info(head, frame.intrinsics), when)
        if frame.target_from_camera is not None:
            self._write_pose(frame, when)

    def write_depth(
        self,
        depth: npt.NDArray[np.float32],
        camera: tuple[Intrinsics, str],
        stamp_ns: int,
        received_ns: int | None = None,
    ) -> None:
        """Write depth (H, W) in metres of a camera of its own, with its CameraInfo: not registered to the colour.

        camera: its intrinsics and the name of its frame.
        """
        head = header(stamp_ns, camera[1])
        when = stamp_ns if received_ns is None else received_ns
        self._write_depth(depth, head, when)
        self._write(self._settings.depth_info, _camera_info(head, camera[0]), when)

    def write_transform(self, pose: FloatArray, parent: str, child: str, stamp_ns: int) -> None:
        """Write parent_from_child (4, 4) to /tf_static."""
        tree = make('tf2_msgs/msg/TFMessage', transforms=[transform(pose, header(stamp_ns, parent), child)])
        self._write('/tf_static', tree, stamp_ns, latched=True)

    def write_message(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Write a message made from `typestore().types`."""
        self._write(topic, message, stamp_ns)

    def write_recorded(self, recorded: Recorded) -> None:
        """Write a message as it came over the wire."""
        connection = self._connection(recorded.topic, recorded.type, latched=recorded.latched)
        self._writer.write(connection, recorded.received_ns, recorded.cdr)

    def _write(self, topic: str, message: Any, stamp_ns: int, *, latched: bool = False) -> None:
        connection = self._connection(topic, message.__msgtype__, latched=latched)
        self._writer.write(connection, stamp_ns, typestore().serialize_cdr(message, message.__msgtype__))

    def _connection(self, topic: str, kind: str, *, latched: bool) -> Connection:
        if topic not in self._connections:
            qos = [_latched()] if latched else []
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=typestore(), offered_qos_profiles=qos
            )
        return self._connections[topic]

    def _write_depth(self, depth: npt.NDArray[np.float32], head: Any, stamp_ns: int) -> None:
        encoding, topic = self._settings.depth_encoding, self._settings.depth
        if encoding == '32FC1':
            self._write(topic, _image(head, depth, encoding), stamp_ns)
            return
        millimetres = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000
        whole = np.clip(np.rint(millimetres), 0, 65534).astype(np.uint16)
        if encoding == '16UC1':
            self._write(topic, _image(head, whole, encoding), stamp_ns)
        else:
            self._write(f'{topic}/compressedDepth', _compressed_depth(head, whole), stamp_ns)

    def _write_pose(self, frame: Frame, received_ns: int) -> None:
        pose = np.asarray(frame.target_from_camera)
        if not self._settings.moving_camera and self._static_pose is not None:
            if not np.allclose(pose, self._static_pose, atol=1e-9):
                raise AffordanceError(Code.TF, 'the camera pose changes between frames; write with moving_camera=True')
            return
        self._static_pose = pose
        message = transform(pose, header(frame.stamp_ns, frame.target_frame or 'target'), frame.frame_id)
        moving = self._settings.moving_camera
        tree = make('tf2_msgs/msg/TFMessage', transforms=[message])
        self._write('/tf' if moving else '/tf_static', tree, received_ns, latched=not moving)


def _latched() -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL,
        deadline=_NEVER,
        lifespan=_NEVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_NEVER,
        avoid_ros_namespace_conventions=False,
    )


def _image(head: Any, pixels: np.ndarray[Any, Any], encoding: str) -> Any:
    data = np.ascontiguousarray(pixels)
    return make(
        'sensor_msgs/msg/Image',
        header=head,
        height=data.shape[0],
        width=data.shape[1],
        encoding=encoding,
        step=data.strides[0],
        data=data.view(np.uint8).reshape(-1),
    )


def _jpeg(head: Any, rgb: npt.NDArray[np.uint8]) -> Any:
    _, data = cv2.imencode('.jpg', np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return make('sensor_msgs/msg/CompressedImage', header=head, format='rgb8; jpeg compressed bgr8', data=data.ravel())


def _compressed_depth(head: Any, millimetres: npt.NDArray[np.uint16]) -> Any:
    """Three numbers come before the PNG, as image_transport writes them; whole millimetres leave them zero."""
    _, coded = cv2.imencode('.png', millimetres)
    data = np.concatenate([np.zeros(12, np.uint8), coded.ravel()])
    return make('sensor_msgs/msg/CompressedImage', header=head, format='16UC1; compressedDepth png', data=data)


def _camera_info(head: Any, k: Intrinsics) -> Any:
    return make(
        'sensor_msgs/msg/CameraInfo',
        header=head,
        height=k.height,
        width=k.width,
        distortion_model=k.distortion_model or 'plumb_bob',
        d=np.array(k.distortion or (0.0,) * 5, np.float64),
        k=k.matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack((k.matrix, np.zeros((3, 1)))).ravel(),
    )
