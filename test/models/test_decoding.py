# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our decoding writes what transformers' `generate` writes, reuses prompts without a trace, and stops at once."""

import math
import random
from types import SimpleNamespace

import pytest

torch = pytest.importorskip('torch')
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from affordance_ros.errors import AffordanceError, Code  # noqa: E402
from affordance_ros.models.parts.decoding import (  # noqa: E402
    DecodeSettings,
    Prompt,
    PromptCache,
    Session,
    Watch,
    write,
)

EOS = 2


@pytest.fixture(scope='module')
def llm():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=1, eos_token_id=EOS, pad_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(requires_grad=False)


def embed(llm, ids):
    return llm.get_input_embeddings()(torch.tensor([ids]))


def answer(llm, ids, settings, shared=None, watch=None):
    session = Session(llm.model, llm.lm_head, Prompt(embed(llm, ids)), shared)
    return write(session, (EOS,), settings, watch or Watch())


def guided(llm, ids, guide):
    session = Session(llm.model, llm.lm_head, Prompt(embed(llm, ids)))
    return write(session, (EOS,), DecodeSettings(max_new_tokens=40), guide=guide)


def random_prompt(seed, length=23):
    return torch.randint(3, 97, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('penalty', [1.0, 1.3])
@pytest.mark.filterwarnings('ignore:Passing .repetition_penalty')
def test_greedy_equals_generate(llm, seed, penalty):
    ids = random_prompt(seed)
    wanted = llm.generate(
        inputs_embeds=embed(llm, ids), max_new_tokens=24, do_sample=False, repetition_penalty=penalty
    )[0].tolist()  # fmt: skip
    got = answer(llm, ids, DecodeSettings(max_new_tokens=24, repetition_penalty=penalty))
    assert got.ids == wanted
    assert 0 < got.confidence <= 1


# The sampling of the official entry points (RoboPoint eval and demo, HandsOnVLM) and settings that users may choose.
SAMPLING = [
    {'temperature': 0.2},
    {'temperature': 1.0, 'top_p': 0.7},
    {'temperature': 0.5},
    {'temperature': 0.7, 'top_p': 0.9, 'top_k': 20},
    {'temperature': 1.4, 'top_k': 0},
    {'temperature': 1.0, 'top_k': 0, 'top_p': 0.3},
    {'temperature': 0.9, 'repetition_penalty': 1.3},
    {'temperature': 0.8, 'top_k': 5, 'top_p': 0.95, 'repetition_penalty': 0.8},
]


@pytest.mark.parametrize('options', SAMPLING, ids=str)
@pytest.mark.filterwarnings('ignore:Passing .repetition_penalty')
def test_sampling_equals_generate_with_the_same_seed(llm, options):
    texts = set()
    for seed in range(6):
        ids = random_prompt(100 + seed)
        torch.manual_seed(seed)
        wanted = llm.generate(inputs_embeds=embed(llm, ids), max_new_tokens=24, do_sample=True, **options)[0].tolist()
        settings = DecodeSettings(max_new_tokens=24, seed=seed, **options)
        assert answer(llm, ids, settings).ids == wanted
        shared = PromptCache()
        answer(llm, [*ids[:15], 5, 6], settings, shared)
        assert answer(llm, ids, settings, shared).ids == wanted
        assert shared.reused_rows >= 15
        texts |= {tuple(answer(llm, ids, DecodeSettings(24, seed=other, **options)).ids) for other in range(3)}
    assert len(texts) > 6  # the seed matters


def test_sampling_from_ids_counts_the_prompt_as_written(llm):
    for seed in range(4):
        ids = random_prompt(30 + seed)
        options = {'temperature': 0.9, 'top_p': 0.8, 'repetition_penalty': 1.6}
        torch.manual_seed(seed)
        wanted = llm.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=True, **options)[0].tolist()
        session = Session(llm.model, llm.lm_head, Prompt(embed(llm, ids), penalized=ids))
        assert ids + write(session, (EOS,), DecodeSettings(24, seed=seed, **options)).ids == wanted


def test_sampling_leaves_the_random_numbers_of_others_alone(llm):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    answer(llm, random_prompt(0), DecodeSettings(max_new_tokens=5, temperature=1.0, seed=1))
    assert torch.equal(torch.rand(3), wanted)


def test_a_penalised_prompt_equals_generate_from_ids(llm):
    ids = random_prompt(7)
    wanted = llm.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, repetition_penalty=1.5)[0].tolist()
    session = Session(llm.model, llm.lm_head, Prompt(embed(llm, ids), penalized=ids))
    got = write(session, (EOS,), DecodeSettings(max_new_tokens=24, repetition_penalty=1.5))
    assert ids + got.ids == wanted


def test_a_shared_prompt_is_run_once_and_leaves_no_trace(llm):
    shared, image = PromptCache(), random_prompt(3, 40)
    settings = DecodeSettings(max_new_tokens=16)
    for seed in range(6):
        ids = image + random_prompt(seed, 5 + seed)
        assert answer(llm, ids, settings, shared).ids == answer(llm, ids, settings).ids
        assert shared.reused_rows >= (40 if seed else 0)
    other = random_prompt(50, 30)
    assert answer(llm, other, settings, shared).ids == answer(llm, other, settings).ids
    assert shared.reused_rows < 5


