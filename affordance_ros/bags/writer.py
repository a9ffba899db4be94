# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write frames, and messages that were recorded as bytes, into a rosbag2 folder."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from affordance_ros.bags.types import typestore
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.transforms import quaternion_from_matrix
from affordance_ros.results import Frame, Intrinsics

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_NEVER = QosTime(2147483647, 4294967295)


@dataclass(frozen=True)
class WriterSettings:
    """storage: 'mcap' or 'sqlite3'. depth_encoding: '16UC1' (millimetres) or '32FC1' (metres).

    moving_camera: poses go to /tf, one per frame, instead of one on /tf_static.
    """

    storage: str = 'mcap'
    depth_encoding: str = '16UC1'
    image: str = '/camera/color/image_raw'
    depth: str = '/camera/depth/image_raw'
    camera_info: str = '/camera/color/camera_info'
    moving_camera: bool = False

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise AffordanceError(Code.BAD_INPUT, f'unknown bag storage {self.storage!r}; use {" or ".join(STORAGES)}')
        if self.depth_encoding not in ('16UC1', '32FC1'):
            raise AffordanceError(Code.BAD_ENCODING, f'depth is written as 16UC1 or 32FC1, got {self.depth_encoding!r}')


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

    def write_frame(self, frame: Frame) -> None:
        """Write image, depth, camera info and camera pose of a frame at its stamp; what is None is left out."""
        settings = self._settings
        types = typestore().types
        header = self._header(frame.stamp_ns, frame.frame_id)
        self._write(settings.image, _image(types, header, frame.rgb, 'rgb8'), frame.stamp_ns)
        if frame.depth is not None:
            metres = np.nan_to_num(frame.depth, nan=0.0, posinf=0.0, neginf=0.0)
            whole = settings.depth_encoding == '16UC1'
            pixels = np.clip(np.rint(metres * 1000), 0, 65534).astype(np.uint16) if whole else frame.depth
            self._write(settings.depth, _image(types, header, pixels, settings.depth_encoding), frame.stamp_ns)
        if frame.intrinsics is not None:
            self._write(settings.camera_info, _camera_info(types, header, frame.intrinsics), frame.stamp_ns)
        if frame.target_from_camera is not None:
            self._write_pose(frame)

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

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        types = typestore().types
        stamp = types['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def _write_pose(self, frame: Frame) -> None:
        pose = np.asarray(frame.target_from_camera)
        if not self._settings.moving_camera and self._static_pose is not None:
            if not np.allclose(pose, self._static_pose, atol=1e-9):
                raise AffordanceError(Code.TF, 'the camera pose changes between frames; write with moving_camera=True')
            return
        self._static_pose = pose
        types = typestore().types
        x, y, z, w = (float(value) for value in quaternion_from_matrix(pose[:3, :3]))
        message = types['geometry_msgs/msg/TransformStamped'](
            header=self._header(frame.stamp_ns, frame.target_frame or 'target'),
            child_frame_id=frame.frame_id,
            transform=types['geometry_msgs/msg/Transform'](
                translation=types['geometry_msgs/msg/Vector3'](*(float(value) for value in pose[:3, 3])),
                rotation=types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w),
            ),
        )
        moving = self._settings.moving_camera
        tree = types['tf2_msgs/msg/TFMessage'](transforms=[message])
        self._write('/tf' if moving else '/tf_static', tree, frame.stamp_ns, latched=not moving)


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


def _image(types: Any, header: Any, pixels: np.ndarray[Any, Any], encoding: str) -> Any:
    data = np.ascontiguousarray(pixels)
    return types['sensor_msgs/msg/Image'](
        header=header,
        height=data.shape[0],
        width=data.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.strides[0],
        data=data.view(np.uint8).reshape(-1),
    )


def _camera_info(types: Any, header: Any, k: Intrinsics) -> Any:
    projection = np.hstack((k.matrix, np.zeros((3, 1)))).ravel()
    roi = types['sensor_msgs/msg/RegionOfInterest'](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return types['sensor_msgs/msg/CameraInfo'](
        header=header,
        height=k.height,
        width=k.width,
        distortion_model=k.distortion_model or 'plumb_bob',
        d=np.array(k.distortion or (0.0,) * 5, np.float64),
        k=k.matrix.ravel(),
        r=np.eye(3).ravel(),
        p=projection,
        binning_x=0,
        binning_y=0,
        roi=roi,
    )
