# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOVA-500K's lists are read as the official code reads them: paths in both layouts, words, what is left out."""

import json
from pathlib import Path

import pytest

from affordance_ros.datasets.hova import Hova, first_name
from affordance_ros.errors import AffordanceError

CASES = Path(__file__).parents[1] / 'data' / 'parity' / 'glover' / 'expected' / 'label_cases.json'
RECORDED = json.loads(CASES.read_text())
LABELS = [case for case in RECORDED['ego4d_labels'] if isinstance(case['label'], str)]
RECORDS = {
    'handal': {'img_path': 's/1.jpg', 'mask_path': 's/1_handle.png', 'gt_path': 's/1_g.png', 'noun': 'hammer_(claw)'},
    'ego4d': {'img_path': 'v/00001', 'gt_path': '00001.png', 'noun': 'x_(cup)', 'action': 'y_(pick,_lift)'},
    'epic100': {'img_path': 'P01/f.jpg', 'gt_path': 'f.png', 'noun': 'tap:kitchen_(x)', 'verb': 'turn-on'},
    '3doi': {'img_name': 'a.jpg', 'gt_path': 'a.png', 'object': 'door'},
}
SNAPSHOT_NAMES = {'handal': 'handal_2000_sp', 'ego4d': 'ego4d', 'epic100': 'epic100_2000'}


def write_lists(root, names, split='test'):
    (root / 'annotations' / split).mkdir(parents=True)
    for source, name in names.items():
        (root / 'annotations' / split / f'{name}.json').write_text(json.dumps([RECORDS[source]]))


@pytest.mark.parametrize('case', LABELS, ids=lambda case: repr(case['label'][:20]))
def test_labels_of_ego4d_as_officially(case):
    assert first_name(case['label']) == case['noun'] == case['action']


def test_paths_and_words_of_the_first_code(tmp_path):
    write_lists(tmp_path, SNAPSHOT_NAMES)
    data = Hova(tmp_path, layout='snapshot')
    want = RECORDED['other'][0]['result']
    samples = [sample for source in data.sources for sample in data.samples(source)]
    assert [str(sample.image) for sample in samples] == [
        path.replace('ROOT', str(tmp_path)) for path in want['img_paths']
    ]
    assert [str(sample.truth) for sample in samples] == [
        path.replace('ROOT', str(tmp_path)) for path in want['gt_paths']
    ]
    assert str(samples[0].part) == want['mask_part_paths'][0].replace('ROOT', str(tmp_path))
    assert [sample.action for sample in samples] == ['pick up', 'pick', 'turn-on'] == want['actions']
    assert [sample.object for sample in samples] == want['nouns']
    assert [sample.part for sample in samples[1:]] == [None, None]


def test_the_archives_as_they_are_now(tmp_path):
    write_lists(tmp_path, {source: source for source in RECORDS if source != '3doi'})
    write_lists(tmp_path, {source: source for source in RECORDS}, 'train')
    test = Hova(tmp_path)
    (ego,), (epic,) = test.samples('ego4d'), test.samples('epic100')
    assert ego.image == tmp_path / 'Ego4D/frames/v/00001.jpg'
    assert epic.truth == tmp_path / 'epic-100/EPIC-KITCHENS_frames/GT_gaussian/validation/f.png'
    train = Hova(tmp_path, split='train', labels='adapt')
    assert [train.folders(source).truth for source in train.sources] == [
        'HANDAL/annotations/GT_gaussian_train_sp_50',
        'Ego4D/GT_gaussian_sp_70',
        'epic-100/EPIC-KITCHENS_frames/GT_gaussian_sp',
        '3doi/GT_gaussian',
    ]
    (door,), (tap,) = train.samples('3doi'), train.samples('epic100')
    assert (door.object, door.action, door.image) == ('door', '', tmp_path / '3doi/images/a.jpg')
    assert tap.object == 'tap'
    assert list(Hova(tmp_path, split='train', layout='snapshot').samples('epic100')) == []


def test_what_is_missing_or_wrong_is_named(tmp_path):
    with pytest.raises(AffordanceError, match=r'annotations/test/handal\.json; HOVA-500K is at https'):
        list(Hova(tmp_path).samples('handal'))
    with pytest.raises(AffordanceError, match='no source of the test split'):
        Hova(tmp_path).annotations('3doi')
    with pytest.raises(AffordanceError, match='layout must be one of'):
        Hova(tmp_path, layout='old')
    (tmp_path / 'annotations' / 'test').mkdir(parents=True)
    path = tmp_path / 'annotations' / 'test' / 'ego4d.json'
    for record, sentence in (
        ({}, 'no record of ego4d'),
        ({**RECORDS['ego4d'], 'noun': 5}, 'no text'),
        ({**RECORDS['ego4d'], 'gt_path': '../../x.png'}, 'must be a path below'),
    ):
        path.write_text(json.dumps([record]))
        with pytest.raises(AffordanceError, match=sentence):
            list(Hova(tmp_path).samples('ego4d'))
