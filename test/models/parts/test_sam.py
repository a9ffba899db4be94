# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAM as a part: equal to transformers' own implementation, sizes read from shapes, strict loading."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models.parts.sam import Sam, SamGeometry, SamHead, load_sam, prepare, upscale

TINY = SamGeometry(
    channels=32, decoder_layers=2, decoder_mlp=24, decoder_inner=16, hyper=(32, 32, 32, 4), iou=(32, 20, 20, 4),
    mask_tokens=4, mask_channels=16, patch=8, grid=10, vit_dim=24, vit_heads=3, vit_mlp=48, windows=(4, 0),
)  # fmt: skip
# Published sizes of the three releases: width, blocks, heads, global blocks, parameters of the image encoder.
RELEASES = {
    'vit_b': (768, 12, 12, (2, 5, 8, 11), 89_670_912),
    'vit_l': (1024, 24, 16, (5, 11, 17, 23), 308_278_272),
    'vit_h': (1280, 32, 16, (7, 15, 23, 31), 637_026_048),
}
HF_NAMES = (
    (r'^image_encoder\.', 'vision_encoder.'), (r'\.blocks\.', '.layers.'),
    (r'patch_embed\.proj', 'patch_embed.projection'), (r'(vision_encoder.*|layers\.\d+)\.norm(\d)', r'\1.layer_norm\2'),
    (r'neck\.0', 'neck.conv1'), (r'neck\.1', 'neck.layer_norm1'), (r'neck\.2', 'neck.conv2'),
    (r'neck\.3', 'neck.layer_norm2'), (r'mask_downscaling\.0', 'mask_embed.conv1'),
    (r'mask_downscaling\.1', 'mask_embed.layer_norm1'), (r'mask_downscaling\.3', 'mask_embed.conv2'),
    (r'mask_downscaling\.4', 'mask_embed.layer_norm2'), (r'mask_downscaling\.6', 'mask_embed.conv3'),
    (r'point_embeddings', 'point_embed'),
    (r'pe_layer\.positional_encoding_gaussian_matrix', 'shared_embedding.positional_embedding'),
    (r'output_upscaling\.0', 'upscale_conv1'), (r'output_upscaling\.1', 'upscale_layer_norm'),
    (r'output_upscaling\.3', 'upscale_conv2'), (r'norm_final_attn', 'layer_norm_final_attn'),
    (r'((?:mlps\.\d|head))\.layers\.0', r'\1.proj_in'), (r'((?:mlps\.\d|head))\.layers\.1', r'\1.layers.0'),
    (r'((?:mlps\.\d|head))\.layers\.2', r'\1.proj_out'),
)  # fmt: skip


def random_sam(geometry=TINY):
    torch.manual_seed(0)
    sam = Sam(geometry).eval()
    with torch.no_grad():
        for parameter in sam.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return sam


def hf_twin(sam):
    """Transformers' network with the same weights."""
    g = sam.geometry
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=g.vit_dim, output_channels=g.channels, num_hidden_layers=len(g.windows), mlp_dim=g.vit_mlp,
            num_attention_heads=g.vit_heads, image_size=g.image_size, patch_size=g.patch,
            window_size=max(g.windows), global_attn_indexes=[i for i, w in enumerate(g.windows) if not w],
            num_pos_feats=g.channels // 2,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=g.channels, image_size=g.image_size, patch_size=g.patch, mask_input_channels=g.mask_channels
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=g.channels, mlp_dim=g.decoder_mlp, num_attention_heads=g.decoder_heads,
            iou_head_hidden_dim=g.iou[1], layer_norm_eps=1e-5,
        ),
    )  # fmt: skip
    twin = SamModel(config).eval()
    state = {}
    for key, value in sam.state_dict().items():
        for pattern, new in HF_NAMES:
            key = re.sub(pattern, new, key)  # noqa: PLW2901
        state[key] = value
    state['shared_image_embedding.positional_embedding'] = state['prompt_encoder.shared_embedding.positional_embedding']
    twin.load_state_dict(state, strict=True)
    return twin


