# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GLOVER and GLOVER++ on tiny checkpoints of our own: variants, types, errors, sharing, and what a caller sees."""

import itertools

import numpy as np
import pytest
import torch
from tiny_glover import SEG_ID, Tiny, build

from affordance_ros.errors import AffordanceError, Code
from affordance_ros.geometry.lifting import LiftSettings
from affordance_ros.models import load_model
from affordance_ros.models.glover_official import official_overlay
from affordance_ros.models.glover_prompts import TRAINING_ANSWER, SegGuide, build_question
from affordance_ros.models.parts.decoding import Prompt, Session
from affordance_ros.pipeline import PipelineSettings, run
from affordance_ros.results import Frame, Intrinsics, Query

MUG = Query(object='mug', action='pick up')


@pytest.fixture(scope='module')
def frame():
    rng = np.random.default_rng(1)
    return Frame(np.kron(rng.integers(0, 255, (6, 9, 3)), np.ones((10, 10, 1))).astype(np.uint8))


@pytest.fixture(scope='module')
def plus_folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp('glover_plus'))


@pytest.fixture(scope='module')
def plus(plus_folder):
    return load_model('glover_plus', plus_folder)


def folder_with(tmp_path, **changes):
    return build(tmp_path, Tiny(**changes))


@pytest.mark.parametrize(
    ('is_plus', 'projector', 'legacy'),
    list(itertools.product((False, True), ('linear', 'mlp2x_gelu'), (False, True))),
)
def test_every_variant_answers(tmp_path, frame, is_plus, projector, legacy):
    folder = folder_with(tmp_path, plus=is_plus, projector=projector, legacy=legacy)
    model = load_model('glover_plus' if is_plus else 'glover', folder)
    prediction = model.predict(frame, MUG)
    values = np.asarray(prediction.heatmap.values)
    assert values.shape == frame.rgb.shape[:2]
    assert 0 < values.min() <= values.max() < 1
    u, v = prediction.keypoints.points[0].astype(int)
    assert values[v, u] == values.max() == prediction.keypoints.scores[0]
    assert prediction.keypoints.labels[0] == 'mug'
    assert 0 < prediction.confidence <= 1
    info = model.describe()
    assert info.settings['legacy tokenizer'] == str(legacy)
    assert info.settings['projector'] == ('linear' if projector == 'linear' else 'mlp')


def test_the_projector_is_read_off_the_keys_and_not_off_the_config(tmp_path, frame):
    folder = folder_with(tmp_path, projector='linear', config=(('mm_projector_type', 'mlp2x_gelu'),))
    assert len(load_model('glover_plus', folder).predict(frame, MUG).keypoints)


def test_shards_and_safetensors_give_the_same(tmp_path, frame, plus):
    sharded = load_model('glover_plus', folder_with(tmp_path, shards=3))
    assert np.array_equal(sharded.predict(frame, MUG).heatmap.values, plus.predict(frame, MUG).heatmap.values)


def test_the_second_image_encoder_is_not_loaded(tmp_path, frame, plus):
    without = load_model('glover_plus', folder_with(tmp_path, second_encoder=False))
    assert np.array_equal(without.predict(frame, MUG).heatmap.values, plus.predict(frame, MUG).heatmap.values)
    names = [name for part in plus.network.parts for name, _ in part.named_parameters()]
    assert sum('pos_embed' in name for name in names) == 1


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision(plus_folder, frame, plus, dtype):
    half = load_model('glover_plus', plus_folder, dtype=dtype)
    assert {p.dtype for part in half.network.parts for p in part.parameters()} == {getattr(torch, dtype)}
    far = np.abs(np.asarray(half.predict(frame, MUG).heatmap.values) - plus.predict(frame, MUG).heatmap.values)
    assert far.mean() < 0.05


def test_sam_can_stay_in_float32(plus_folder):
    model = load_model('glover_plus', plus_folder, dtype='bfloat16', sam_dtype='float32')
    assert model.network.sam.image_encoder.pos_embed.dtype == torch.float32
    assert model.network.llm.lm_head.weight.dtype == torch.bfloat16


@pytest.mark.parametrize('quantization', ['int8', 'int4'])
def test_quantization_leaves_all_but_the_language_model(plus_folder, frame, plus, quantization):
    model = load_model('glover_plus', plus_folder, quantization=quantization)
    for ours, theirs in zip(model.network.parts, plus.network.parts, strict=True):
        same = [torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=False)]
        assert all(same) or ours is model.network.llm
    assert model.network.llm.lm_head.weight.dtype == torch.float32
    assert model.describe().memory_bytes < plus.describe().memory_bytes
    assert model.describe().parameters == plus.describe().parameters
    assert model.predict(frame, MUG).heatmap.values.max() > 0


def test_device_auto_and_the_plain_attention_give_the_same(plus_folder, frame, plus):
    for options in ({'device': 'auto'}, {'attention': 'eager'}):
        model = load_model('glover_plus', plus_folder, **options)
        assert np.allclose(model.predict(frame, MUG).heatmap.values, plus.predict(frame, MUG).heatmap.values, atol=1e-5)
    assert model.network.llm.config._attn_implementation == 'eager'  # noqa: SLF001


