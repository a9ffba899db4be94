# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Readers of ReasonAff, UMD and AGD20K: what is asked, in which order, and the sentence for what is missing."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parents[1] / 'evaluation'))
from mask_data_sets import (  # noqa: E402
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    half,
    picture,
    png,
    reasonaff_rows,
    write_agd20k,
    write_reasonaff,
    write_umd,
)

from affordance_ros.datasets.agd20k import Agd20k  # noqa: E402
from affordance_ros.datasets.reasonaff import ReasonAff  # noqa: E402
from affordance_ros.datasets.umd import AFFORDANCES, USES, Umd, best_at, read_ranks  # noqa: E402
from affordance_ros.errors import AffordanceError, Code  # noqa: E402


def refusal(pattern, call, *arguments):
    with pytest.raises(AffordanceError, match=pattern) as caught:
        call(*arguments)
    return caught.value.code


def test_umd_asks_a_thirtieth_of_the_frames_for_use_and_grasp(tmp_path):
    questions = Umd(write_umd(tmp_path)).questions()
    assert [(question.id.removeprefix('tools/'), question.action) for question in questions] == [
        (f'{tool}/{tool}_{frame:08d}', action)
        for tool, use in (('knife_01', 'cut'), ('mug_02', 'contain'))
        for frame in (1, 31)
        for action in (use, 'grasp')
    ]
    assert questions[0].text == 'What part of the knife should we interact with in order to cut it?'
    assert questions[3].text == 'What part of the knife should we interact with in order to grasp it?'
    assert len(USES) == 17
    assert set(USES.values()) | {'grasp', 'wrap-grasp'} == set(AFFORDANCES)


def test_umd_ranks_say_what_a_pixel_is_best_for(tmp_path):
    question = Umd(write_umd(tmp_path)).questions()[0]
    ranks = read_ranks(question)
    assert ranks.shape == (HEIGHT, WIDTH, 7)
    assert (best_at(ranks, 'grasp') == half(LEFT)).all()
    assert (best_at(ranks, 'cut') == half(RIGHT)).all()
    assert not best_at(ranks, 'support').any()


def test_what_is_missing_of_umd(tmp_path):
    assert refusal('no TOOL_NN.*below .*is at https://users.umiacs', Umd(tmp_path / 'none').questions) == Code.BAD_INPUT
    root = write_umd(tmp_path / 'a')
    label = root / 'tools' / 'mug_02' / 'mug_02_00000031_label_rank.mat'
    label.unlink()
    refusal('there is no .*mug_02_00000031_label_rank.mat beside its frame', Umd(root).questions)
    savemat(label, {'gt_label': np.zeros((4, 4), np.uint8)})
    refusal(r'must be \(H, W, 7\), got \(4, 4\)', read_ranks, Umd(root).questions()[-1])
    savemat(label, {'other': np.zeros(3)})
    refusal('is no file of labels', read_ranks, Umd(root).questions()[-1])
    label.write_text('nothing')
    refusal('is no file of labels', read_ranks, Umd(root).questions()[-1])
    (root / 'tools' / 'mug_02').rename(root / 'tools' / 'lamp_02')
    refusal('lamp_02 is of no known tool', Umd(root).questions)


def test_agd20k_asks_images_with_a_map_in_the_order_of_their_names(tmp_path):
    data = Agd20k(write_agd20k(tmp_path))
    questions = data.questions()
    assert [question.id for question in questions] == [
        'cut_with/knife/knife_1', 'hold/axe/axe_3', 'hold/cup/cup_0', 'sit_on/chair/chair_2',
    ]  # fmt: skip
    assert questions[0].text == 'What part of the knife should we interact with in order to cut_with it?'
    assert data.without_truth == 1
    assert Image.open(questions[0].truth).size == (WIDTH, HEIGHT)


