# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 folders (MCAP and sqlite3) to frames and back, without ROS."""

from affordance_ros.bags.reader import messages_of, read_frames
from affordance_ros.bags.recorded_answer import read_recorded_answer
from affordance_ros.bags.topics import BagContent, BagTopics, look_into
from affordance_ros.bags.types import interface_folder, typestore
from affordance_ros.bags.writer import BagWriter, Recorded, WriterSettings

__all__ = [
    'BagContent',
    'BagTopics',
    'BagWriter',
    'Recorded',
    'WriterSettings',
    'interface_folder',
    'look_into',
    'messages_of',
    'read_frames',
    'read_recorded_answer',
    'typestore',
]
