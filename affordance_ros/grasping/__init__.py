# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From contacts to grasp targets: gripper presets, candidates, clearance, ranking. Numpy only, no ROS."""
