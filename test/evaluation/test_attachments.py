# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attachments: written once, named in the line, found again when the run has moved."""

import json
import shutil

import pytest

from affordance_ros.errors import AffordanceError
from affordance_ros.evaluation.attachments import Attachment, content_of, located, stored


def test_a_line_names_its_files_and_a_run_may_move(tmp_path):
    line = {'key': 'a', 'truth': {'map': Attachment(b'one', '.png')}, 'maps': [Attachment(b'two', '.tiff'), None, 3]}
    written = stored(line, tmp_path / 'run')
    assert stored(line, tmp_path / 'again') == written
    assert json.loads(json.dumps(written)) == written
    assert written['maps'][1:] == [None, 3]
    shutil.move(tmp_path / 'run', tmp_path / 'moved')
    found = located(written, tmp_path / 'moved')
    assert content_of(found['truth']['map']) == b'one'
    assert content_of(found['maps'][0]) == b'two'
    assert found['truth']['map']['attachment'].endswith('.png')
    shutil.rmtree(tmp_path / 'moved')
    with pytest.raises(AffordanceError, match='is gone'):
        content_of(found['maps'][0])


def test_equal_contents_are_one_file(tmp_path):
    stored({'a': Attachment(b'x', '.png'), 'b': Attachment(b'x', '.png'), 'c': Attachment(b'y', '.png')}, tmp_path)
    assert len([path for path in tmp_path.rglob('*') if path.is_file()]) == 2


def test_a_file_is_read_when_the_line_is_written(tmp_path):
    (tmp_path / 'mask.png').write_bytes(b'later')
    line = located(stored({'a': Attachment(tmp_path / 'mask.png', '.png')}, tmp_path / 'run'), tmp_path / 'run')
    assert content_of(line['a']) == b'later'
    with pytest.raises(AffordanceError, match=r'none\.png cannot be read'):
        stored({'a': Attachment(tmp_path / 'none.png', '.png')}, tmp_path / 'run')
