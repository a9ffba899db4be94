# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of models share: the parity set, loaded networks, one thread."""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for tiny_robopoint

PARITY = Path(__file__).parents[1] / 'data' / 'parity' / 'robopoint'
_CHECKPOINTS = {
    'vicuna_full': ('robopoint-v1-vicuna-v1.5-tiny', None),
    'llama2_full': ('robopoint-v1-llama-2-tiny', None),
    'vicuna_lora': ('robopoint-v1-vicuna-v1.5-tiny-lora', 'vicuna-tiny-v1.5'),
    'llama2_lora': ('robopoint-v1-llama-2-tiny-lora', 'llama-2-tiny-chat-hf'),
}


class RoboPointSet:
    """The recorded set: checkpoints, images, goldens."""

    root = PARITY
    clip = str(PARITY / 'checkpoint' / 'clip-vit-tiny-patch14')
    variants = tuple(_CHECKPOINTS)
    images = tuple(sorted(path.stem for path in (PARITY / 'inputs' / 'images').glob('*.png')))

    @staticmethod
    def options(variant):
        checkpoint, base = _CHECKPOINTS[variant]
        options = {'checkpoint': str(PARITY / 'checkpoint' / checkpoint), 'clip': RoboPointSet.clip}
        return options | ({'base': str(PARITY / 'checkpoint' / base)} if base else {})

    @staticmethod
    @functools.cache
    def model(variant, dtype='float32', **options):
        from affordance_ros.models import load_model

        return load_model('robopoint', dtype=dtype, **RoboPointSet.options(variant), **options)

    @staticmethod
    def rgb(case):
        return np.array(Image.open(PARITY / 'inputs' / 'images' / f'{case}.png').convert('RGB'))

    @staticmethod
    @functools.cache
    def read(name):
        path = PARITY / 'expected' / name
        if path.suffix == '.npz':
            with np.load(path) as arrays:
                return dict(arrays)
        return json.loads(path.read_text())


@pytest.fixture(scope='session', autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope='session')
def robopoint_set():
    return RoboPointSet
