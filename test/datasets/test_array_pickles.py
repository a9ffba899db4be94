# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays come out of foreign pickles, and nothing in them is run."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from affordance_ros.datasets.array_pickles import Skipped, read_arrays
from affordance_ros.errors import AffordanceError


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('protocol', range(2, 6))
def test_arrays_in_any_protocol(tmp_path, protocol):
    arrays = {'f': np.arange(6.0).reshape(3, 2), 'i': np.array([1, 2], np.int32), 's': np.float64(2.5), 'n': None}
    content = {'arrays': arrays, 'text': ['RIGHT', ('a', 1)], 'fit': CubicHermiteSpline([0, 1], [0, 1], [1, 1])}
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content, protocol))
    read = read_arrays(tmp_path / 'a.pkl')
    assert np.array_equal(read['arrays']['f'], arrays['f'])
    assert read['arrays']['i'].dtype == np.int32
    assert (read['arrays']['s'], read['arrays']['n'], read['text']) == (2.5, None, ['RIGHT', ('a', 1)])
    assert isinstance(read['fit'], Skipped)


def test_nothing_is_run(tmp_path):
    flag = tmp_path / 'flag'
    for content in (Attack(flag), {'a': [Attack(flag)]}, np.array([Attack(flag)], object), OrderedDict(a=Attack(flag))):
        (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content))
        try:
            read_arrays(tmp_path / 'a.pkl')
        except AffordanceError as error:
            assert 'no pickle of arrays' in error.message  # noqa: PT017 - some contents are refused, none may run
        assert not flag.exists()


@pytest.mark.parametrize('name', ['eval', 'exec', 'getattr', '__import__', 'open'])
def test_builtins_that_do_things_are_skipped(tmp_path, name):
    (tmp_path / 'a.pkl').write_bytes(b'cbuiltins\n' + name.encode() + b'\n(S"1"\ntR.')
    assert isinstance(read_arrays(tmp_path / 'a.pkl'), Skipped)


def test_what_is_no_pickle_is_named(tmp_path):
    with pytest.raises(AffordanceError, match=r'none\.pkl cannot be read'):
        read_arrays(tmp_path / 'none.pkl')
    for content in (b'', b'hello', pickle.dumps({'a': np.zeros(9)})[:-20]):
        Path(tmp_path / 'a.pkl').write_bytes(content)
        with pytest.raises(AffordanceError, match='no pickle of arrays'):
            read_arrays(tmp_path / 'a.pkl')
