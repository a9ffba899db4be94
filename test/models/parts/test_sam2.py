# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAM 2 against the recorded official image predictor, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Sam2Config, Sam2Model

sys.path.insert(0, str(Path(__file__).parents[1]))  # for tiny_sam2

import tiny_sam2

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.sam2 import Sam2
from affordance_ros.models.parts.sam2_loading import load_sam2_network, package_config
from affordance_ros.models.parts.segmenting import MaskPrompts, best_candidate, union

ROOT = Path(__file__).parents[2] / 'data' / 'parity' / 'sam2'
CASES = {case['name']: case for case in json.loads((ROOT / 'expected.json').read_text())['cases']}
# Parameters of the image part as transformers counts them; large as published for the sam2 package, image mode.
OFFICIAL = {
    'tiny': (96, 1, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), 7),
    'small': (96, 1, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), 7),
    'base+': (112, 2, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), 14),
    'large': (144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), 7),
}


@pytest.fixture(scope='module')
def recorded():
    with np.load(ROOT / 'expected.npz') as arrays:
        return dict(arrays)


@pytest.fixture(scope='module', params=['sam2_pkg', 'sam2_hf'])
def sam2(request):
    return Sam2(ROOT / request.param)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return Sam2(tiny_sam2.build_folder(tmp_path_factory.mktemp('sam2')))


def image(name):
    return np.array(Image.open(ROOT / 'inputs' / f'{name}.png').convert('RGB'))


def unpacked(bits, shape):
    return np.unpackbits(bits)[: shape[0] * shape[1]].reshape(shape).astype(bool)


@pytest.mark.parametrize('name', CASES)
def test_image_features_equal_the_official_predictor(sam2, recorded, name):
    rgb = image(name)
    pixels = sam2.pixels(rgb)[0].numpy()
    assert np.abs(pixels[:, ::64, ::64] - recorded[f'{name}.sam_pixels_every64']).max() <= 1e-5
    high, middle, embedding = (maps[0].numpy() for maps in sam2.embed(rgb))
    assert np.abs(embedding[:, ::8, ::8] - recorded[f'{name}.sam_image_embed_every8']).max() <= 1e-4
    assert np.abs(high[:, ::32, ::32] - recorded[f'{name}.sam_high_res_s0_every32']).max() <= 1e-4
    assert np.abs(middle[:, ::16, ::16] - recorded[f'{name}.sam_high_res_s1_every16']).max() <= 1e-4


@pytest.mark.parametrize('name', CASES)
def test_masks_scores_and_union_equal_the_official_predictor(sam2, recorded, name):
    rgb = image(name)
    for number, answer in enumerate(CASES[name]['answers']):
        prompts = MaskPrompts(answer['boxes'], answer['points'])
        masks = sam2.segment(rgb, prompts)
        found = sam2.logits(rgb, prompts) if answer['items'] else None
        for index, item in enumerate(answer['items']):
            key = f'{name}.%s_{number}_{index}'
            low = found.low_res[index].clamp(-32, 32).numpy()
            assert np.abs(low[:, ::4, ::4] - recorded[key % 'sam_low_every4']).max() <= 1e-3
            assert np.abs(found.scores[index].numpy() - recorded[key % 'sam_scores']).max() <= 1e-4
            assert masks.scores[index] == pytest.approx(item['scores'][item['chosen']], abs=1e-4)
            best = unpacked(recorded[key % 'sam_mask_best'], rgb.shape[:2])
            assert (masks.masks[index] != best).sum() <= 20
        whole = unpacked(recorded[f'{name}.union_{number}'], rgb.shape[:2])
        assert (union(masks, *rgb.shape[:2]) != whole).sum() <= 20 * max(1, len(answer['items']))


def test_an_image_is_encoded_once_for_all_prompts_on_it(tiny):
    first, second = image('mug_640x480'), image('chair_portrait_450x800')
    start = tiny.images_encoded
    for point in ((10, 20), (300, 200)):
        tiny.segment(first, MaskPrompts(points=np.array([point])))
    assert tiny.images_encoded == start + 1
    tiny.segment(second, MaskPrompts(points=np.array([[10, 20]])))
    assert tiny.images_encoded == start + 2


