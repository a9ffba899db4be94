# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HandsOnVLM from tiny checkpoints: layouts, variants, refusals, sharing between questions, samples and stopping."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from tiny_handsonvlm import HAND_ID, TinyHands, build, tensors  # noqa: E402
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models import load_model  # noqa: E402
from affordance_ros.models.handsonvlm_heads import TrajectoryHead  # noqa: E402
from affordance_ros.models.handsonvlm_network import leftover_shapes  # noqa: E402
from affordance_ros.results import Frame, Query  # noqa: E402

QUESTION = Query('Where should my hand move to if I want to find the red mug?')
COUNTER = itertools.count()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return build(tmp_path_factory.mktemp('tiny') / 'handsonvlm-tiny')


@pytest.fixture(scope='module')
def load(checkpoint):
    return lambda folder=checkpoint, **options: load_model('handsonvlm', checkpoint=folder, **options)


@pytest.fixture(scope='module')
def forced(load):
    return load(decode='constrained')


def picture(seed, width=96, height=54, stamp_ns=0):
    return Frame(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8), stamp_ns=stamp_ns)


def clip(first, count=10):
    return [picture(first + index, stamp_ns=1 + (first + index) * 250_000_000) for index in range(count)]


def paths(prediction):
    return np.stack([hand.points for hand in prediction.hands])


@pytest.mark.parametrize('head', ['CVAE', 'MLP'])
@pytest.mark.parametrize(('safetensors', 'sharded'), list(itertools.product([False, True], repeat=2)))
def test_every_file_layout_and_head_gives_the_same_paths(tmp_path, load, head, safetensors, sharded):
    want = paths(load(build(tmp_path / 'a', TinyHands(head)), decode='constrained').predict(picture(0), QUESTION))
    other = load(build(tmp_path / 'b', TinyHands(head, safetensors, sharded)), decode='constrained')
    assert other.describe().settings['head'] == head
    assert want.shape == (2, 4, 2)
    np.testing.assert_allclose(paths(other.predict(picture(0), QUESTION)), want, atol=1e-3)


def test_a_checkpoint_without_the_unused_tensors_loads(tmp_path, load):
    assert load(build(tmp_path / 'a', TinyHands(leftovers=False))).predict(picture(0), QUESTION).text


def test_keys_that_do_not_fit_are_named(tmp_path, load):
    head = 'hand_traj_decoder.hand_traj_decoder.cvae.dec_MLP.2.weight'

    def changed(change):
        return build(tmp_path / str(next(COUNTER)), TinyHands(sharded=False), change)

    for change, words in (
        (lambda t: t | {'model.surprise.weight': torch.zeros(2)}, ('unexpected', 'model.surprise.weight')),
        (lambda t: {k: v for k, v in t.items() if k != 'lm_head.weight'}, ('missing', 'lm_head.weight')),
        (lambda t: {k: v for k, v in t.items() if k != head}, ('missing', 'cvae.dec_MLP.2.weight')),
        (lambda t: t | {head: torch.zeros(3, 512)}, ('mis-shaped', head)),
        (lambda t: t | {'time_embedding': torch.zeros(20, 17)}, ('mis-shaped', 'time_embedding')),
        (lambda t: t | {'model.mm_projector.weight': torch.zeros(16, 9)}, ('mis-shaped', 'model.mm_projector.weight')),
    ):
        with pytest.raises(AffordanceError) as caught:
            load(changed(change))
        assert caught.value.code == Code.BAD_CHECKPOINT
        assert all(word in caught.value.message for word in words), caught.value.message


def test_the_tower_of_the_release_is_needed_and_wins(tmp_path, load):
    def without_tower(found):
        return {key: value for key, value in found.items() if 'vision_tower' not in key}

    with pytest.raises(AffordanceError, match='model.vision_tower'):
        load(build(tmp_path / 'a', change=without_tower))


@pytest.mark.parametrize(
    ('name', 'value'),
    [('fuse_input_mode', 'cat'), ('video_compress_mode', 'spatial_pool'), ('num_frames', 64), ('traj_decoder', 'GRU'),
     ('mm_use_im_start_end', True), ('mm_projector_type', 'mlp2x_gelu')],
)  # fmt: skip
def test_modes_that_no_release_has_are_refused(tmp_path, load, name, value):
    folder = build(tmp_path / 'a', TinyHands(config=((name, value),)))
    with pytest.raises(AffordanceError, match=name) as caught:
        load(folder)
    assert caught.value.code == Code.BAD_CHECKPOINT


def test_the_hand_token_must_have_a_name(tmp_path, load):
    folder = build(tmp_path / 'a', TinyHands(config=(('hand_token_id', HAND_ID + 7),)))
    with pytest.raises(AffordanceError, match='added_tokens.json has no such id'):
        load(folder)