@pytest.fixture(scope='module')
def pair():
    sam = random_sam()
    return sam, hf_twin(sam)


@pytest.fixture(scope='module')
def scaled():
    rgb = np.random.default_rng(3).integers(0, 255, (45, 90, 3), dtype=np.uint8)
    return prepare(rgb, TINY.image_size)


def test_image_embedding_equals_transformers(pair, scaled):
    sam, twin = pair
    with torch.inference_mode():
        theirs = twin.get_image_embeddings(torch.from_numpy(scaled.pixels)[None])
    assert torch.allclose(sam.encode(scaled.pixels), theirs, atol=2e-5)


@pytest.mark.parametrize('multimask', [True, False])
@pytest.mark.parametrize('kind', ['points', 'boxes', 'mask'])
def test_masks_equal_transformers(pair, scaled, kind, multimask):
    sam, twin = pair
    embedding = sam.encode(scaled.pixels)
    arguments = {}
    dense = None
    sparse = torch.zeros(1, 0, TINY.channels)
    if kind == 'points':
        points, labels = torch.tensor([[[11.0, 7.0], [60.0, 31.0], [3.0, 9.0]]]), torch.tensor([[1, 0, -1]])
        sparse = sam.prompt_encoder.points(points, labels, TINY.image_size, padded=True)
        arguments = {'input_points': points[None], 'input_labels': labels[None]}
    elif kind == 'boxes':
        boxes = torch.tensor([[5.0, 6.0, 44.0, 33.0]])
        sparse = sam.prompt_encoder.boxes(boxes, TINY.image_size)
        arguments = {'input_boxes': boxes[None]}
    else:
        mask = torch.randn(1, 1, 4 * TINY.grid, 4 * TINY.grid)
        dense = sam.prompt_encoder.masks(mask)
        arguments = {'input_masks': mask, 'input_boxes': torch.tensor([[[5.0, 6.0, 44.0, 33.0]]])}
        sparse = sam.prompt_encoder.boxes(arguments['input_boxes'][0], TINY.image_size)
    low, iou = sam.decode(embedding, sparse, dense, multimask=multimask)
    with torch.inference_mode():
        theirs = twin(image_embeddings=embedding, multimask_output=multimask, **arguments)
    assert low.shape[1] == (3 if multimask else 1)
    assert torch.allclose(low, theirs.pred_masks[0], atol=2e-4)
    assert torch.allclose(iou, theirs.iou_scores[0], atol=1e-4)