def test_no_answer_token_gives_the_empty_map_and_says_so(tmp_path, frame):
    model = load_model('glover_plus', folder_with(tmp_path, said=(300, 301, 2)))
    prediction = model.predict(frame, MUG)
    assert prediction.heatmap.values.shape == frame.rgb.shape[:2]
    assert not prediction.heatmap.values.any()
    assert len(prediction.keypoints) == len(prediction.boxes) == 0
    assert prediction.why_empty[0] == Code.NO_ANSWER_TOKEN
    intrinsics = Intrinsics(100, 100, 45, 30, frame.width, frame.height)
    deep = Frame(frame.rgb, np.ones(frame.rgb.shape[:2], np.float32), intrinsics)
    abstention = run(model, deep, MUG, PipelineSettings(lift=LiftSettings())).abstentions[0]
    assert abstention.code == Code.NO_ANSWER_TOKEN
    assert '[SEG]' in abstention.message


def test_several_answer_tokens_give_several_maps_and_the_first_counts(tmp_path, frame):
    model = load_model('glover_plus', folder_with(tmp_path, said=(300, SEG_ID, 301, SEG_ID)), max_new_tokens=4)
    answer = model.answer(frame, MUG)
    assert answer.logits.shape == (2, *frame.rgb.shape[:2])
    prediction = model.predict(frame, MUG)
    assert np.array_equal(prediction.heatmap.values, answer.heatmap(0).values)
    assert not np.array_equal(answer.heatmap(0).values, answer.heatmap(1).values)
    assert '2 [SEG]' in prediction.repairs[0]
    with pytest.raises(IndexError):
        answer.heatmap(2)


def test_an_answer_token_in_the_question_counts_only_officially(plus_folder, frame, plus):
    question = Query(text='Where is the [SEG]?')
    official = load_model('glover_plus', plus_folder, profile='infer').answer(frame, question)
    robot = plus.answer(frame, question)
    assert (len(official.logits), len(robot.logits)) == (2, 1)
    assert np.allclose(robot.logits[0], official.logits[1], atol=1e-4)


def test_constrained_writing_always_ends_with_the_answer_token(tmp_path, frame):
    folder = folder_with(tmp_path, said=(300, 301, 2))
    model = load_model('glover_plus', folder, decode='constrained', max_new_tokens=9)
    answer = model.answer(frame, MUG)
    assert len(answer.logits) == 1
    assert answer.sequence[-1] == SEG_ID
    longer = load_model('glover_plus', folder, decode='constrained').answer(frame, MUG)
    assert longer.sequence[-2:] == (SEG_ID, 2)


def test_the_guide_forbids_only_the_end():
    guide = SegGuide(seg_id=5, eos_id=2, vocabulary=8, patience=3)
    assert guide.allowed().tolist() == [True, True, False, True, True, True, True, True]
    guide.advance([4, 4])
    assert guide.forced() == []
    guide.advance([4])
    assert guide.forced() == [5]
    guide.advance([5])
    assert guide.forced() == [2]


def test_forced_profile_equals_the_whole_sequence_at_once(plus_folder, frame):
    """One pass over the training answer up to [SEG]: the same hidden state as an uncached pass over everything."""
    model = load_model('glover_plus', plus_folder, profile='forced')
    for query in (MUG, Query(object='cup', action='lift'), MUG):
        answer = model.answer(frame, query)
        codes = model._encode(frame.rgb, None)  # noqa: SLF001
        network = model.network
        with torch.inference_mode():
            embeddings = network.embed(answer.sequence[:-1], codes.features)
            hidden = network.llm.model(inputs_embeds=embeddings).last_hidden_state[0]
        row = answer.sequence.index(SEG_ID) + 254
        expected = network.decode(codes, network.prompt_embeddings(hidden[row : row + 1]))
        assert np.allclose(answer.logits, expected.logits, atol=1e-4)
        assert answer.text.replace(' .', '.') == TRAINING_ANSWER
        assert 0 <= answer.confidence <= 1


def test_free_writing_equals_the_whole_sequence_at_once(plus, frame):
    answer = plus.answer(frame, MUG)
    codes = plus._encode(frame.rgb, None)  # noqa: SLF001
    with torch.inference_mode():
        embeddings = plus.network.embed(answer.sequence[:-1], codes.features)
        hidden = plus.network.llm.model(inputs_embeds=embeddings).last_hidden_state[0]
    rows = [index + 254 for index, token in enumerate(answer.sequence) if token == SEG_ID]
    assert torch.allclose(plus.network.prompt_embeddings(hidden[rows]), answer.embeddings, atol=1e-4)


