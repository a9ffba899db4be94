# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS code: wiring only. Everything that can be thought without ROS lives in the other packages."""
