# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras, transforms, depth and lifting to 3D: numpy and scipy, no ROS, no torch."""