def test_the_second_stage_without_text(plus_folder, frame, plus):
    silent = load_model('glover_plus', plus_folder, text_in_second_stage=False)
    by_profile = load_model('glover_plus', plus_folder, profile='infer_py')
    first, second, third = (m.answer(frame, MUG) for m in (plus, silent, by_profile))
    assert torch.equal(first.maps.first, second.maps.first)
    assert not torch.allclose(first.maps.second, second.maps.second, atol=1e-3)
    assert torch.equal(second.maps.second, third.maps.second)


def test_ten_questions_on_one_frame_encode_it_once(plus_folder, frame):
    model = load_model('glover_plus', plus_folder)
    calls = []
    for part in (model.network.vision, model.network.sam.image_encoder):
        part.register_forward_hook(lambda *_: calls.append(1))
    answers = [model.predict(frame, Query(object=f'thing {i}', action='lift')) for i in range(10)]
    assert len(calls) == 2
    assert model.encoded_images == 1
    assert model._prompts.reused_rows >= 256  # noqa: SLF001
    alone = load_model('glover_plus', plus_folder, share_prefix=False)
    for i in (0, 9):
        fresh = alone.predict(frame, Query(object=f'thing {i}', action='lift'))
        assert np.allclose(fresh.heatmap.values, answers[i].heatmap.values, atol=1e-5)
    model.predict(Frame(frame.rgb[::-1].copy()), MUG)
    assert model.encoded_images == 2


def test_sampling_is_repeatable_and_greedy_is_the_default(plus_folder, frame):
    hot = [
        load_model('glover_plus', plus_folder, temperature=500.0, top_k=0, seed=s, max_new_tokens=8) for s in (1, 1, 2)
    ]
    texts = [model.answer(frame, MUG).sequence for model in hot]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ('query', 'question'),
    [
        (MUG, 'Where should I interact with the mug to pick up it? Please output segmentation mask.'),
        (Query(object='mug'), 'Where should I interact with the mug? Please output segmentation mask.'),
        (Query(text=' Where is the lid? '), 'Where is the lid?'),
        (Query(text='lid', object='mug', action='open'), 'lid'),
    ],
)
def test_questions(query, question):
    assert build_question(query) == question


@pytest.mark.parametrize(
    ('query', 'words'),
    [
        (Query(text='see <image> here'), '<image>'),
        (Query(object='a' * 4000, action='x'), 'too long'),
        (Query(object='mug', task='trace'), "task 'trace' is unknown"),
    ],
)
def test_refuses_questions_that_cannot_be_asked(plus, frame, query, words):
    with pytest.raises(AffordanceError, match=words) as caught:
        plus.predict(frame, query)
    assert caught.value.code == Code.BAD_INPUT


def test_a_map_that_is_not_finite_is_refused(plus, frame, monkeypatch):
    broken = plus.answer(frame, MUG)
    broken.logits[0, 0, 0] = np.nan
    monkeypatch.setattr(plus, 'answer', lambda *_, **__: broken)
    with pytest.raises(AffordanceError, match='not finite; use dtype') as caught:
        plus.predict(frame, MUG)
    assert caught.value.code == Code.UNPARSABLE_ANSWER


def test_the_words_are_streamed_token_by_token(plus, frame):
    steps = []
    text = plus.predict(frame, MUG, progress=steps.append).text
    written = [step.text for step in steps if step.stage == 'generate']
    assert len(written) == 3
    assert all(later.startswith(sooner) for sooner, later in itertools.pairwise(written))
    assert written[-1] == text
    assert '</s>' not in text


def test_a_stop_before_the_maps_is_honoured(plus, frame):
    asked = itertools.count()
    with pytest.raises(AffordanceError) as caught:
        plus.predict(frame, MUG, stop=lambda: next(asked) >= 5)
    assert caught.value.code == Code.CANCELED
    assert len(plus.predict(frame, MUG).keypoints)  # and the next question is answered


def test_official_overlay_is_half_image_half_map():
    rgb = np.full((4, 5, 3), 100, np.uint8)
    values = np.linspace(0.2, 0.6, 20).reshape(4, 5)
    drawn = official_overlay(rgb, values)
    assert drawn.shape == rgb.shape
    assert (drawn[0, 0] <= 55).all()  # black under the lowest value
    assert (drawn[-1, -1] >= 170).all()  # white over the highest
    assert (official_overlay(rgb, np.full((4, 5), 0.3)) <= 55).all()


def test_session_gives_the_state_that_predicts_a_token(plus, frame):
    """What `Glover` relies on: after a token is chosen, `hidden` is still the state before it."""
    codes = plus._encode(frame.rgb, None)  # noqa: SLF001
    rows = plus.network.embed([1, 300, -200, 301], codes.features)
    llm = plus.network.llm
    session = Session(llm.model, llm.lm_head, Prompt(rows))
    token = int(session.logits.argmax())
    before = session.hidden.clone()
    session.push([token])
    assert not torch.equal(before, session.hidden)
    with torch.inference_mode():
        whole = llm.model(inputs_embeds=torch.cat([rows, session.embed([token])], 1)).last_hidden_state[0]
    assert torch.allclose(before, whole[-2], atol=1e-5)
