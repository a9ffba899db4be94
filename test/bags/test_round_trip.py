# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is written into a bag comes back out of it; what is no bag is refused with a sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from affordance_ros.bags import (
    BagTopics,
    BagWriter,
    WriterSettings,
    interface_folder,
    messages_of,
    read_frames,
)
from affordance_ros.bags.answers import answer_parts
from affordance_ros.bags.messages import header, make
from affordance_ros.errors import AffordanceError, Code
from affordance_ros.results import Frame, Intrinsics


def make_frame(stamp_ns: int = 5_000_000_123) -> Frame:
    rng = np.random.default_rng(stamp_ns)
    depth = rng.uniform(0.5, 1.2, (12, 16)).astype(np.float32)
    depth[3, 4] = np.nan
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = (0.1, -0.2, 0.7)
    return Frame(
        rgb=rng.integers(0, 256, (12, 16, 3), dtype=np.uint8),
        depth=depth,
        intrinsics=Intrinsics(20.0, 21.0, 7.5, 5.5, 16, 12),
        stamp_ns=stamp_ns,
        frame_id='camera_optical_frame',
        target_from_camera=pose,
        target_frame='table',
    )


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(('encoding', 'tolerance'), [('16UC1', 0.0005001), ('32FC1', 0.0)])
def test_frames_come_back(tmp_path: Path, storage: str, encoding: str, tolerance: float) -> None:
    frames = [make_frame(stamp) for stamp in (5_000_000_123, 5_100_000_000, 5_200_000_000)]
    with BagWriter(tmp_path / 'bag', WriterSettings(storage=storage, depth_encoding=encoding)) as writer:
        for frame in frames:
            writer.write_frame(frame)
    found = list(read_frames(tmp_path / 'bag'))
    assert [frame.stamp_ns for frame in found] == [frame.stamp_ns for frame in frames]
    for wrote, got in zip(frames, found, strict=True):
        assert got.depth is not None
        assert wrote.depth is not None
        np.testing.assert_array_equal(got.rgb, wrote.rgb)
        np.testing.assert_allclose(got.depth, wrote.depth, atol=tolerance, rtol=0)
        assert np.isnan(got.depth[3, 4])
        assert got.intrinsics == wrote.intrinsics
        assert (got.frame_id, got.target_frame) == ('camera_optical_frame', 'table')
        np.testing.assert_allclose(np.asarray(got.target_from_camera), wrote.target_from_camera, atol=1e-12)


def test_a_moving_camera_has_its_own_pose_per_frame(tmp_path: Path) -> None:
    first = make_frame(1_000_000_000)
    moved = np.array(first.target_from_camera)
    moved[0, 3] += 0.3
    second = replace(make_frame(2_000_000_000), target_from_camera=moved)
    with BagWriter(tmp_path / 'still') as writer:
        writer.write_frame(first)
        with pytest.raises(AffordanceError, match='moving_camera') as caught:
            writer.write_frame(second)
    assert caught.value.code is Code.TF
    with BagWriter(tmp_path / 'moving', WriterSettings(moving_camera=True)) as writer:
        writer.write_frame(first)
        writer.write_frame(second)
    poses = [np.asarray(frame.target_from_camera) for frame in read_frames(tmp_path / 'moving')]
    np.testing.assert_allclose(poses[1] - poses[0], moved - np.asarray(first.target_from_camera), atol=1e-12)


def test_depth_is_paired_by_stamp_within_the_slop(tmp_path: Path) -> None:
    frame = make_frame(1_000_000_000)
    late = replace(make_frame(1_015_000_000), intrinsics=None, target_from_camera=None)
    only_color = replace(frame, depth=None)
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_frame(only_color)
        writer.write_frame(replace(late, rgb=np.zeros_like(late.rgb)))
    near = list(read_frames(tmp_path / 'bag', BagTopics(slop_s=0.02)))
    strict = list(read_frames(tmp_path / 'bag', BagTopics(slop_s=0.001)))
    assert [f.depth is not None for f in near] == [True, True]
    assert [f.depth is not None for f in strict] == [False, True]


def test_our_messages_come_back(tmp_path: Path) -> None:
    if interface_folder() is None:
        pytest.skip('the .msg files are not at hand')
    outcome = make('affordance_ros/msg/Outcome', code=64, message='too wide')
    known = {name: getattr(outcome, name) for name in ('OK', 'TOO_WIDE', 'INTERNAL')}
    assert known == {'OK': 0, 'TOO_WIDE': 64, 'INTERNAL': 99}
    refused = make(
        'affordance_ros/msg/Abstention',
        outcome=outcome,
        u=3.0,
        v=4.0,
        label='body',
        evidence_names=['width_m'],
        evidence=np.array([0.14]),
    )
    message = make(
        'affordance_ros/msg/GraspTargetArray',
        header=header(7_000_000_008, 'camera'),
        query='grasp the mug',
        model='fake',
        outcome=outcome,
        abstentions=[refused],
    )
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_message('/target_node/grasp_targets', message, 9_000_000_000)
    (found,) = messages_of(tmp_path / 'bag', 'affordance_ros/msg/GraspTargetArray')
    targets, abstentions = answer_parts(found)
    assert (found.header.stamp.nanosec, found.query, targets) == (8, 'grasp the mug', ())
    assert abstentions[0].code is Code.TOO_WIDE
    assert abstentions[0].pixel == (3.0, 4.0)
    assert dict(abstentions[0].evidence) == {'width_m': 0.14}


def test_bad_bags_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AffordanceError, match='there is no bag'):
        list(read_frames(tmp_path / 'absent'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(AffordanceError, match='cannot be read'):
        list(read_frames(tmp_path / 'empty'))
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_frame(make_frame())
    with pytest.raises(AffordanceError, match='exists already'):
        BagWriter(tmp_path / 'bag')
    with pytest.raises(AffordanceError, match='no topic /other'):
        list(read_frames(tmp_path / 'bag', BagTopics(image='/other')))
    data = next((tmp_path / 'bag').glob('*.mcap'))
    data.write_bytes(data.read_bytes()[:200])
    with pytest.raises(AffordanceError, match='cannot be read'):
        list(read_frames(tmp_path / 'bag'))
    with pytest.raises(AffordanceError, match='storage'):
        WriterSettings(storage='rosbag1')
