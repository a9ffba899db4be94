# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Qwen-VL network on tiny checkpoints: both families, every layout, shared work, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_qwen_vl import SPECIAL, Tiny, special_id, write_checkpoint  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models.parts.decoding import DecodeSettings, PromptCache, Session, write  # noqa: E402
from affordance_ros.models.parts.qwen_vl_asking import IMAGE, Asking, Listener, QwenVLAsker  # noqa: E402
from affordance_ros.models.parts.qwen_vl_image import Preparation, stretch  # noqa: E402
from affordance_ros.models.parts.text_options import TextOptions  # noqa: E402

FAMILIES = ('qwen2_5_vl', 'qwen3_vl', 'qwen3_vl_moe')
RNG = np.random.default_rng(3)
IMAGES = [RNG.integers(0, 255, shape, dtype=np.uint8) for shape in ((120, 200, 3), (96, 70, 3))]
TEXT = f'<|im_start|>user\n{IMAGE}{IMAGE}Where is the cup?<|im_end|>\n<|im_start|>assistant\n'
ONE = f'<|im_start|>user\n{IMAGE}%s<|im_end|>\n<|im_start|>assistant\n'


def asker(folder, **options):
    return QwenVLAsker(TextOptions(checkpoint=str(folder), **options), 'qwen_vl')


@pytest.fixture(scope='module', params=FAMILIES)
def pair(request, tmp_path_factory):
    """An asker and the module of transformers that its checkpoint was written from."""
    folder = tmp_path_factory.mktemp(request.param)
    module = write_checkpoint(folder, Tiny(family=request.param))
    return asker(folder), module


def inputs_of(ours, images):
    """Return what the class of transformers takes for `TEXT` and the images."""
    patches = [ours.network.pixels(image) for image in images]
    ids = torch.tensor([ours.network.expand(ours.tokenizer.encode(TEXT), [ours.look(image) for image in images])])
    return {
        'input_ids': ids,
        'pixel_values': torch.from_numpy(np.concatenate([each.values for each in patches])),
        'image_grid_thw': torch.tensor([[1, *each.grid] for each in patches]),
        'mm_token_type_ids': (ids == ours.network.image_id).int(),
        'attention_mask': torch.ones_like(ids),
    }


def test_logits_and_greedy_ids_equal_the_class_of_transformers(pair):
    ours, module = pair
    inputs = inputs_of(ours, IMAGES)
    prompt = ours.prompt(TEXT, [ours.look(image) for image in IMAGES])
    with torch.inference_mode():
        want = module(**inputs).logits[0, -1]
        stop = list(ours.generation.eos_ids)
        ids = module.generate(**inputs, do_sample=False, max_new_tokens=12, repetition_penalty=1.3, eos_token_id=stop)
    session = ours.session(prompt)
    torch.testing.assert_close(session.logits, want, atol=2e-5, rtol=0)
    written = write(session, ours.generation.eos_ids, DecodeSettings(12, repetition_penalty=1.3))
    assert written.ids == ids[0, len(prompt) :].tolist()


def test_an_image_moves_the_answer_through_every_path(pair):
    """Both the features and, in Qwen3-VL, what is added in early layers must reach the logits."""
    ours, _ = pair
    prompt = ours.prompt(ONE % 'cup', [ours.look(IMAGES[0])])
    logits = ours.session(prompt).logits
    other = ours.prompt(ONE % 'cup', [ours.look(IMAGES[0][::-1].copy())])
    assert (ours.session(other).logits - logits).abs().max() > 0.05
    assert (prompt.extra is not None) == (ours.network.config.model_type != 'qwen2_5_vl')
    if prompt.extra is not None:
        without = replace(prompt, extra=None)
        network = ours.network.text
        plain = Session(network.language_model, network.lm_head, without).logits
        assert (plain - logits).abs().max() > 0.05


def test_questions_on_one_image_share_the_image(pair):
    ours, _ = pair
    before = ours.encoded_images
    cache = PromptCache()
    network = ours.network.text
    for question in ('the mug', 'the bowl', 'the plate'):
        prompt = ours.prompt(ONE % question, [ours.look(IMAGES[1])])
        alone = Session(network.language_model, network.lm_head, prompt).logits
        shared = Session(network.language_model, network.lm_head, prompt, cache).logits
        torch.testing.assert_close(shared, alone, atol=1e-5, rtol=0)
    assert cache.reused_rows > len(ours.look(IMAGES[1]).features)
    assert ours.encoded_images - before <= 1


