# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the models: named recipes, a resumable loop, checkpoints in the official layout, held-out evaluation."""
