# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural table-top RGB-D scenes with full truth, rendered headless by ray casting (Open3D, no OpenGL).

`sample_scene(seed).render()` gives a `View`; `scene.truth(view, part_id)` what is true of a part in it.
"""

from affordance_ros.scenes.sampling import PRESETS, CameraPreset, sample_scene
from affordance_ros.scenes.scene import Scene
from affordance_ros.scenes.sensor import SensorModel
from affordance_ros.scenes.sentences import ScenePart
from affordance_ros.scenes.view import PartTruth, View

__all__ = ['PRESETS', 'CameraPreset', 'PartTruth', 'Scene', 'ScenePart', 'SensorModel', 'View', 'sample_scene']
