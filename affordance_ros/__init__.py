# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 perception: from a sentence and an RGB-D frame to 3D contacts and grasp targets.

errors, results   the types that the stages exchange        models      the affordance models
pipeline          predict -> lift -> grasp on one screen     geometry    cameras, depth, lifting
nodes             the only ROS code                          grasping    candidates, ranking, clearance
scenes            procedural RGB-D scenes with full truth    training    fine-tuning and pocket checkpoints
"""

import pkgutil

# The generated msg, srv and action modules lie in another folder of the same name when the sources are used in place.
__path__ = pkgutil.extend_path(__path__, __name__)