def test_several_prompts_at_once_equal_one_by_one(pair, scaled):
    sam, _ = pair
    embedding = sam.encode(scaled.pixels)
    sparse = torch.randn(3, 1, TINY.channels)
    together, _ = sam.decode(embedding, sparse)
    for index in range(3):
        alone, _ = sam.decode(embedding, sparse[index : index + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-5)


def test_no_prompt_gives_no_mask(pair, scaled):
    sam, _ = pair
    low, iou = sam.decode(sam.encode(scaled.pixels), torch.zeros(0, 1, TINY.channels), multimask=False)
    assert low.shape == (0, 1, 40, 40)
    assert iou.shape == (0, 1)
    assert upscale(low, scaled).shape == (0, 1, 45, 90)


@pytest.mark.parametrize('name', RELEASES)
def test_knows_the_sizes_of_the_releases(name):
    dim, depth, heads, global_blocks, parameters = RELEASES[name]
    geometry = SamGeometry(
        channels=256, decoder_layers=2, decoder_mlp=2048, decoder_inner=128, hyper=(256, 256, 256, 32),
        iou=(256, 256, 256, 4), mask_tokens=4, mask_channels=16, patch=16, grid=64, vit_dim=dim, vit_heads=heads,
        vit_mlp=4 * dim, windows=tuple(0 if i in global_blocks else 14 for i in range(depth)),
    )  # fmt: skip
    with torch.device('meta'):
        sam = Sam(geometry)
    count = {part: sum(p.numel() for p in module.parameters()) for part, module in sam.named_children()}
    # The position matrix (2, 128) is a buffer in the public code and not in its count of the prompt encoder.
    if name == 'vit_h':
        assert len(sam.state_dict()) == 594  # as many keys as GLOVER has per SAM
    assert count == {'image_encoder': parameters, 'prompt_encoder': 6220 + 256, 'mask_decoder': 4_058_340}
    assert SamGeometry.from_shapes({key: value.shape for key, value in sam.state_dict().items()}) == geometry


@pytest.fixture
def sam_file(tmp_path):
    path = tmp_path / 'sam_vit_tiny.pth'
    torch.save(random_sam().state_dict(), path)
    return path


def test_loads_a_public_file(sam_file, scaled, pair):
    sam = load_sam(sam_file, torch.device('cpu'), torch.float32)
    assert torch.equal(sam.encode(scaled.pixels), pair[0].encode(scaled.pixels))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_runs_in_half_precision(sam_file, scaled, pair, dtype):
    sam = load_sam(sam_file, torch.device('cpu'), dtype)
    embedding = sam.encode(scaled.pixels)
    assert embedding.dtype == dtype
    exact = pair[0].encode(scaled.pixels)
    assert (embedding.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_positions_in_the_type_of_the_weights_on_request(sam_file):
    sam = load_sam(sam_file, torch.device('cpu'), torch.bfloat16)
    exact = sam.prompt_encoder.grid_positions(10)
    sam.prompt_encoder.exact_positions = False
    assert (sam.prompt_encoder.grid_positions(10) - exact).abs().max() > 1e-3


def test_names_keys_that_do_not_fit(tmp_path):
    state = random_sam().state_dict()
    state['image_encoder.extra'] = state.pop('image_encoder.neck.0.weight')
    path = tmp_path / 'bad.pth'
    torch.save(state, path)
    with pytest.raises(AffordanceError, match='neck.0.weight.*extra') as caught:
        load_sam(path, torch.device('cpu'), torch.float32)
    assert caught.value.code == Code.BAD_CHECKPOINT


def test_says_what_an_incomplete_file_lacks(tmp_path):
    path = tmp_path / 'encoder_only.pth'
    torch.save({k: v for k, v in random_sam().state_dict().items() if k.startswith('image_encoder')}, path)
    with pytest.raises(AffordanceError, match='mask_decoder.iou_token.weight'):
        load_sam(path, torch.device('cpu'), torch.float32)
    with pytest.raises(AffordanceError, match='sam_vit') as caught:
        load_sam(tmp_path / 'absent.pth', torch.device('cpu'), torch.float32)
    assert caught.value.code == Code.MISSING_WEIGHTS


def test_a_head_alone_has_no_image_encoder():
    head = random_sam()
    shapes = {k: v.shape for k, v in head.state_dict().items() if not k.startswith('image_encoder')}
    geometry = SamGeometry.from_shapes(shapes)
    assert geometry.windows == ()
    assert not any(name.startswith('image') for name, _ in SamHead(geometry).named_parameters())
    with pytest.raises(AffordanceError, match='image encoder'):
        Sam(geometry)


@settings(max_examples=500, deadline=None)
@given(height=st.integers(1, 700), width=st.integers(1, 700), size=st.sampled_from([32, 80, 256]))
def test_scaling_keeps_the_longer_side_and_pads_with_zeros(height, width, size):
    scaled = prepare(np.full((height, width, 3), 255, np.uint8), size)
    assert max(scaled.resized) == size
    assert scaled.pixels.shape == (3, size, size)
    inside = np.zeros((size, size), bool)
    inside[: scaled.resized[0], : scaled.resized[1]] = True
    assert (scaled.pixels[:, inside] > 2).all()
    assert (scaled.pixels[:, ~inside] == 0).all()


def test_boxes_and_points_are_scaled_with_the_image():
    scaled = prepare(np.zeros((100, 200, 3), np.uint8), 50)
    assert scaled.resized == (25, 50)
    assert np.allclose(scaled.boxes(np.array([[40, 20, 80, 100]])), [[10, 5, 20, 25]])
    assert np.allclose(scaled.points(np.array([[200.0, 100.0]])), [[50, 25]])