def test_many_prompts_through_one_cache_equal_generate(llm):
    """Prompts that share beginnings of any length, in any order: each answer is that of a fresh `generate`."""
    draw, shared, reused = random.Random(0), PromptCache(), []
    image = random_prompt(1000, 60)
    for number in range(80):
        ids = image[: draw.randint(1, 60)] + random_prompt(number, draw.randint(1, 12))
        wanted = llm.generate(inputs_embeds=embed(llm, ids), max_new_tokens=10, do_sample=False)[0].tolist()
        assert answer(llm, ids, DecodeSettings(max_new_tokens=10), shared).ids == wanted
        reused.append(shared.reused_rows)
    assert max(reused) >= 50


def test_tokens_are_streamed_one_by_one(llm):
    ids, seen = random_prompt(4), []
    got = answer(llm, ids, DecodeSettings(max_new_tokens=9), watch=Watch(on_token=lambda now: seen.append(list(now))))
    assert seen == [got.ids[: count + 1] for count in range(len(got.ids))]
    assert got.passes == len(got.ids)


def test_confidence_is_the_mean_probability_of_the_chosen_tokens(llm):
    ids = random_prompt(6)
    got = answer(llm, ids, DecodeSettings(max_new_tokens=12, temperature=0.6, top_k=7, seed=3))
    logits = llm(torch.tensor([ids + got.ids])).logits[0, len(ids) - 1 : -1]
    wanted = logits.softmax(-1)[range(len(got.ids)), got.ids]
    chosen = [token != EOS for token in got.ids]
    assert got.confidence == pytest.approx(float(wanted[chosen].mean()), abs=1e-5)


class Elsewhere(torch.Tensor):
    """What a decoder on another GPU gives: usable here only after `.to`."""

    def to(self, *args, **kwargs):
        return self.as_subclass(torch.Tensor).to(*args, **kwargs)


def test_results_of_a_spread_decoder_are_brought_home(llm):
    """The last layer and the head may be on the second GPU; masks and random numbers are on the first."""

    class Spread(torch.nn.Module):
        def forward(self, **inputs):
            states = llm.model(**inputs).last_hidden_state
            return SimpleNamespace(last_hidden_state=states.as_subclass(Elsewhere))

    session = Session(Spread(), lambda rows: llm.lm_head(rows).as_subclass(Elsewhere), Prompt(embed(llm, [5, 6])))
    assert type(session.logits) is torch.Tensor
    assert type(session.hidden) is torch.Tensor


def test_the_same_prompt_again_runs_one_row(llm):
    shared, ids = PromptCache(), random_prompt(9)
    first = answer(llm, ids, DecodeSettings(max_new_tokens=8), shared)
    assert answer(llm, ids, DecodeSettings(max_new_tokens=8), shared).ids == first.ids
    assert shared.reused_rows == len(ids) - 1


def test_positions_count_on_from_next_position(llm):
    ids = random_prompt(11)
    positions = torch.arange(len(ids))[None] + 5
    prompt = Prompt(embed(llm, ids), positions=positions, next_position=len(ids) + 5)
    session = Session(llm.model, llm.lm_head, prompt)
    got = write(session, (EOS,), DecodeSettings(max_new_tokens=12))
    assert got.ids == answer(llm, ids, DecodeSettings(max_new_tokens=12)).ids  # rotary positions are relative


def test_stop_ends_within_one_token(llm):
    written = []
    with pytest.raises(AffordanceError) as caught:
        answer(
            llm,
            random_prompt(1),
            DecodeSettings(max_new_tokens=50),
            watch=Watch(lambda: len(written) == 3, lambda ids: written.append(len(ids))),
        )
    assert caught.value.code == Code.CANCELED
    assert written == [1, 2, 3]


def test_a_canceled_text_does_not_spoil_the_shared_prompt(llm):
    shared, ids = PromptCache(), random_prompt(5)
    with pytest.raises(AffordanceError):
        answer(llm, ids, DecodeSettings(), shared, Watch(stop=lambda: True))
    settings = DecodeSettings(max_new_tokens=10)
    assert answer(llm, ids, settings, shared).ids == answer(llm, ids, settings).ids


class Script:
    """A guide that forces some tokens and leaves two choices between them."""

    def __init__(self):
        self.left = [[5, 6, 7], None, [8, 9], None, [EOS]]

    def forced(self):
        return list(self.left[0] or [])

    def allowed(self):
        mask = torch.zeros(97, dtype=torch.bool)
        mask[[20, 21]] = True
        return mask

    def advance(self, ids):
        assert len(ids) == len(self.left.pop(0) or [0])


def test_forced_tokens_cost_no_pass(llm):
    got = guided(llm, random_prompt(2), Script())
    assert [*got.ids[:3], *got.ids[4:6], got.ids[7]] == [5, 6, 7, 8, 9, EOS]
    assert {got.ids[3], got.ids[6]} <= {20, 21}
    assert got.passes == 2
    assert len(got.probabilities) == 2


def test_nothing_written_has_no_confidence(llm):
    forced = Script()
    forced.left = [[EOS]]
    assert math.isnan(guided(llm, random_prompt(2), forced).confidence)
