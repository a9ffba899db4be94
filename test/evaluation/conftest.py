# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lets the tests of the benchmarks use the tiny checkpoints and data sets."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for mask_data_sets
sys.path.insert(0, str(HERE.parent / 'models'))  # for tiny_qwen_vl and tiny_sam2
