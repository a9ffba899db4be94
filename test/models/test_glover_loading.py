# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What GLOVER refuses to load, and the sentences it does so with: keys, variants, towers, tokens, options."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from tiny_glover import Tiny, build

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.models import load_model


@pytest.fixture(scope='module')
def plus_folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp('glover_plus'))


def folder_with(tmp_path, **changes):
    return build(tmp_path, Tiny(**changes))


def change_tensors(folder, change):
    """Rewrite the weights of a folder after `change` (a function on the dictionary)."""
    found = load_file(folder / 'model.safetensors')
    change(found)
    save_file(found, folder / 'model.safetensors')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'profile': 'web'}, "profile 'web' is unknown; known: robot, infer, infer_py, forced"),
        ({'peak_ratio': 0.0}, 'peak_ratio must be above 0'),
        ({'max_points': 0}, 'max_points must be at least 1'),
        ({'sam_dtype': 'int3'}, "dtype 'int3' is unknown"),
        ({'sam': 'x'}, "no option 'sam'"),
    ],
)
def test_refuses_options(plus_folder, options, words):
    with pytest.raises(AffordanceError, match=words) as caught:
        load_model('glover_plus', plus_folder, **options)
    assert caught.value.code == Code.BAD_INPUT


@pytest.mark.parametrize(
    ('is_plus', 'name', 'other'), [(True, 'glover', 'glover_plus'), (False, 'glover_plus', 'glover')]
)
def test_names_the_other_variant(tmp_path, is_plus, name, other):
    folder = folder_with(tmp_path, plus=is_plus)
    with pytest.raises(AffordanceError, match=f'load it as {other}') as caught:
        load_model(name, folder)
    assert caught.value.code == Code.BAD_CHECKPOINT


def rename(old, new):
    return lambda found: found.update({new: found.pop(old)})


def reshape(key):
    return lambda found: found.update({key: found[key].flatten()[:3].clone()})


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (rename('model.text_hidden_fcs.0.2.bias', 'model.text_hidden_fcs.0.3.bias'), r'missing: 2.bias.*fcs.0.3.bias'),
        (rename('model.visual_model.image_encoder.neck.0.weight', 'model.visual_model.x'), 'neck.0.*visual_model.x'),
        (rename('model.visual_model1.prompt_encoder.no_mask_embed.weight', 'extra'), 'extra'),
        (rename('model.visual_model1.image_encoder.pos_embed', 'model.visual_model1.image_encoder.pos'), 'encoder.pos'),
        (rename('model.mm_projector.2.bias', 'model.mm_projector.4.bias'), 'mm_projector.4.bias'),
        (rename('model.norm.weight', 'model.norm2.weight'), 'model.norm.weight.*model.norm2.weight'),
        (reshape('model.layers.0.mlp.up_proj.weight'), 'mis-shaped: model.layers.0.mlp.up_proj.weight'),
        (lambda found: found.pop('model.visual_model.mask_decoder.iou_token.weight'), 'iou_token.weight'),
        (
            lambda found: [found.pop(key) for key in list(found) if 'visual_model' in key],
            'no GLOVER checkpoint: it has no model.visual_model',
        ),
    ],
)  # fmt: skip
def test_names_the_keys_that_do_not_fit(tmp_path, change, words):
    folder = folder_with(tmp_path)
    change_tensors(folder, change)
    with pytest.raises(AffordanceError, match=words) as caught:
        load_model('glover_plus', folder)
    assert caught.value.code == Code.BAD_CHECKPOINT


def test_says_what_another_checkpoint_looks_like(tmp_path):
    folder = folder_with(tmp_path, config=(('architectures', ['LlavaLlamaForCausalLM']),))
    change_tensors(folder, lambda found: [found.pop(key) for key in list(found) if 'visual_model' in key])
    with pytest.raises(AffordanceError, match='looks like RoboPoint.*loaded as robopoint'):
        load_model('glover', folder)


def test_asks_for_clip(tmp_path, plus_folder):
    folder = folder_with(tmp_path)
    shutil.rmtree(folder / 'clip')
    with pytest.raises(AffordanceError, match='clip= the folder of openai/clip-vit-large-patch14') as caught:
        load_model('glover_plus', folder)
    assert caught.value.code == Code.MISSING_WEIGHTS
    assert load_model('glover_plus', folder, clip=str(plus_folder / 'clip')).network.clip_folder == plus_folder / 'clip'


@pytest.mark.parametrize(
    ('field', 'value', 'words'),
    [('image_size', 48, '576 image tokens'), ('hidden_size', 10, 'has 10 channels, the projector')],
)
def test_refuses_a_clip_of_another_size(tmp_path, field, value, words):
    folder = folder_with(tmp_path)
    config = json.loads((folder / 'clip' / 'config.json').read_text())
    config['vision_config'][field] = value
    (folder / 'clip' / 'config.json').write_text(json.dumps(config))
    with pytest.raises(AffordanceError, match=words):
        load_model('glover_plus', folder)


def test_refuses_tokens_beyond_the_embeddings(tmp_path):
    folder = folder_with(tmp_path)
    added = json.loads((folder / 'added_tokens.json').read_text())
    (folder / 'added_tokens.json').write_text(json.dumps({**added, '[SEG]': 999}))
    with pytest.raises(AffordanceError, match=r'\[SEG\] beyond the 323') as caught:
        load_model('glover_plus', folder)
    assert caught.value.code == Code.BAD_CHECKPOINT