def test_what_is_missing_of_agd20k(tmp_path):
    refusal('there is no folder .*Seen/testset/egocentric; AGD20K is at', Agd20k(tmp_path).questions)
    root = write_agd20k(tmp_path)
    refusal('there is no folder .*Unseen/testset', Agd20k(root, 'Unseen').questions)
    refusal("part must be one of Seen, Unseen, got 'seen'", Agd20k, root, 'seen')
    for path in (root / 'Seen' / 'testset' / 'GT').rglob('*.png'):
        path.unlink()
    refusal('none of the 5 images', Agd20k(root).questions)


@pytest.mark.parametrize('form', ['arrow', 'parquet'])
def test_reasonaff_rows_are_read_one_by_one(tmp_path, form):
    pytest.importorskip('pyarrow')
    rows = list(ReasonAff(write_reasonaff(tmp_path, form=form)).questions())
    assert [row.id for row in rows] == [f'q{index}' for index in range(5)]
    assert rows[3].text == 'Where would you hold thing 3?'
    assert rows[3].size == (WIDTH, HEIGHT)
    assert (rows[3].image() == picture(3)).all()
    assert (rows[3].mask() == half()).all()
    assert rows[3].value('bboxes') == '[[[0, 0], [31, 47]]]'
    assert rows[3].value('no_such_column') is None


def test_reasonaff_masks_in_other_forms(tmp_path):
    pytest.importorskip('pyarrow')
    numbers = [row | {'mask': half(LEFT, np.uint8(255)).tolist()} for row in reasonaff_rows(2)]
    assert ReasonAff(write_reasonaff(tmp_path / 'numbers', numbers)).table.num_rows == 2
    row = next(ReasonAff(tmp_path / 'numbers').questions())
    assert row.mask().sum() == 255 * half().sum()
    pictures = [row | {'mask': {'bytes': png(half(LEFT, np.uint8(255))), 'path': None}} for row in reasonaff_rows(2)]
    row = next(ReasonAff(write_reasonaff(tmp_path / 'pictures', pictures)).questions())
    assert (row.mask() == half(LEFT, np.uint8(255))).all()
    for name, mask, sentence in (
        ('ragged', [[True, False], [True]], 'no rectangle of numbers'), ('none', [], 'has no mask'),
    ):  # fmt: skip
        broken = [row | {'mask': mask} for row in reasonaff_rows(2)]
        refusal(sentence, next(ReasonAff(write_reasonaff(tmp_path / name, broken)).questions()).mask)


def test_what_is_missing_of_reasonaff(tmp_path, monkeypatch):
    pytest.importorskip('pyarrow')
    refusal(
        'there is neither .*test/state.json nor .*test.*parquet.*links ReasonAff', lambda: ReasonAff(tmp_path).files
    )
    root = write_reasonaff(tmp_path / 'a')
    (root / 'test' / 'data-00001-of-00002.arrow').unlink()
    refusal('there is no .*data-00001-of-00002.arrow, which .*state.json names', lambda: ReasonAff(root).table)
    (root / 'test' / 'data-00001-of-00002.arrow').write_bytes(b'no arrow at all')
    refusal('cannot be read', lambda: ReasonAff(root).table)
    (root / 'test' / 'state.json').write_text(json.dumps({'_data_files': 3}))
    refusal('names no data files', lambda: ReasonAff(root).table)
    short = [{name: value for name, value in row.items() if name != 'mask'} for row in reasonaff_rows()]
    refusal('lacks the column mask', lambda: ReasonAff(write_reasonaff(tmp_path / 'b', short)).table)
    rows = reasonaff_rows(3)
    rows[0]['problem'], rows[1]['image'] = ' ', {'bytes': b'', 'path': '../outside.png'}
    rows[2]['image'] = {'bytes': b'noise', 'path': None}
    read = list(ReasonAff(write_reasonaff(tmp_path / 'c', rows)).questions())
    refusal('has no question', lambda: read[0].text)
    assert refusal('there is no picture', read[1].image) == Code.NO_IMAGE
    assert refusal('cannot be read as an image', read[2].image) == Code.NO_IMAGE
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    refusal(r'affordance_ros\[arrow\]', lambda: ReasonAff(tmp_path / 'c').table)
