# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a bag of a folder of posed RGB-D frames, poses on /tf: bag_of_posed_frames.py FOLDER BAG [FRAMES_PER_SECOND].

The folder is laid out as 7-Scenes and tsdf-fusion-python have it: NAME.color.jpg (or .png), NAME.depth.png (16 bit,
millimetres, 0 and 65535: none), NAME.pose.txt (world_from_camera, 4x4) and camera-intrinsics.txt (3x3).
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from affordance_ros.bags import BagWriter, WriterSettings
from affordance_ros.results import Frame, Intrinsics

START_NS = 1_000_000_000


def intrinsics_of(folder: Path, width: int, height: int) -> Intrinsics:
    """Read the 3x3 matrix."""
    k = np.loadtxt(folder / 'camera-intrinsics.txt')
    return Intrinsics(k[0, 0], k[1, 1], k[0, 2], k[1, 2], width, height)


def depth_of(path: Path) -> np.ndarray:
    """Return metres (H, W), NaN where there is none."""
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32)
    raw[(raw == 0) | (raw == 65535)] = np.nan
    return raw / np.float32(1000)


def pose_of(path: Path) -> np.ndarray:
    """Return world_from_camera (4, 4) with a rotation that is one: the files hold six digits."""
    pose = np.loadtxt(path)
    u, _, v = np.linalg.svd(pose[:3, :3])
    pose[:3, :3] = u @ v
    return pose


def main() -> None:
    """Write the bag."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0
    images = sorted(path for path in folder.iterdir() if '.color.' in path.name)
    if not images:
        sys.exit(f'{folder} holds no NAME.color.jpg')
    with BagWriter(out, WriterSettings(moving_camera=True)) as writer:
        for index, path in enumerate(images):
            stem = folder / path.name.partition('.')[0]
            rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
            known = intrinsics_of(folder, rgb.shape[1], rgb.shape[0])
            stamp_ns = START_NS + round(index * 1e9 / rate)
            pose, depth = pose_of(stem.with_suffix('.pose.txt')), depth_of(stem.with_suffix('.depth.png'))
            writer.write_frame(Frame(rgb, depth, known, stamp_ns, 'camera_optical_frame', pose, 'world'))
    print(f'{len(images)} frames in {out}')


if __name__ == '__main__':
    main()