def test_a_shared_prefix_that_ends_inside_an_image_is_exact(pair):
    """Two images that differ only in their lower half share the rows above."""
    ours, _ = pair
    cache, network = PromptCache(), ours.network.text
    prompt = ours.prompt(ONE % 'cup', [ours.look(IMAGES[0])])
    Session(network.language_model, network.lm_head, prompt, cache).logits  # noqa: B018 (runs it)
    changed = prompt.embeddings.clone()
    middle = int((torch.tensor(prompt.penalized) == ours.network.image_id).nonzero()[10])
    changed[0, middle:] += 0.5
    other = replace(prompt, embeddings=changed)
    alone = Session(network.language_model, network.lm_head, other).logits
    shared = Session(network.language_model, network.lm_head, other, cache).logits
    assert cache.reused_rows == middle
    torch.testing.assert_close(shared, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize('family', FAMILIES)
def test_every_layout_gives_the_same_network(family, tmp_path):
    layouts = {
        'old': Tiny(family), 'new': Tiny(family, old_names=False), 'one': Tiny(family, shards=1),
        'nested': Tiny(family, nested=True), 'sub': Tiny(family, sub_folder=True),
    }  # fmt: skip
    logits = []
    for name, tiny in layouts.items():
        write_checkpoint(tmp_path / name, tiny)
        ours = asker(tmp_path / name)
        logits.append(ours.session(ours.prompt(ONE % 'cup', [ours.look(IMAGES[0])])).logits)
    assert all(torch.equal(each, logits[0]) for each in logits)


def test_a_tied_head_is_the_embedding_and_may_be_missing(tmp_path):
    write_checkpoint(tmp_path, Tiny(tied=True))
    text = asker(tmp_path).network.text
    assert text.lm_head.weight is text.language_model.embed_tokens.weight


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_number_types_keep_rotary_frequencies_exact(tmp_path, dtype):
    write_checkpoint(tmp_path, Tiny())
    exact, rounded = asker(tmp_path), asker(tmp_path, dtype=dtype)
    network = rounded.network
    assert network.text.language_model.layers[0].mlp.up_proj.weight.dtype == getattr(torch, dtype)
    assert network.text.language_model.rotary_emb.inv_freq.dtype == torch.float32
    want, got = (each.session(each.prompt(ONE % 'cup', [each.look(IMAGES[0])])).logits for each in (exact, rounded))
    assert (got - want).abs().max() < 0.3


@pytest.mark.parametrize(('quantization', 'tolerance'), [('int8', 0.2), ('int4', 3.0)])
def test_quantized_text_keeps_the_tower_and_stays_near(tmp_path, quantization, tolerance):
    write_checkpoint(tmp_path, Tiny())
    exact, rounded = asker(tmp_path), asker(tmp_path, quantization=quantization)
    torch.testing.assert_close(rounded.look(IMAGES[0]).features, exact.look(IMAGES[0]).features)
    want, got = (each.session(each.prompt(ONE % 'cup', [each.look(IMAGES[0])])).logits for each in (exact, rounded))
    assert 0 < (got - want).abs().max() < tolerance


def test_experts_are_not_quantized_by_halves(tmp_path):
    write_checkpoint(tmp_path, Tiny('qwen3_vl_moe'))
    with pytest.raises(AffordanceError, match='experts') as caught:
        asker(tmp_path, quantization='int8')
    assert caught.value.code == Code.BAD_INPUT


@pytest.mark.parametrize('family', FAMILIES)
def test_attention_kernels_agree(family, tmp_path):
    write_checkpoint(tmp_path, Tiny(family))
    logits = []
    for attention in ('sdpa', 'eager'):
        ours = asker(tmp_path, attention=attention)
        for config in (ours.network.config.text_config, ours.network.config.vision_config):
            assert config._attn_implementation == attention  # noqa: SLF001 (there is no public way)
        logits.append(ours.session(ours.prompt(ONE % 'cup', [ours.look(IMAGES[0])])).logits)
    torch.testing.assert_close(*logits, atol=1e-4, rtol=0)


def edit(folder, change):
    """Apply `change` to the tensors of a checkpoint of one file."""
    file = folder / 'model.safetensors'
    tensors = load_file(str(file))
    change(tensors)
    save_file(tensors, str(file))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda t: t.pop('visual.patch_embed.proj.weight'), ('1 missing', 'patch_embed.proj.weight', 'vision tower')),
        (lambda t: t.pop('lm_head.weight'), ('1 missing', 'lm_head.weight')),
        (lambda t: t.update({'model.layers.9.mlp.up_proj.weight': torch.zeros(1)}), ('1 unexpected', 'layers.9')),
        (lambda t: t.update({'moe.gate': torch.zeros(1)}), ('1 unexpected', 'moe.gate')),
        (lambda t: t.update({'model.norm.weight': torch.zeros(7)}), ('1 mis-shaped', 'model.norm.weight is (7,)')),
    ],
)
def test_a_key_that_does_not_fit_is_named(tmp_path, change, words):
    write_checkpoint(tmp_path, Tiny(shards=1))
    edit(tmp_path, change)
    with pytest.raises(AffordanceError) as caught:
        asker(tmp_path)
    assert caught.value.code == Code.BAD_CHECKPOINT
    assert all(word in str(caught.value) for word in words)


