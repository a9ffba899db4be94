# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CLIP image preparation: the forms that preprocessor_config.json takes, against transformers' own PIL processor."""

import numpy as np
import pytest
from transformers import CLIPImageProcessorPil

from affordance_ros.errors import AffordanceError
from affordance_ros.models.parts.clip_image import ClipPreprocessor

CONFIGS = [
    {'size': 56, 'crop_size': 56},
    {'size': {'shortest_edge': 56}, 'crop_size': {'height': 56, 'width': 56}},
    {'size': {'shortest_edge': 56}, 'crop_size': 48},
    {'size': {'height': 40, 'width': 56}, 'do_center_crop': False},
    {'size': 30, 'crop_size': 41},
    {'size': 56, 'crop_size': 56, 'image_mean': [0.5, 0.4, 0.3], 'image_std': [0.2, 0.3, 0.4], 'resample': 2},
]


@pytest.mark.parametrize('config', CONFIGS)
@pytest.mark.parametrize('size', [(48, 64), (64, 48), (57, 91), (33, 33)])
def test_equals_the_processor_of_transformers(config, size):
    rgb = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    want = CLIPImageProcessorPil(**config)(rgb, return_tensors='np')['pixel_values'][0]
    got = ClipPreprocessor.from_config(config)(rgb, None)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_padding_puts_the_image_in_the_middle():
    rgb = np.full((20, 40, 3), 255, np.uint8)
    values = ClipPreprocessor(resize=40, crop=(40, 40))(rgb, 'pad')
    assert values.shape == (3, 40, 40)
    assert np.abs(values[:, 0]).max() < 0.02
    assert values[:, 20].min() > 1.5


def test_unknown_aspect_is_refused():
    with pytest.raises(AffordanceError, match='anyres'):
        ClipPreprocessor()(np.zeros((4, 4, 3), np.uint8), 'anyres')
