# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Affordance models behind one contract. Importing this package imports neither torch nor transformers."""

from affordance_ros.models.base import AffordanceModel, LoadOptions, ModelInfo, Progress
from affordance_ros.models.registry import ModelEntry, list_models, load_model

__all__ = ['AffordanceModel', 'LoadOptions', 'ModelEntry', 'ModelInfo', 'Progress', 'list_models', 'load_model']
