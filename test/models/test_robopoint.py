# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RoboPoint's loading, options and answers on tiny random weights, and every way in which a checkpoint can be wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_robopoint import Tiny, build, tensors

from affordance_ros.errors import AffordanceError, Code, UnparsableAnswer
from affordance_ros.models import load_model
from affordance_ros.models.parts.framing import Framed, frame_image
from affordance_ros.models.robopoint import PROFILES, RoboPointConfig, build_message, read_answer, template_by_name
from affordance_ros.models.robopoint_official import POINT_SUFFIX
from affordance_ros.results import Frame, Query

FRAME = Frame(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return build(tmp_path_factory.mktemp('tiny'))


def refused(code, *words, **options):
    with pytest.raises(AffordanceError) as caught:
        load_model('robopoint', **options)
    assert caught.value.code == code, caught.value.message
    for word in words:
        assert word in caught.value.message, caught.value.message


def changed(tiny, tmp_path, change):
    """Copy the tiny checkpoint and let `change` edit its tensors."""
    folder = tmp_path / 'changed'
    shutil.copytree(tiny, folder)
    found = load_file(folder / 'model.safetensors')
    change(found)
    save_file(found, folder / 'model.safetensors')
    return str(folder)


def edit_config(tiny, tmp_path, **changes):
    folder = tmp_path / 'edited'
    shutil.copytree(tiny, folder)
    config = json.loads((folder / 'config.json').read_text()) | changes
    (folder / 'config.json').write_text(json.dumps(config))
    return str(folder)


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
@pytest.mark.parametrize('projector', ['linear', 'mlp1x_gelu', 'mlp2x_gelu', 'mlp3x_gelu'])
def test_projectors_and_dtypes(tmp_path, projector, dtype):
    model = load_model('robopoint', str(build(tmp_path, Tiny(projector=projector))), dtype=dtype, max_new_tokens=4)
    features = model.network.image_features(model.network.pixels(FRAME.rgb))
    assert features.shape == (4, 16)
    assert features.dtype == getattr(torch, dtype)
    assert {p.dtype for p in model.network.vision.parameters()} == {torch.float32}
    assert model.network.llm.model.rotary_emb.inv_freq.dtype == torch.float32
    assert all(not p.requires_grad for part in model.network.parts for p in part.parameters())


def test_parameters_are_counted(tiny):
    info = load_model('robopoint', str(tiny)).describe()
    assert info.parameters == sum(tensor.numel() for tensor in tensors(Tiny()).values())
    assert info.memory_bytes >= 4 * info.parameters


def test_tied_embeddings(tmp_path):
    model = load_model('robopoint', str(build(tmp_path, Tiny(tied=True))))
    assert model.network.llm.lm_head.weight is model.network.llm.model.embed_tokens.weight


def test_bin_weights_load_too(tiny, tmp_path):
    folder = tmp_path / 'bin'
    shutil.copytree(tiny, folder)
    found = load_file(folder / 'model.safetensors')
    (folder / 'model.safetensors').unlink()
    torch.save(found, folder / 'pytorch_model.bin')
    ours, theirs = load_model('robopoint', str(folder)), load_model('robopoint', str(tiny))
    pixels = ours.network.pixels(FRAME.rgb)
    assert torch.equal(ours.network.image_features(pixels), theirs.network.image_features(pixels))


def test_a_pickle_with_code_is_refused(tiny, tmp_path):
    folder = tmp_path / 'evil'
    shutil.copytree(tiny, folder)
    (folder / 'model.safetensors').unlink()
    torch.save({'model.norm.weight': Path('x')}, folder / 'pytorch_model.bin')
    with pytest.raises(AffordanceError) as caught:
        load_model('robopoint', str(folder))
    assert caught.value.code == Code.BAD_CHECKPOINT


@pytest.mark.parametrize(
    'key', ['model.mm_projector.2.weight', 'model.layers.1.mlp.up_proj.weight', 'lm_head.weight',
            'model.vision_tower.vision_tower.vision_model.embeddings.class_embedding'],
)  # fmt: skip
def test_missing_keys_are_named(tiny, tmp_path, key):
    folder = changed(tiny, tmp_path, lambda found: found.pop(key))
    refused(Code.BAD_CHECKPOINT, 'missing', key.split('.')[-1], checkpoint=folder)


@pytest.mark.parametrize(
    'key', ['model.mm_projector.4.weight', 'model.layers.9.mlp.up_proj.weight', 'model.image_newline',
            'model.vision_tower.vision_tower.vision_model.extra'],
)  # fmt: skip
def test_unexpected_keys_are_named(tiny, tmp_path, key):
    folder = changed(tiny, tmp_path, lambda found: found.update({key: torch.zeros(3)}))
    refused(Code.BAD_CHECKPOINT, 'unexpected', key, checkpoint=folder)


def test_wrong_shapes_are_named(tiny, tmp_path):
    folder = changed(tiny, tmp_path, lambda found: found.update({'model.mm_projector.0.bias': torch.zeros(3)}))
    refused(Code.BAD_CHECKPOINT, 'mm_projector.0.bias', '(3,)', '(16,)', checkpoint=folder)


def test_known_leftovers_are_dropped(tiny, tmp_path):
    def change(found):
        found['model.layers.0.self_attn.rotary_emb.inv_freq'] = torch.ones(4)
        found['model.vision_tower.vision_tower.vision_model.embeddings.position_ids'] = torch.ones(1, 5)
        for half in ('weight', 'bias'):
            del found[f'model.vision_tower.vision_tower.vision_model.post_layernorm.{half}']

    model = load_model('robopoint', changed(tiny, tmp_path, change))
    assert np.isfinite(model.network.clip_features(model.network.pixels(FRAME.rgb)).numpy()).all()


@pytest.mark.parametrize(
    ('changes', 'word'),
    [
        ({'mm_projector_type': 'resampler'}, 'resampler'),
        ({'mm_use_im_start_end': True}, 'mm_use_im_start_end'),
        ({'mm_patch_merge_type': 'spatial_unpad'}, 'mm_patch_merge_type'),
        ({'mm_vision_select_feature': 'cls'}, 'mm_vision_select_feature'),
        ({'mm_projector_type': 'linear'}, 'mm_projector'),
        ({'num_hidden_layers': 3}, 'layers.2'),
    ],
)
def test_configs_that_we_cannot_honour_are_refused(tiny, tmp_path, changes, word):
    refused(Code.BAD_CHECKPOINT, word, checkpoint=edit_config(tiny, tmp_path, **changes))


def test_select_layer_feature_and_aspect_are_read(tiny, tmp_path):
    plain = load_model('robopoint', str(tiny)).network
    changes = {'mm_vision_select_layer': -1, 'mm_vision_select_feature': 'cls_patch', 'image_aspect_ratio': None}
    other = load_model('robopoint', edit_config(tiny, tmp_path, **changes)).network
    pixels = plain.pixels(FRAME.rgb)
    assert plain.clip_features(pixels).shape == (4, 8)
    assert other.clip_features(pixels).shape == (5, 8)
    assert not torch.equal(other.clip_features(pixels)[1:], plain.clip_features(pixels))
    assert other.pixels(FRAME.rgb).shape == pixels.shape
    assert not np.array_equal(other.pixels(FRAME.rgb), pixels)


def test_what_is_missing_is_told(tiny, tmp_path):
    refused(Code.MISSING_WEIGHTS, 'checkpoint=')
    refused(Code.MISSING_WEIGHTS, 'config.json', checkpoint=str(tmp_path))
    refused(Code.MISSING_WEIGHTS, 'clip=', 'openai/clip', checkpoint=str(tiny), clip=str(tmp_path / 'nowhere'))
    refused(Code.BAD_INPUT, 'base=', checkpoint=str(tiny), base=str(tiny))
    refused(Code.MISSING_WEIGHTS, 'clip=', checkpoint=str(build(tmp_path / 'bare', Tiny(tower=False))))
    (tmp_path / 'empty').mkdir()
    shutil.copy(tiny / 'config.json', tmp_path / 'empty' / 'config.json')
    shutil.copytree(tiny / 'clip', tmp_path / 'empty' / 'clip')
    refused(Code.MISSING_WEIGHTS, 'safetensors', checkpoint=str(tmp_path / 'empty'))


def test_a_missing_shard_is_named(robopoint_set, tmp_path):
    folder = tmp_path / 'shards'
    shutil.copytree(robopoint_set.options('vicuna_full')['checkpoint'], folder)
    (folder / 'model-00002-of-00004.safetensors').unlink()
    refused(Code.MISSING_WEIGHTS, 'model-00002-of-00004', checkpoint=str(folder), clip=robopoint_set.clip)


def test_a_release_without_the_clip_folder_says_what_to_give(robopoint_set):
    """The tiny tower does not fit the known configuration of the real one: named, not guessed."""
    options = robopoint_set.options('vicuna_full') | {'clip': None}
    refused(Code.BAD_CHECKPOINT, 'mis-shaped', **options)


def test_lora_without_its_base(robopoint_set):
    options = robopoint_set.options('vicuna_lora') | {'base': None}
    refused(Code.MISSING_WEIGHTS, 'base=', 'lmsys/vicuna-7b-v1.5', **options)


def test_lora_without_projector_or_with_a_broken_adapter(robopoint_set, tmp_path):
    options = robopoint_set.options('vicuna_lora')
    for index, change in enumerate((_drop_key, _zero_b, _foreign_key, _half)):
        folder = tmp_path / str(index)
        shutil.copytree(options['checkpoint'], folder)
        adapter = load_file(folder / 'adapter_model.safetensors')
        save_file(change(adapter), folder / 'adapter_model.safetensors')
        refused(Code.BAD_CHECKPOINT, 'adapter', **options | {'checkpoint': str(folder)})
    folder = tmp_path / 'no_projector'
    shutil.copytree(options['checkpoint'], folder)
    (folder / 'non_lora_trainables.bin').unlink()
    refused(Code.MISSING_WEIGHTS, 'non_lora_trainables.bin', **options | {'checkpoint': str(folder)})


def _drop_key(adapter):
    return {key: value for key, value in adapter.items() if 'layers.1.mlp.up_proj' not in key}


def _zero_b(adapter):
    return {key: torch.zeros_like(value) if 'lora_B' in key else value for key, value in adapter.items()}


def _foreign_key(adapter):
    return adapter | {'base_model.model.model.layers.77.mlp.up_proj.lora_A.weight': torch.zeros(8, 64),
                      'base_model.model.model.layers.77.mlp.up_proj.lora_B.weight': torch.zeros(144, 8)}  # fmt: skip


def _half(adapter):
    return {key: value for key, value in adapter.items() if not key.endswith('layers.0.mlp.up_proj.lora_B.weight')}


@pytest.mark.parametrize(
    'options',
    [{'dtype': 'int8'}, {'device': 'tpu9'}, {'profile': 'x'}, {'template': 'x'}, {'framing': 'x'}, {'top_p': 0.0},
                {'max_new_tokens': -1}, {'temperature': -1.0}, {'clipp': 'x'}],
)  # fmt: skip
def test_bad_options_are_refused(tiny, options):
    refused(Code.BAD_INPUT, checkpoint=str(tiny), **options)


def test_too_long_a_sentence_is_refused_not_cut(tiny):
    model = load_model('robopoint', str(tiny))
    with pytest.raises(AffordanceError) as caught:
        model.predict(FRAME, Query('find the mug ' * 400))
    assert caught.value.code == Code.BAD_INPUT
    assert 'too long' in caught.value.message


def test_unknown_task_is_refused_and_text_task_gives_text(tiny):
    model = load_model('robopoint', str(tiny), max_new_tokens=3)
    with pytest.raises(AffordanceError):
        model.predict(FRAME, Query('where', task='heatmap'))
    answer = model.predict(FRAME, Query('what is this?', task='text'))
    assert answer.keypoints is None
    assert answer.boxes is None


def test_unreadable_text_is_raised_with_the_text(robopoint_set):
    model = robopoint_set.model('vicuna_full')
    record = robopoint_set.read('vicuna_full/expected.json')['cases']['drawer_501x777']['templates']['vicuna_v1']
    question = record['prompt'].split('<image>\n')[1].split(POINT_SUFFIX)[0]
    with pytest.raises(UnparsableAnswer) as caught:
        model.predict(Frame(robopoint_set.rgb('drawer_501x777')), Query(question))
    assert caught.value.text == record['greedy_text']


def test_two_queries_on_one_frame_share_the_tower(robopoint_set, monkeypatch):
    model = robopoint_set.model('vicuna_full', max_new_tokens=96)
    calls, tower = [], model.network.image_features
    monkeypatch.setattr(model.network, 'image_features', lambda pixels: calls.append(1) or tower(pixels))
    frame = Frame(robopoint_set.rgb('counter_640x480'))
    for _ in range(2):
        model.predict(frame, Query('Find a few spots within the vacant area to the right of the red mug.'))
    model.predict(
        Frame(frame.rgb.copy()), Query('Find a few spots within the vacant area to the right of the red mug.')
    )
    assert len(calls) <= 1


def test_more_questions_on_one_frame_run_only_their_own_words(robopoint_set):
    """The rows of the image go through the decoder once; answers are those of a model that shares nothing."""
    options = {'max_new_tokens': 24, 'profile': 'eval', 'temperature': 0.0}
    sharing = robopoint_set.model('vicuna_full', **options)
    plain = robopoint_set.model('vicuna_full', share_prefix=False, **options)
    frame, questions = Frame(robopoint_set.rgb('shelf_1280x720')), [f'Which spot is number {n}?' for n in range(10)]
    rows = {}
    for name, model in (('sharing', sharing), ('plain', plain)):
        rows[name] = []
        hook = model.network.llm.model.layers[0].register_forward_pre_hook(
            lambda _, inputs, seen=rows[name]: seen.append(inputs[0].shape[1])
        )
        texts = [model.predict(frame, Query(question, task='text')).text for question in questions]
        hook.remove()
        rows[name + ' texts'] = texts
    assert rows['sharing texts'] == rows['plain texts']
    prefills = {name: [count for count in rows[name] if count > 1] for name in ('sharing', 'plain')}
    assert prefills['sharing'][0] == prefills['plain'][0] > 50
    assert max(prefills['sharing'][1:]) < 30


def test_confidence_is_given_for_every_answer(robopoint_set):
    model = robopoint_set.model('vicuna_full', max_new_tokens=96)
    frame = Frame(robopoint_set.rgb('counter_640x480'))
    points = model.predict(frame, Query('Find a few spots within the vacant area to the right of the red mug.'))
    text = model.predict(frame, Query('What is this?', task='text'))
    assert 0.5 < points.confidence <= 1  # this answer was fitted
    assert 0 < text.confidence < points.confidence


def test_the_description_says_how_it_was_loaded(tiny):
    info = load_model('robopoint', str(tiny), quantization='int8', attention='eager').describe()
    assert info.settings['quantization'] == 'int8'
    assert info.settings['attention'] == 'eager'
    assert load_model('robopoint', str(tiny)).describe().settings['quantization'] == 'none'


def test_sampling_is_reproducible_with_a_seed(tiny):
    def text(seed):
        model = load_model('robopoint', str(tiny), temperature=1.0, max_new_tokens=12, seed=seed)
        return model.predict(FRAME, Query('go', task='text')).text

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) > 1


