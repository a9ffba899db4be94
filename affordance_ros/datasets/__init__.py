# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data to train and to evaluate on; a dataset yields numpy, never tensors."""
