# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of answers against truth: numpy only."""
