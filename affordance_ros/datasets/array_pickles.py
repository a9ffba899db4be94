# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading arrays out of pickle files of strangers without running anything that is in them."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from affordance_ros.errors import AffordanceError, Code

_BUILTINS = frozenset({'list', 'dict', 'tuple', 'set', 'frozenset', 'int', 'float', 'complex', 'bool', 'str', 'bytes'})
_ARRAY_MODULES = {'_reconstruct': 'multiarray', 'scalar': 'multiarray', '_frombuffer': 'numeric'}


class Skipped:
    """Stands for an object of a class that is not known, such as a spline; holds nothing and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> 'Skipped':
        """Take what the class would be made of."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""


class _Arrays(pickle.Unpickler):  # noqa: S301 - find_class lets nothing run
    def find_class(self, module: str, name: str) -> Any:
        """Return plain types and the parts of arrays; anything else is `Skipped`."""
        if module == 'builtins' and name in _BUILTINS:
            return getattr(__import__('builtins'), name)
        if module == 'numpy' and name in ('ndarray', 'dtype'):
            return getattr(np, name)
        part = _ARRAY_MODULES.get(name)
        if part and module in (f'numpy.core.{part}', f'numpy._core.{part}'):
            return _ARRAY_FUNCTIONS[name]
        return _latin_bytes if (module, name) == ('_codecs', 'encode') else Skipped


def _latin_bytes(text: str, encoding: str) -> bytes:
    """Return bytes that an old protocol wrote as text."""
    if not isinstance(text, str) or encoding != 'latin1':
        raise pickle.UnpicklingError(f'{encoding!r} text for bytes')
    return text.encode('latin1')


def _array_functions() -> dict[str, Any]:
    """Return the functions that arrays are pickled with, wherever this NumPy keeps them."""
    made_by = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0], np.zeros(1).__reduce_ex__(5)[0]
    return dict(zip(_ARRAY_MODULES, made_by, strict=True))


_ARRAY_FUNCTIONS = _array_functions()


def read_arrays(path: Path) -> Any:
    """Return what a pickle file holds: arrays of numbers, text, numbers and containers; other objects are `Skipped`.

    Raises:
        AffordanceError: BAD_INPUT that names a file which is missing or no such pickle.
    """
    try:
        return _Arrays(io.BytesIO(path.read_bytes()), encoding='latin1').load()
    except OSError as error:
        raise AffordanceError(Code.BAD_INPUT, f'{path} cannot be read: {error}') from error
    except Exception as error:  # a broken pickle raises whatever its opcodes run into
        raise AffordanceError(Code.BAD_INPUT, f'{path} is no pickle of arrays: {error!r}') from error