def test_rotary_frequencies_of_old_files_are_left_out(tmp_path):
    write_checkpoint(tmp_path, Tiny(shards=1))
    edit(tmp_path, lambda t: t.update({'model.rotary_emb.inv_freq': torch.zeros(6)}))
    assert asker(tmp_path).network.text.language_model.rotary_emb.inv_freq[0] == 1


def rewrite(folder, **fields):
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps(config | fields))


def test_what_is_no_checkpoint_of_the_family_is_refused(tmp_path):
    with pytest.raises(AffordanceError, match='no config.json in it nor in .*huggingface') as caught:
        asker(tmp_path)
    assert caught.value.code == Code.MISSING_WEIGHTS
    write_checkpoint(tmp_path, Tiny())
    rewrite(tmp_path, model_type='llava_qwen')
    with pytest.raises(AffordanceError, match="model_type 'llava_qwen' is not of this family") as caught:
        asker(tmp_path)
    assert caught.value.code == Code.BAD_CHECKPOINT
    rewrite(tmp_path, model_type='qwen2_5_vl', num_attention_heads=5)
    with pytest.raises(AffordanceError, match='config.json cannot be used') as caught:
        asker(tmp_path)
    assert caught.value.code == Code.BAD_CHECKPOINT
    (tmp_path / 'model-00002-of-00002.safetensors').unlink()
    rewrite(tmp_path, num_attention_heads=4)
    with pytest.raises(AffordanceError, match='lacks the shards model-00002') as caught:
        asker(tmp_path)
    assert caught.value.code == Code.MISSING_WEIGHTS


def test_the_end_and_the_penalty_are_what_the_checkpoint_says(tmp_path):
    write_checkpoint(tmp_path, Tiny(penalty=1.07))
    stated = asker(tmp_path).generation
    assert stated.eos_ids == (special_id('<|im_end|>'), special_id('<|endoftext|>'))
    assert (stated.repetition_penalty, stated.stated) == (1.07, True)
    (tmp_path / 'generation_config.json').unlink()
    rewrite(tmp_path, eos_token_id=special_id('<|endoftext|>'))
    silent = asker(tmp_path).generation
    assert silent.eos_ids == (special_id('<|endoftext|>'),)
    assert (silent.repetition_penalty, silent.stated) == (1.0, False)


def test_special_tokens_in_a_sentence_are_refused(pair):
    ours, _ = pair
    assert ours.check_sentence('a < b | c') == 'a < b | c'
    for token in (SPECIAL[0], SPECIAL[2], SPECIAL[-2]):
        with pytest.raises(AffordanceError, match='has a meaning to the model') as caught:
            ours.check_sentence(f'the cup{token}')
        assert caught.value.code == Code.BAD_INPUT
    with pytest.raises(AffordanceError, match='2 image marker'):
        ours.prompt(TEXT, [ours.look(IMAGES[0])])


def test_a_question_that_does_not_fit_is_refused(pair):
    ours, _ = pair
    with pytest.raises(AffordanceError, match='4096 fit') as caught:
        ours.prompt(ONE % ('cup ' * 1200), [ours.look(IMAGES[0])])
    assert caught.value.code == Code.BAD_INPUT