def test_many_prompts_at_once_equal_one_by_one(tiny):
    rgb = image('mug_640x480')
    boxes = np.array([[x, y, x + 120, y + 90] for x in (0, 200, 400) for y in (0, 150, 300, 380)], float)
    points = (boxes[:, :2] + boxes[:, 2:]) / 2
    together = tiny.segment(rgb, MaskPrompts(boxes, points))
    assert together.masks.any()
    for index in range(len(boxes)):
        alone = tiny.segment(rgb, MaskPrompts(boxes[index : index + 1], points[index : index + 1]))
        assert (alone.masks[0] != together.masks[index]).sum() <= 5
        assert alone.scores[0] == pytest.approx(together.scores[index], abs=1e-5)


def test_points_alone_and_boxes_alone_give_different_masks(tiny):
    rgb = image('mug_640x480')
    by_point = tiny.segment(rgb, MaskPrompts(points=np.array([[320, 240]])))
    by_box = tiny.segment(rgb, MaskPrompts(boxes=np.array([[200, 100, 440, 380]])))
    assert by_point.masks.shape == by_box.masks.shape == (1, 480, 640)
    assert by_point.scores[0] != by_box.scores[0]


def test_official_precision_stays_near_the_precise_one(tmp_path):
    folder = tiny_sam2.build_folder(tmp_path)
    rgb, prompts = image('mug_640x480'), MaskPrompts(points=np.array([[320, 240], [100, 100]]))
    precise, official = (Sam2(folder, precision=name).segment(rgb, prompts) for name in ('precise', 'official'))
    assert 0 < np.abs(precise.scores - official.scores).max() < 0.05
    assert (precise.masks != official.masks).mean() < 0.1


def test_the_last_of_equal_scores_wins():
    scores = np.array([[0.5, 0.5, 0.2], [0.1, 0.7, 0.7], [0.9, 0.1, 0.9], [0.3, 0.2, 0.1]], np.float32)
    assert best_candidate(scores).tolist() == [1, 2, 2, 0]
    assert best_candidate(scores).tolist() == [int(np.argsort(row)[::-1][0]) for row in scores]


def test_package_file_and_folder_with_the_same_weights_agree(tiny, tmp_path):
    package = Sam2(tiny_sam2.build_package(tmp_path))
    rgb, prompts = image('knife_1280x720'), MaskPrompts([[300, 200, 700, 500]], [[500, 350]])
    assert np.array_equal(package.segment(rgb, prompts).masks, tiny.segment(rgb, prompts).masks)


@pytest.mark.parametrize('size', OFFICIAL)
def test_official_sizes_need_no_yaml(size, tmp_path):
    width, heads, stages, blocks, windows, background = OFFICIAL[size]
    dims = [width * 2**stage for stage in range(4)]
    backbone = {
        'model_type': 'sam2_hiera_det_model', 'hidden_size': width, 'num_attention_heads': heads,
        'blocks_per_stage': list(stages), 'embed_dim_per_stage': dims,
        'num_attention_heads_per_stage': [heads * 2**stage for stage in range(4)],
        'global_attention_blocks': list(blocks), 'window_size_per_stage': list(windows),
        'window_positional_embedding_background_size': [background, background],
    }  # fmt: skip
    config = Sam2Config(vision_config={'backbone_config': backbone, 'backbone_channel_list': dims[::-1]})
    with torch.device('meta'):
        model = Sam2Model(config)
        tensors = tiny_sam2.package_tensors(model)
    found = package_config(tmp_path / 'sam2.pt', {key: tuple(tensor.shape) for key, tensor in tensors.items()})
    ours, wanted = found.vision_config.backbone_config, config.vision_config.backbone_config
    for name in backbone:
        assert getattr(ours, name) == getattr(wanted, name), name
    with torch.device('meta'):
        rebuilt = Sam2Model(found)
    shapes = ({name: tensor.shape for name, tensor in net.state_dict().items()} for net in (model, rebuilt))
    assert next(shapes) == next(shapes)


