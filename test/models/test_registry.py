# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The registry: names, suggestions, and a listing that imports no heavy package."""

import subprocess
import sys

import pytest

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import list_models, load_model


def test_listing_needs_neither_torch_nor_transformers():
    code = (
        'import sys; sys.path[:0] = '
        + repr([path for path in sys.path if path])
        + '; import affordance_ros.models as m; '
        "m.load_model('fake'); names = [e.name for e in m.list_models()]; "
        "assert not {'torch', 'transformers'} & set(sys.modules); print(*names)"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [entry.name for entry in list_models()]


def test_entries_are_complete():
    for entry in list_models():
        assert entry.summary
        assert entry.outputs
        assert entry.get_checkpoint
        assert ':' in entry.target
    assert {'robopoint', 'fake'} <= {entry.name for entry in list_models()}


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(AffordanceError, match="did you mean 'robopoint'") as caught:
        load_model('robopont')
    assert caught.value.code == Code.UNKNOWN_MODEL
    with pytest.raises(AffordanceError, match='known: robopoint'):
        load_model('zzz')


def test_unknown_options_are_answered_with_the_nearest():
    with pytest.raises(AffordanceError, match="did you mean 'delay_s'") as caught:
        load_model('fake', delays=1)
    assert caught.value.code == Code.BAD_INPUT
