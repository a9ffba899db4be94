# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where HOVA-500K keeps its lists, images and maps: the archives as they are, and as the first published code did."""

from dataclasses import dataclass

SOURCES = ('handal', 'ego4d', 'epic100', '3doi')
SPLITS = ('test', 'train')
LAYOUTS = ('release', 'snapshot')
LABELS = ('mp', 'sp', 'adapt')

_IMAGES = {
    'release': {
        'handal': 'HANDAL/images',
        'ego4d': 'Ego4D/frames',
        'epic100': 'epic-100/EPIC-KITCHENS_frames',
        '3doi': '3doi/images',
    },
    'snapshot': {
        'handal': 'HANDAL/images',
        'ego4d': 'Ego4D/frames_copy',
        'epic100': 'epic-100/EPIC-KITCHENS_frames',
        '3doi': '3doi_data/images',
    },
}
_TEST_TRUTH = {
    'release': {
        'handal': 'HANDAL/annotations/GT_gaussian_test',
        'ego4d': 'Ego4D/GT_gaussian',
        'epic100': 'epic-100/EPIC-KITCHENS_frames/GT_gaussian/validation',
    },
    'snapshot': {
        'handal': 'HANDAL/annotations/GT_gaussian_test_2000_sp',
        'ego4d': 'Ego4D/GT_gaussian_sp_70',
        'epic100': 'epic-100/EPIC-KITCHENS_frames/GT_gaussian_sp/test',
    },
}
_TRAIN_TRUTH = {
    'handal': ('HANDAL/annotations/GT_gaussian_train', {'sp': '_sp', 'adapt': '_sp_50'}),
    'ego4d': ('Ego4D/GT_gaussian', {'sp': '_sp', 'adapt': '_sp_70'}),
    'epic100': ('epic-100/EPIC-KITCHENS_frames/GT_gaussian', {'sp': '_sp', 'adapt': '_sp'}),
    '3doi': ('{}/GT_gaussian', {}),
}
_TEST_LISTS = {'snapshot': {'handal': 'handal_2000_sp', 'epic100': 'epic100_2000'}}


@dataclass(frozen=True)
class Folders:
    """Paths below the root: the list (a JSON file), the folder of the images and the one of the maps."""

    annotations: str
    images: str
    truth: str


def folders_of(layout: str, split: str, labels: str, source: str) -> Folders:
    """Return the paths of a source; the names must be known ones."""
    images = _IMAGES[layout][source]
    name = _TEST_LISTS.get(layout, {}).get(source, source) if split == 'test' else source
    if split == 'test':
        truth = _TEST_TRUTH[layout][source]
    else:
        base, endings = _TRAIN_TRUTH[source]
        truth = base.format(images.split('/')[0]) + endings.get(labels, '')
    return Folders(f'annotations/{split}/{name}.json', images, truth)