def refusal(path):
    with pytest.raises(AffordanceError) as caught:
        load_sam2_network(path, torch.device('cpu'))
    return caught.value


def test_a_missing_file_says_what_to_get(tmp_path):
    for path in (tmp_path / 'absent.pt', tmp_path):
        error = refusal(path)
        assert error.code == Code.MISSING_WEIGHTS
        assert 'sam2_hiera_large.pt' in error.message


def test_a_file_of_another_kind_is_refused(tmp_path):
    sam1 = tmp_path / 'sam_vit_b.pth'
    torch.save({'image_encoder.pos_embed': torch.zeros(1, 2, 2, 4)}, sam1)
    assert 'SAM 1' in refusal(sam1).message
    (tmp_path / 'noise.pt').write_bytes(b'not a checkpoint at all')
    assert refusal(tmp_path / 'noise.pt').code == Code.BAD_CHECKPOINT
    (tmp_path / 'weights.onnx').write_bytes(b'x')
    assert refusal(tmp_path / 'weights.onnx').code == Code.BAD_CHECKPOINT
    torch.save({'model': torch.nn.Linear(2, 2)}, tmp_path / 'pickled.pt')
    assert 'not trusted' in refusal(tmp_path / 'pickled.pt').message


def test_a_folder_of_another_model_is_refused(tmp_path):
    error = refusal(tiny_sam2.build_folder(tmp_path, kind='sam'))
    assert error.code == Code.BAD_CHECKPOINT
    assert "'sam'" in error.message


def test_several_files_in_one_folder_are_not_guessed(tmp_path):
    file = tiny_sam2.build_package(tmp_path)
    (tmp_path / 'other.pt').write_bytes(file.read_bytes())
    error = refusal(tmp_path)
    assert error.code == Code.BAD_INPUT
    assert 'tiny.pt' in error.message


def test_an_unknown_size_asks_for_its_yaml_and_a_wrong_yaml_is_named(tmp_path):
    file = tiny_sam2.build_package(tmp_path, with_yaml=False)
    assert '.yaml' in refusal(file).message
    (tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(
        {'model': {'image_encoder': {'trunk': {'stages': [2, 6, 36, 4]}}, 'image_size': 128}}
    ))  # fmt: skip
    assert '48 blocks' in refusal(file).message
    (tmp_path / 'tiny.yaml').write_text('model: [1, 2')
    assert refusal(file).code == Code.BAD_CHECKPOINT


def test_missing_unexpected_and_misshapen_keys_are_named(tmp_path):
    folder = tiny_sam2.build_folder(tmp_path)
    tensors = load_file(folder / 'model.safetensors')
    tensors['mask_decoder.extra.weight'] = torch.zeros(2)
    tensors['vision_encoder.neck.convs.0.bias'] = torch.zeros(5)
    del tensors['no_memory_embedding']
    save_file(tensors, folder / 'model.safetensors')
    message = refusal(folder).message
    for key in ('mask_decoder.extra.weight', 'vision_encoder.neck.convs.0.bias', 'no_memory_embedding'):
        assert key in message


def test_prompts_must_be_finite_and_as_many():
    for boxes, points in ((None, None), ([[0, 0, 1, 1]], [[1, 2], [3, 4]]), (None, [[np.nan, 1]])):
        with pytest.raises(AffordanceError) as caught:
            MaskPrompts(boxes, points)
        assert caught.value.code == Code.BAD_INPUT


def test_stop_ends_it_before_the_encoder(tiny):
    start = tiny.images_encoded
    with pytest.raises(AffordanceError) as caught:
        tiny.segment(np.zeros((60, 80, 3), np.uint8), MaskPrompts(points=np.array([[1, 1]])), stop=lambda: True)
    assert caught.value.code == Code.CANCELED
    assert tiny.images_encoded == start