def test_missing_files_say_what_to_get(tmp_path, load):
    with pytest.raises(AffordanceError, match='docs/models/handsonvlm.md') as caught:
        load_model('handsonvlm')
    assert caught.value.code == Code.MISSING_WEIGHTS
    with pytest.raises(AffordanceError, match='no config.json'):
        load(tmp_path)
    folder = build(tmp_path / 'a')
    (folder / 'pytorch_model-00002-of-00003.bin').unlink()
    with pytest.raises(AffordanceError, match='pytorch_model-00002-of-00003.bin'):
        load(folder)


@pytest.mark.parametrize(
    'options',
    [{'profile': 'web'}, {'template': 'mpt'}, {'framing': 'stretch'}, {'anchor': 'left'}, {'samples': 0},
     {'samples': 65}, {'z_scale': -1.0}, {'answer': 'no hands'}, {'decode': 'beam'}],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(load, options):
    with pytest.raises(AffordanceError) as caught:
        load(**options)
    assert caught.value.code == Code.BAD_INPUT


def test_paths_are_those_of_the_part_that_was_shown(load):
    """A 4:3 image answers as its cut does, moved by the border that was cut off."""
    high = picture(3, 456, 342)
    shown = Frame(np.ascontiguousarray(high.rgb[43:299]))
    model = load(decode='constrained')
    np.testing.assert_allclose(
        paths(model.predict(high, QUESTION)), paths(model.predict(shown, QUESTION)) + (0, 43), atol=1e-9
    )
    direct = load(decode='constrained', framing='direct')
    assert not np.allclose(paths(direct.predict(high, QUESTION)), paths(model.predict(high, QUESTION)))
    np.testing.assert_allclose(paths(direct.predict(shown, QUESTION)), paths(model.predict(shown, QUESTION)), atol=1e-9)


def test_tasks_choose_the_hand_or_only_the_text(forced):
    both = forced.predict(picture(1), QUESTION)
    for task, side in (('right_hand', 'right'), ('left_hand', 'left')):
        one = forced.predict(picture(1), Query(QUESTION.text, task=task))
        assert [hand.side for hand in one.hands] == [side]
        assert np.array_equal(one.hands[0].points, next(h.points for h in both.hands if h.side == side))
    text = forced.predict(picture(1), Query('What is the predicted action in this video?', task='text'))
    assert text.hands is None
    assert text.text
    with pytest.raises(AffordanceError, match='right_hand'):
        forced.predict(picture(1), Query(QUESTION.text, task='grasp'))


def test_a_forced_answer_costs_one_pass_per_hand_token(forced):
    stages = []
    prediction = forced.predict(picture(1), Query(object='mug', action='find'), progress=stages.append)
    assert prediction.text.startswith('Certainly! The hand trajectory for find mug is as follows:')
    assert sum(stage.stage == 'generate' for stage in stages) == 5
    assert 0 < prediction.confidence < 1


def test_a_sliding_clip_encodes_only_its_new_frame(load):
    model = load(decode='constrained')
    model.predict(clip(0), QUESTION)
    assert model.encoded_frames == 10
    sliding = model.predict(clip(1), QUESTION)
    assert model.encoded_frames == 11
    fresh = load(decode='constrained').predict(clip(1), QUESTION)
    np.testing.assert_allclose(paths(sliding), paths(fresh), atol=1e-4)
    for start in range(2, 40):
        model.predict(clip(start), QUESTION)
    assert model.encoded_frames == 49  # one each: what is remembered does not run out within a clip


def test_ten_questions_on_one_clip_share_it(load):
    model, alone = load(), load(share_prefix=False)
    for index in range(10):
        query = Query(f'Where should my hand move to if I want to find box {index}?')
        shared = model.predict(clip(0), query)
        assert shared.text == alone.predict(clip(0), query).text
        if shared.hands:
            np.testing.assert_allclose(paths(shared), paths(alone.predict(clip(0), query)), atol=1e-4)
    assert model.encoded_frames == 10
    assert model._prompts.reused_rows > 356  # noqa: SLF001


def test_samples_have_a_spread_that_grows_with_the_scale(load):
    narrow, wide = (
        load(decode='constrained', samples=8, z_scale=scale).predict(picture(5), QUESTION) for scale in (0.5, 2.0)
    )
    for hand in (*narrow.hands, *wide.hands):
        assert (np.asarray(hand.spread_px) > 0).all()
    assert np.mean(wide.hands[0].spread_px) > 2 * np.mean(narrow.hands[0].spread_px)


def test_samples_are_seeded_and_one_answer_is_not_random(load):
    first, again, other = (
        paths(load(decode='constrained', samples=3, seed=seed).predict(picture(5), QUESTION)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    plain = [paths(load(decode='constrained', seed=seed).predict(picture(5), QUESTION)) for seed in (1, 2)]
    assert np.array_equal(*plain)


def test_samples_share_the_prompt_and_average_single_draws(load):
    model = load(decode='constrained', samples=4, share_prefix=False)
    several = model.predict(picture(5), QUESTION)
    assert model._prompts.reused_rows > 356  # noqa: SLF001
    singles = [
        paths(load(decode='constrained', z_scale=1.0, seed=seed).predict(picture(5), QUESTION)) for seed in range(4)
    ]
    np.testing.assert_allclose(paths(several), np.mean(singles, axis=0), atol=1e-3)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_half_precision_stays_near_single(load, dtype):
    exact = load(decode='constrained', framing='direct').predict(picture(2), QUESTION)
    half = load(decode='constrained', framing='direct', dtype=dtype).predict(picture(2), QUESTION)
    assert np.abs(paths(half) - paths(exact)).max() < 96 * (0.01 if dtype == 'float16' else 0.1)


@pytest.mark.parametrize(('quantization', 'most'), [('int8', 0.05), ('int4', 0.5)])
def test_rounded_weights_stay_near_and_leave_the_hands_alone(load, quantization, most):
    rounded = load(decode='constrained', quantization=quantization)
    assert rounded.network.head.cvae.dec_MLP[0].weight.dtype == torch.float32
    assert rounded.describe().memory_bytes < load().describe().memory_bytes
    want = paths(load(decode='constrained').predict(picture(2), QUESTION))
    assert np.abs(paths(rounded.predict(picture(2), QUESTION)) - want).max() < 96 * most


def test_text_streams_and_a_stop_ends_it_within_one_token(load):
    model, steps = load(max_new_tokens=30), []
    prediction = model.predict(picture(1), QUESTION, progress=steps.append)
    texts = [step.text for step in steps if step.stage == 'generate']
    assert len(texts) > 3
    assert texts[-1] == prediction.text
    seen = []

    def stop():
        return sum(step.stage == 'generate' for step in seen) >= 3

    with pytest.raises(AffordanceError) as caught:
        model.predict(picture(1), QUESTION, progress=seen.append, stop=stop)
    assert caught.value.code == Code.CANCELED
    assert sum(step.stage == 'generate' for step in seen) == 3


def test_an_answer_after_a_cancel_is_the_same_as_before(load):
    model = load(decode='constrained')
    want = paths(model.predict(picture(1), QUESTION))
    with pytest.raises(AffordanceError):
        model.predict(picture(2), QUESTION, progress=lambda _: None, stop=iter([*[False] * 4, True]).__next__)
    assert np.array_equal(paths(model.predict(picture(1), QUESTION)), want)


def test_sentences_that_do_not_fit_are_refused(load):
    model = load(max_new_tokens=100)
    with pytest.raises(AffordanceError, match='too long') as caught:
        model.predict(picture(1), Query('Where? ' * 200 + '?'))
    assert caught.value.code == Code.BAD_INPUT
    verbatim = load(profile='official')
    for text in ('see <image> there?', 'go <hand_traj>?'):
        with pytest.raises(AffordanceError, match='leave them out'):
            verbatim.predict(picture(1), Query(text))


def test_the_official_profile_takes_its_template_from_the_folder(tmp_path, load):
    for name, template in (
        ('handsonvlm-7b', 'llava_v0'),
        ('hands-v1-7b', 'llava_v1'),
        ('hands-llama-2', 'llava_llama_2'),
    ):
        folder = build(tmp_path / name)
        assert load(folder, profile='official').describe().settings['template'] == template
        assert load(folder).describe().settings['template'] == 'llava_v0'
    with pytest.raises(AffordanceError, match='MPT'):
        load(build(tmp_path / 'hands-mpt'), profile='official')


@pytest.mark.parametrize(('size', 'layers', 'keys'), [(4096, 32, 737), (5120, 40, 817)])
def test_the_keys_of_a_release_are_those_of_the_official_loader(size, layers, keys):
    llama = LlamaConfig(vocab_size=32101, hidden_size=size, num_hidden_layers=layers, num_attention_heads=layers)
    tower = CLIPVisionConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=64)
    with torch.device('meta'):
        parts = (
            LlamaForCausalLM(llama),
            CLIPVisionModel(tower),
            torch.nn.Linear(1024, size),
            TrajectoryHead(size, 'CVAE'),
        )
    loaded = sum(len(list(part.parameters())) for part in parts)
    assert loaded + len(leftover_shapes(size)) + layers == keys  # one saved rotary buffer per layer


def test_describe_counts_what_is_loaded(load):
    info = load().describe()
    used = {key: value for key, value in tensors(TinyHands(leftovers=False)).items() if 'inv_freq' not in key}
    assert info.parameters == sum(value.numel() for value in used.values())
    assert info.memory_bytes >= 4 * info.parameters
    assert 'NVIDIA' in info.code_licence
    assert any('7B' in text for text in info.unchecked)
