# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: a recorded bag asked frame by frame, what came of it, and whether it is good enough."""
