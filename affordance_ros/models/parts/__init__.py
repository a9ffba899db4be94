# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What two or more models share: tokeniser, checkpoint reading, image preparation, decoding, chat templates."""