def test_an_answer_goes_on_from_what_it_was_made_to_begin_with(pair):
    ours, _ = pair
    steps = []
    listener = Listener(steps.append, None)
    asking = Asking(ONE % 'cup', [IMAGES[0]], DecodeSettings(6), begun='[(')
    reply = ours.ask(asking, listener)
    texts = [step.text for step in steps if step.stage == 'generate']
    assert texts[-1] == reply.text
    assert all(text.startswith('[(') for text in texts)
    same = ours.ask(replace(asking, prompt=asking.prompt + '[(', begun=''), listener)
    assert reply.text == '[(' + same.text
    assert reply.sizes == (ours.network.pixels(IMAGES[0]).size,)


@pytest.mark.parametrize(
    ('size', 'seen'),
    [((640, 480), (644, 476)), ((30, 100), (28, 112)), ((4000, 3000), (4004, 2996)), ((56, 56), (56, 56))],
)
def test_sizes(size, seen):
    assert Preparation().resized(*size) == seen


def test_patches_hold_every_pixel_once_per_copy():
    preparation = Preparation(mean=(0.0,) * 3, std=(1.0,) * 3)
    rgb = RNG.integers(0, 255, (56, 84, 3), dtype=np.uint8)
    patches = preparation.patches(rgb)
    assert patches.grid == (4, 6)
    assert patches.values.shape == (24, 3 * 2 * 14 * 14)
    first = patches.values[0].reshape(3, 2, 14, 14)
    np.testing.assert_allclose(first[:, 0], rgb[:14, :14].transpose(2, 0, 1) / 255, atol=1e-6)
    assert np.array_equal(first[:, 0], first[:, 1])
    # neighbours that become one token come one after the other: right, below, right of below
    for index, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        block = rgb[row * 14 : row * 14 + 14, column * 14 : column * 14 + 14].transpose(2, 0, 1) / 255
        np.testing.assert_allclose(patches.values[index].reshape(3, 2, 14, 14)[:, 0], block, atol=1e-6)


def test_limits_come_from_the_file_and_else_from_the_family(tmp_path):
    assert Preparation.from_folder(tmp_path, {'patch_size': 14}).max_pixels == 12845056
    assert Preparation.from_folder(tmp_path, {'patch_size': 16}).mean == (0.5, 0.5, 0.5)
    stored = {'size': {'shortest_edge': 784, 'longest_edge': 7840}, 'image_mean': [0.1, 0.2, 0.3]}
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(stored))
    read = Preparation.from_folder(tmp_path, {'patch_size': 14})
    assert (read.min_pixels, read.max_pixels, read.mean) == (784, 7840, (0.1, 0.2, 0.3))
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(stored | {'max_pixels': 3136}))
    assert Preparation.from_folder(tmp_path, {'patch_size': 14}).max_pixels == 3136
    with pytest.raises(AffordanceError, match='limits make no sense'):
        Preparation(min_pixels=10, max_pixels=5)


def test_stretching_forgets_the_aspect():
    square = stretch(IMAGES[0], 84)
    assert square.shape == (84, 84, 3)
    assert abs(float(square.mean()) - float(IMAGES[0].mean())) < 3


def test_the_sub_folder_is_named_where_it_was_found(tmp_path):
    write_checkpoint(tmp_path, Tiny(sub_folder=True))
    assert asker(tmp_path).folder == Path(tmp_path) / 'huggingface'


def test_tokens_pushed_before_the_prompt_ran_change_nothing_but_the_passes(pair):
    """A grammar may force the first tokens of an answer: prompt and tokens then run in one pass."""
    ours, _ = pair
    prompt, ids = ours.prompt(ONE % 'cup', [ours.look(IMAGES[0])]), [11, 12, 13]
    network = ours.network.text
    together, one_by_one = (Session(network.language_model, network.lm_head, prompt) for _ in range(2))
    together.push(ids)
    for token in ids:
        one_by_one.logits  # noqa: B018 (runs what waits)
        one_by_one.push([token])
    torch.testing.assert_close(together.logits, one_by_one.logits, atol=1e-5, rtol=0)
    assert (together.passes, one_by_one.passes) == (1, 4)