def test_profiles_follow_the_official_entry_points():
    assert PROFILES['eval'].template == 'llava_v1'
    assert PROFILES['eval'].decode.temperature == 0.2
    assert PROFILES['web'].framing == 'letterbox_4_3'
    assert PROFILES['web'].decode.top_p == 0.7
    assert RoboPointConfig().settings(PROFILES['robot'].decode).temperature == 0
    assert RoboPointConfig().profile == 'robot'
    assert template_by_name('a/robopoint-v1-llama-2-13b') == 'llava_llama_2'
    assert template_by_name('robopoint-v1-vicuna-v1.5-13b') == 'vicuna_v1'
    assert template_by_name('x') == 'llava_v1'


def test_messages():
    assert build_message('grasp it', 'suffix') == '<image>\ngrasp it' + POINT_SUFFIX
    assert build_message('grasp it' + POINT_SUFFIX, 'suffix').count(POINT_SUFFIX.strip()) == 1
    assert build_message('text', 'verbatim') == '<image>\ntext'
    assert build_message('a <image>\nb', 'verbatim') == 'a <image>\nb'


def test_answers_go_back_to_the_camera_image():
    rgb = np.zeros((720, 1280, 3), np.uint8)
    direct = read_answer('[(0.5, 0.25)]', Framed(rgb), 1280, 720)
    assert direct.keypoints.points.tolist() == [[640, 180]]
    boxed = read_answer('[(0.5, 0.5), (0.5, 0.01), (0.1, 0.1, 0.9, 0.9)]', frame_image(rgb, 'letterbox_4_3'), 1280, 720)
    assert boxed.keypoints.points.tolist() == [[640, 360]]
    assert boxed.boxes.boxes.tolist() == [[128, 0, 1152, 719]]
    assert any('border' in repair for repair in boxed.repairs)
