# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes small data sets in the layouts of ReasonAff, UMD Part Affordance and AGD20K."""

import io
import json

import numpy as np
from PIL import Image
from scipy.io import savemat

WIDTH, HEIGHT = 64, 48
UMD_ORDER = ('grasp', 'cut', 'scoop', 'contain', 'pound', 'support', 'wrap-grasp')
LEFT, RIGHT = np.s_[:, : WIDTH // 2], np.s_[:, WIDTH // 2 :]


def picture(index):
    """Return an RGB image that no other index has."""
    return np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def half(side=LEFT, value=np.True_):
    """Return an array that has a value in one half of the image and 0 in the other."""
    array = np.zeros((HEIGHT, WIDTH), value.dtype)
    array[side] = value
    return array


def save(path, array):
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_umd(root, tools=('knife_01', 'mug_02'), frames=(1, 2, 4, 31)):
    """Write tools whose left half is best grasped and whose right half is best for what they are for.

    Frames 1 and 31 are asked about, 4 has labels and is not, 2 has none. Ranks go up to 4 in knives and to 2 in mugs.
    """
    uses = {'knife': 'cut', 'mug': 'contain', 'mallet': 'pound'}
    for number, name in enumerate(tools):
        tool = name.partition('_')[0]
        for frame in frames:
            stem = root / 'tools' / name / f'{name}_{frame:08d}'
            save(stem.parent / f'{stem.name}_rgb.jpg', picture(100 * number + frame))
            if frame % 3 != 1:
                continue
            ranks = np.zeros((HEIGHT, WIDTH, 7), np.uint8)
            ranks[..., UMD_ORDER.index('grasp')][LEFT] = 1
            ranks[..., UMD_ORDER.index('grasp')][RIGHT] = 2
            ranks[..., UMD_ORDER.index(uses[tool])][RIGHT] = 1
            if tool == 'knife':
                ranks[..., UMD_ORDER.index('support')][LEFT] = 4
            savemat(stem.parent / f'{stem.name}_label_rank.mat', {'gt_label': ranks})
    return root


def write_agd20k(root, part='Seen'):
    """Write four images with a map each, hot in the left half, and one without a map."""
    test_set = root / part / 'testset'
    samples = (('hold', 'cup'), ('cut_with', 'knife'), ('sit_on', 'chair'), ('hold', 'axe'), ('pour', 'wine_glass'))
    for index, (action, thing) in enumerate(samples):
        name = f'{action}/{thing}/{thing}_{index}'
        save(test_set / 'egocentric' / f'{name}.jpg', picture(index))
        if action != 'pour':
            heat = half(LEFT, np.uint8(255))
            heat[:, WIDTH // 2 : WIDTH // 2 + 8] = 100  # warm, and below a half
            save(test_set / 'GT' / f'{name}.png', heat)
    return root


def png(array):
    """Return a picture as the content of a file."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, 'PNG')
    return stream.getvalue()


def reasonaff_rows(count=5):
    """Return rows with the columns of the release; the left half of the image is what is asked for."""
    return [
        {
            'id': f'q{index}',
            'image': {'bytes': png(picture(index)), 'path': None},
            'problem': f'Where would you hold thing {index}?',
            'mask': half().tolist(),
            'img_height': HEIGHT,
            'img_width': WIDTH,
            'mask_h': HEIGHT,
            'mask_w': WIDTH,
            'bboxes': str([[[0, 0], [WIDTH // 2 - 1, HEIGHT - 1]]]),
        }
        for index in range(count)
    ]


def write_reasonaff(root, rows=None, form='arrow'):
    """Write rows as `save_to_disk` of Hugging Face's datasets does, in two files, or as one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(reasonaff_rows() if rows is None else rows)
    if form == 'parquet':
        (root / 'data').mkdir(parents=True)
        pq.write_table(table, root / 'data' / 'test-00000-of-00001.parquet')
        return root
    folder = root / 'test'
    folder.mkdir(parents=True)
    (root / 'dataset_dict.json').write_text(json.dumps({'splits': ['test']}))
    names = [f'data-{index:05d}-of-00002.arrow' for index in range(2)]
    cut = table.num_rows // 2
    for name, part in zip(names, (table.slice(0, cut), table.slice(cut)), strict=True):
        with pa.OSFile(str(folder / name), 'wb') as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(part)
    state = {'_data_files': [{'filename': name} for name in names], '_split': 'test', '_format_type': None}
    (folder / 'state.json').write_text(json.dumps(state))
    (folder / 'dataset_info.json').write_text('{}')
    return root
