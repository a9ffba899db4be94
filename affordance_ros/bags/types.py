# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The message types that bags hold: those of Jazzy and our own, read from the .msg files."""

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

import affordance_ros

PACKAGE = 'affordance_ros'


def interface_folder() -> Path | None:
    """Return the folder of our .msg files: of the source tree, else of the installed share folder, else None."""
    source = Path(affordance_ros.__path__[0]).resolve().parent / 'msg'
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p] + [Path(sys.prefix)]
    for folder in (source, *(prefix / 'share' / PACKAGE / 'msg' for prefix in prefixes)):
        if (folder / 'GraspTargetArray.msg').is_file():
            return folder
    return None


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the types of Jazzy and, where the .msg files are found, ours."""
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = interface_folder()
    if folder is not None:
        types = {}
        for path in sorted(folder.glob('*.msg')):
            types.update(get_types_from_msg(path.read_text(encoding='utf-8'), f'{PACKAGE}/msg/{path.stem}'))
        store.register(types)
    return store


def decode(data: bytes | memoryview, kind: str, store: Typestore | None = None) -> Any:
    """Return a CDR message, also one with spare bytes at its end.

    Fast DDS reserves room for aligning the content of sequences of 8-byte numbers even where they are empty, and
    recorders keep it; rosbags refuses a message that is not all read. Raises SerdeError for what is no such message.
    """
    types = store or typestore()
    try:
        return types.deserialize_cdr(data, kind)
    except SerdeError as error:
        if 'size mismatch' not in str(error):
            raise
    definition = types.get_msgdef(kind)
    read = definition.deserialize_cdr_le if data[1] & 1 else definition.deserialize_cdr_be
    return read(memoryview(data)[4:], 0, definition.cls, types)[0]
